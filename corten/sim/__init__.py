"""A network in one process under virtual time, for testing network programs; see `network.py`."""

from corten.sim.checker import Checker, CheckFailure
from corten.sim.fault import Fault, Weather, delay, drop, duplicate, flip, swap
from corten.sim.host import Host
from corten.sim.link import Link
from corten.sim.network import Network, SimulationFailure
from corten.sim.rules import Limits

__all__ = [
    "CheckFailure",
    "Checker",
    "Fault",
    "Host",
    "Limits",
    "Link",
    "Network",
    "SimulationFailure",
    "Weather",
    "delay",
    "drop",
    "duplicate",
    "flip",
    "swap",
]
