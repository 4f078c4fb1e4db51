"""A network in one process under virtual time, for testing network programs.

`Net` is for asyncio programs, unchanged (`net.py`, docs/testing.md); `Network` below it is for
handlers of connections and for the stack itself (`network.py`, docs/simulator.md). Each is loaded
when it is first asked for: the pytest plugin is part of every run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from corten.sim.checker import Checker, CheckFailure
    from corten.sim.fault import Fault, Weather, delay, drop, duplicate, flip, swap
    from corten.sim.gauge import Gauge
    from corten.sim.host import Host
    from corten.sim.link import Link
    from corten.sim.machine import Machine
    from corten.sim.net import Net
    from corten.sim.network import Network, SimulationFailure
    from corten.sim.router import Router
    from corten.sim.rules import Limits
    from corten.sim.virtual_loop import NotVirtual, VirtualLoop

__all__ = [
    "CheckFailure",
    "Checker",
    "Fault",
    "Gauge",
    "Host",
    "Limits",
    "Link",
    "Machine",
    "Net",
    "Network",
    "NotVirtual",
    "Router",
    "SimulationFailure",
    "VirtualLoop",
    "Weather",
    "delay",
    "drop",
    "duplicate",
    "flip",
    "swap",
]

_HOMES = {
    "checker": ("CheckFailure", "Checker"),
    "fault": ("Fault", "Weather", "delay", "drop", "duplicate", "flip", "swap"),
    "gauge": ("Gauge",),
    "host": ("Host",),
    "link": ("Link",),
    "machine": ("Machine",),
    "net": ("Net",),
    "network": ("Network", "SimulationFailure"),
    "router": ("Router",),
    "rules": ("Limits",),
    "virtual_loop": ("NotVirtual", "VirtualLoop"),
}
_LAZY = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module 'corten.sim' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"corten.sim.{_LAZY[name]}"), name)
    return value
