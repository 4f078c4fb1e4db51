"""An event loop of asyncio's, or of uvloop's, on which addresses decide which stack serves.

    loop = corten.aio.new_event_loop(links=["tap:corten0,address=10.0.2.2/24"])
    corten.aio.run(main(), links=["tap:corten0,address=10.0.2.2/24"])

Strategy. The loop is the ordinary one, and `Mixin` before it looks at each address: a server at an
address of the stack, or at every address, and a connection to where a link leads, are the stack's;
everything else is `super()`'s: 127.0.0.1, files, pipes, signals, subprocesses, kernel sockets.

`sock_connect` to where a link leads opens a connection of the stack's and keeps it beside the
socket, until `create_connection(sock=…)` makes a transport of it: so aiohttp's happy eyeballs end
here too. The other `sock_` calls read and write a descriptor, which the stack's connections have
not: they stay the kernel's.
"""

from __future__ import annotations

import asyncio
import os
import socket
import weakref
from asyncio import sslproto
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from corten.aio import tls
from corten.aio.network import EVERY, Network, is_number
from corten.aio.sendfile import send_file
from corten.aio.transport import StreamTransport
from corten.endpoint.error import CortenError
from corten.worker.alone import Alone
from corten.worker.node import Node

T = TypeVar("T")

LINKS = "CORTEN_LINKS"  # the links of a loop that is given none, separated by spaces


class Mixin:
    """What a loop does otherwise, once it has a Network."""

    network: Network | None = None
    _alone: Alone | Node | None = None
    _opened: Any = None  # socket: the transport that waits beside it

    def use(self, network: Network, alone: Alone | Node | None = None) -> None:
        """Let addresses decide from here on. `alone`: what to close with the loop, `network` is."""
        self.network = network
        self._alone = alone
        self._opened = weakref.WeakKeyDictionary()

    def _stack_of(self, transport: Any) -> bool:
        """Whether a transport is of the stack, or of asyncio's own TLS over one that is."""
        while isinstance(transport, sslproto._SSLProtocolTransport):
            transport = getattr(transport._ssl_protocol, "_transport", None)
        return isinstance(transport, StreamTransport)

    # -- names --------------------------------------------------------------------------------

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
        """By the stack's resolver where it knows whom to ask, but for localhost."""
        network = self.network
        if network is not None and isinstance(host, str) and self._asks(network, host):
            return await network.getaddrinfo(host, port, **options)
        return await super().getaddrinfo(host, port, **options)  # type: ignore[misc]

    def _asks(self, network: Network, host: str) -> bool:
        if host == "localhost" or host.endswith(".localhost") or is_number(host):
            return False
        return bool(network.host.name_servers())

    async def _leads(self, network: Network, host: Any, port: Any, options: Any) -> bool:
        """Whether the stack serves a host: any of its addresses."""
        if not host:
            return False
        if is_number(str(host)):
            return network.serves(str(host))
        names = {"family": options.get("family", 0), "flags": options.get("flags", 0)}
        infos = await self.getaddrinfo(host, port, type=socket.SOCK_STREAM, **names)
        return any(network.serves(info[4][0]) for info in infos)

    # -- streams ------------------------------------------------------------------------------

    async def create_server(
        self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any
    ) -> Any:
        network = self.network
        if network is not None and options.get("sock") is None:
            hosts = list(host) if isinstance(host, list | tuple | set) else [host]
            if all(each in EVERY or network.owns(str(each)) for each in hosts):
                return await network.create_server(protocol_factory, host, port, **options)
        return await super().create_server(  # type: ignore[misc]
            protocol_factory, host, port, **options
        )

    async def create_connection(
        self, protocol_factory: Any, host: Any = None, port: Any = None, **options: Any
    ) -> Any:
        network = self.network
        if network is not None:
            sock = options.get("sock")
            if sock is not None and sock in self._opened:
                return await self._dress(network, protocol_factory, sock, host, options)
            if sock is None and await self._leads(network, host, port, options):
                return await network.create_connection(protocol_factory, host, port, **options)
        return await super().create_connection(  # type: ignore[misc]
            protocol_factory, host, port, **options
        )

    async def _dress(
        self, network: Network, protocol_factory: Any, sock: Any, host: Any, options: Any
    ) -> Any:
        """The connection that `sock_connect` opened becomes a transport."""
        transport = self._opened.pop(sock)
        sock.close()
        context = tls.check_context(options.get("ssl"), server_side=False)
        name = options.get("server_hostname") or host or None
        return await network.dress(
            transport,
            protocol_factory,
            context,
            name if context is not None else None,
            options.get("ssl_handshake_timeout"),
            options.get("ssl_shutdown_timeout"),
        )

    async def sock_connect(self, sock: Any, address: Any) -> None:
        network = self.network
        if (
            network is not None
            and sock.family in (socket.AF_INET, socket.AF_INET6)
            and sock.type == socket.SOCK_STREAM
            and await self._leads(network, address[0], address[1], {})
        ):
            infos = await self.getaddrinfo(*address[:2], type=socket.SOCK_STREAM)
            transport = await network.open_one(infos[0][4])
            self._opened[sock] = transport
            weakref.finalize(sock, _forget, transport)
            return
        await super().sock_connect(sock, address)  # type: ignore[misc]

    async def start_tls(
        self, transport: Any, protocol: Any, sslcontext: Any, **options: Any
    ) -> Any:
        if self.network is not None and self._stack_of(transport):
            return await self.network.start_tls(transport, protocol, sslcontext, **options)
        return await super().start_tls(  # type: ignore[misc]
            transport, protocol, sslcontext, **options
        )

    async def sendfile(
        self, transport: Any, file: Any, offset: int = 0, count: int | None = None, **options: Any
    ) -> int:
        """Over the stack it is always what `fallback` is elsewhere."""
        if self.network is not None and self._stack_of(transport):
            if not options.get("fallback", True):
                raise RuntimeError("a connection of the stack has no native sendfile")
            return await send_file(self.network.loop, transport, file, offset, count)
        return await super().sendfile(  # type: ignore[misc]
            transport, file, offset, count, **options
        )

    # -- datagrams ----------------------------------------------------------------------------

    async def create_datagram_endpoint(
        self, protocol_factory: Any, local_addr: Any = None, remote_addr: Any = None, **options: Any
    ) -> Any:
        network = self.network
        if network is not None and options.get("sock") is None:
            if remote_addr is not None:
                ours = await self._leads(network, remote_addr[0], remote_addr[1], options)
            else:
                name = local_addr[0] if isinstance(local_addr, tuple) else "localhost"
                ours = name in EVERY or network.owns(str(name))
            if ours:
                return await network.create_datagram_endpoint(
                    protocol_factory, local_addr, remote_addr, **options
                )
        return await super().create_datagram_endpoint(  # type: ignore[misc]
            protocol_factory, local_addr, remote_addr, **options
        )

    def close(self) -> None:
        network, self.network = self.network, None
        if network is not None:
            network.close()
        if self._alone is not None:
            self._alone.close()
            self._alone = None
        super().close()  # type: ignore[misc]


class Loop(Mixin, asyncio.SelectorEventLoop):
    """asyncio's own loop, with a stack."""


def _forget(transport: Any) -> None:
    """The socket beside which a connection waited is gone, and nobody has taken it."""
    if transport.get_protocol() is None:
        transport.abort()


def loop_class(uvloop: bool | None) -> type:
    """Loop, or the same over uvloop's. CortenError where that is missing."""
    if uvloop is False:
        return Loop
    try:
        from uvloop import Loop as Faster
    except ImportError:
        if uvloop is None:
            return Loop
        raise CortenError("uvloop is not installed: pip install uvloop") from None
    return type("UvLoop", (Mixin, Faster), {"__doc__": "uvloop's loop, with a stack."})


def new_event_loop(
    links: list[str] | None = None,
    *,
    name_servers: list[str] | None = None,
    config: Any = None,
    uvloop: bool | None = False,
) -> Any:
    """A loop with these links, or with those of the environment's CORTEN_LINKS; without any it is
    an ordinary one. `uvloop`: True wants it, None takes it where it is installed.

    As `uvicorn --loop corten.aio:new_event_loop` takes it. CortenError for what cannot be.
    """
    if links is None:
        links = os.environ.get(LINKS, "").split()
    loop: Any = loop_class(uvloop)()
    if not links:
        return loop
    try:
        alone = Alone(links, config, name_servers)
    except BaseException:
        loop.close()
        raise
    loop.use(Network(alone.worker, loop), alone)
    return loop


def run(
    main: Coroutine[Any, Any, T],
    *,
    links: list[str] | None = None,
    debug: bool | None = None,
    **options: Any,
) -> T:
    """As asyncio.run, on a loop of `new_event_loop`."""
    factory: Callable[[], Any] = partial(new_event_loop, links, **options)
    try:
        with asyncio.Runner(debug=debug, loop_factory=factory) as runner:
            return runner.run(main)
    except CortenError:
        main.close()  # where there could be no loop, nobody has begun it
        raise
