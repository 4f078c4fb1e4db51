"""Corten: a TCP/IP stack you can import.

    import corten

    class Echo(corten.Handler):
        def on_data(self, connection, data):
            connection.send(data)

    corten.serve({7: Echo}, links=["tap:corten0,address=10.0.2.2/24"], workers=2)

`Node` is the same within a program of one's own, packets in and out through any object (`Pipe`, or
a driver around it: `Capture`, `Fault`, `Replay`); `Stack` is without a clock as well. These and
`serve` are loaded when first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

try:
    from corten.core.arena import Buffer
    from corten.endpoint.congestion import Congestion
    from corten.endpoint.connection import Connection
    from corten.endpoint.datagram import DatagramHandler, Endpoint
    from corten.endpoint.error import ConnectionClosed, CortenError
    from corten.endpoint.handler import Handler
    from corten.endpoint.ping import Ping, PingHandler
except ImportError as error:
    if not (error.name or "").startswith("cython"):
        raise
    raise ImportError("corten is not compiled: run ./dev build, or pip install .") from None

if TYPE_CHECKING:
    from corten.core.chance import Chance
    from corten.driver.capture import Capture
    from corten.driver.fault import Fault, Faults
    from corten.driver.pipe import Pipe
    from corten.driver.replay import Replay
    from corten.stack.stack import Stack
    from corten.worker.node import Node
    from corten.worker.serve import serve

__version__ = "0.1.0"

__all__ = [
    "Buffer",
    "Capture",
    "Chance",
    "Congestion",
    "Connection",
    "ConnectionClosed",
    "CortenError",
    "DatagramHandler",
    "Endpoint",
    "Fault",
    "Faults",
    "Handler",
    "Node",
    "Ping",
    "PingHandler",
    "Pipe",
    "Replay",
    "Stack",
    "serve",
]

_LAZY = {
    "Capture": "corten.driver.capture",
    "Chance": "corten.core.chance",
    "Fault": "corten.driver.fault",
    "Faults": "corten.driver.fault",
    "Node": "corten.worker.node",
    "Pipe": "corten.driver.pipe",
    "Replay": "corten.driver.replay",
    "Stack": "corten.stack.stack",
    "serve": "corten.worker.serve",
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(f"module 'corten' has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_LAZY[name]), name)
    return value
