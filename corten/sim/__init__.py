"""A network in one process under virtual time, for testing network programs.

`Net` is for asyncio programs, unchanged (`net.py`, docs/testing.md); `Network` below it is for
handlers of connections and for the stack itself (`network.py`, docs/simulator.md).
"""

from corten.sim.checker import Checker, CheckFailure
from corten.sim.fault import Fault, Weather, delay, drop, duplicate, flip, swap
from corten.sim.host import Host
from corten.sim.link import Link
from corten.sim.machine import Machine
from corten.sim.net import Net
from corten.sim.network import Network, SimulationFailure
from corten.sim.rules import Limits
from corten.sim.virtual_loop import NotVirtual, VirtualLoop

__all__ = [
    "CheckFailure",
    "Checker",
    "Fault",
    "Host",
    "Limits",
    "Link",
    "Machine",
    "Net",
    "Network",
    "NotVirtual",
    "SimulationFailure",
    "VirtualLoop",
    "Weather",
    "delay",
    "drop",
    "duplicate",
    "flip",
    "swap",
]
