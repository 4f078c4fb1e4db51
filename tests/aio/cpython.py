"""CPython's own tests of asyncio's streams and servers, on our loop: `python -m tests.aio.cpython`.

In a namespace with a TAP device: what the tests serve on the loop is the stack's, at 10.0.2.2; what
their threads serve or ask with blocking sockets is the kernel's, at 10.0.2.1. Only addresses are
changed, 127.0.0.1 to these. It ends with 1 when a test fails that EXPECTED does not name.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import socket
import sys
import unittest
from typing import Any

import corten.aio.loop
from tests.aio.program import LINK

STACK, KERNEL = "10.0.2.2", "10.0.2.1"
MODULES = ("test_streams", "test_server", "test_buffered_proto", "test_sslproto", "test_ssl")

# test: why it cannot pass
EXPECTED: dict[str, str] = {}
LEFT_OUT = {  # kernel sockets alone, at an address that is the kernel's only while a device is open
    "test_connect_accepted_socket",
}


class MappedLoop(corten.aio.loop.Loop):
    """Our loop on a TAP device of its own; the tests' address is the stack's."""

    def __init__(self, lazy: bool = False) -> None:
        super().__init__()
        if not lazy:
            self.begin()

    def begin(self) -> None:
        """Open the device. A lazy loop does it when it is needed: most tests do without."""
        from corten.aio.network import Network
        from corten.worker.alone import Alone

        if self.network is None:
            alone = Alone([LINK])
            self.use(Network(alone.worker, self), alone)

    async def create_server(
        self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any
    ) -> Any:
        self.begin()
        host = STACK if host in ("127.0.0.1", "localhost") else host
        return await super().create_server(protocol_factory, host, port, **options)

    async def create_connection(
        self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any
    ) -> Any:
        self.begin()
        if host in ("127.0.0.1", "localhost"):
            if options.get("ssl") is not None:
                options.setdefault("server_hostname", host)
            assert self.network is not None
            ours = int(port) in self.network.host.stack.host.listeners
            host = STACK if ours else KERNEL
        return await super().create_connection(protocol_factory, host, port, **options)


class Policy(asyncio.DefaultEventLoopPolicy):
    def __init__(self, lazy: bool) -> None:
        super().__init__()
        self._lazy = lazy

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return MappedLoop(self._lazy)


def _bind(self: socket.socket, address: Any, real: Any = socket.socket.bind) -> None:
    if isinstance(address, tuple) and address[0] in ("127.0.0.1", "localhost"):
        address = (KERNEL, *address[1:])
    real(self, address)


def _tests(suite: Any) -> Any:
    for each in suite:
        if isinstance(each, unittest.TestSuite):
            yield from _tests(each)
        else:
            yield each


class Result(unittest.TextTestResult):
    def startTest(self, test: unittest.TestCase) -> None:  # noqa: N802  (unittest's name)
        # those of TLS have time-outs, within which no device is to be opened
        asyncio.set_event_loop_policy(Policy(lazy=".test_ssl." not in test.id()))
        super().startTest(test)


def run(names: list[str]) -> int:
    """The failures that nobody expected."""
    from bench.namespace import Namespace, enter, write_setting

    enter(Namespace("cpython").fd)
    os.system("ip link set lo up")
    write_setting("net/ipv4/ip_nonlocal_bind", "1")  # the device comes later than some sockets
    socket.socket.bind = _bind  # type: ignore[method-assign]
    asyncio.SelectorEventLoop = MappedLoop  # type: ignore[misc, assignment]
    suite = unittest.TestSuite()
    loader = unittest.TestLoader()
    for name in MODULES:
        module = importlib.import_module(f"test.test_asyncio.{name}")
        for each in _tests(loader.loadTestsFromModule(module)):
            if each.id().rpartition(".")[2] in LEFT_OUT:
                continue
            if not names or any(word in each.id() for word in names):
                suite.addTest(each)
    runner = unittest.TextTestRunner(verbosity=1, resultclass=Result)
    result = runner.run(suite)
    unexpected = 0
    for test, _ in [*result.failures, *result.errors]:
        name = test.id().removeprefix("test.test_asyncio.")
        why = EXPECTED.get(name)
        unexpected += why is None
        print(f"{name}: {why or 'FAILED'}")
    print(f"{result.testsRun} run, {len(result.skipped)} skipped, {unexpected} unexpected")
    return unexpected


if __name__ == "__main__":
    sys.exit(1 if run(sys.argv[1:]) else 0)
