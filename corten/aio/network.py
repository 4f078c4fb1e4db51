"""What joins a loop of Corten's to an asyncio loop: servers, connections, endpoints and names.

    network = Network(node)                      # within a running loop, asyncio's or uvloop's
    server = await network.create_server(Protocol, "10.0.2.2", 80)
    transport, protocol = await network.create_connection(Protocol, "10.0.2.1", 80)

Strategy. `host` is anything with `endpoint/loop`'s calls. One that has `kick()` as well, and
`serves(address)`, is turned by whoever made it: a simulated host. Any other is a worker or a Node,
which a `Drive` lets the asyncio loop turn.

Rules. The clock is the host's and the loop's. Calls take what asyncio's calls of the same name take
and raise what they raise: what the stack refuses is an OSError here.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from corten.aio import tls
from corten.aio.datagram import DatagramTransport
from corten.aio.drive import Drive
from corten.aio.facade import StackSocket, any_name, socket_name
from corten.aio.kick import Kick
from corten.aio.server import Server
from corten.aio.transport import StreamTransport
from corten.endpoint.error import CortenError

FIRST_PORT, LAST_PORT = 49152, 65535  # of listeners that ask for any port (RFC 6335 6)
EVERY = ("", "0.0.0.0", "::", None)  # a server's address: every one of the stack

Info = tuple[Any, Any, int, str, tuple[Any, ...]]


class Network:
    """The stack of one asyncio loop."""

    def __init__(self, host: Any, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.host = host
        self.loop = loop or asyncio.get_running_loop()
        self._next_port = FIRST_PORT
        self._drive: Drive | None = None
        if hasattr(host, "kick"):
            self._kick = Kick(host.kick)
            self._serves: Callable[[str], bool] = host.serves
            self._owns: Callable[[str], bool] = getattr(host, "owns", host.serves)
        else:
            self._drive = Drive(host, self.loop)
            self._kick = self._drive.kick
            self._serves, self._owns = self._drive.serves, self._drive.owns

    def kick(self) -> None:
        """What was sent from outside of a turn leaves soon."""
        self._kick.kick()

    def serves(self, address: str) -> bool:
        """Whether an address is for this stack: its own, or one that a link leads to."""
        return self._serves(address)

    def owns(self, address: str) -> bool:
        """Whether the stack has an address itself."""
        return self._owns(address)

    def close(self) -> None:
        """Let the host be turned no more; it stays its maker's."""
        if self._drive is not None:
            self._drive.close()

    # -- names ----------------------------------------------------------------------------------

    async def getaddrinfo(
        self,
        host: Any,
        port: Any,
        *,
        family: int = 0,
        type: int = 0,
        proto: int = 0,
        flags: int = 0,
    ) -> list[Info]:
        """As socket.getaddrinfo; names are asked of the host's resolver. socket.gaierror."""
        numeric = partial(_numeric, port=port, family=family, kind=type, proto=proto, flags=flags)
        if host is None or host == "" or is_number(text := _text(host)):
            return numeric(_text(host) if host else None)
        if flags & socket.AI_NUMERICHOST:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        found: asyncio.Future[list[str]] = self.loop.create_future()

        def tell(addresses: list[str], error: Exception | None) -> None:
            if found.done():
                return
            if error is not None:
                found.set_exception(socket.gaierror(socket.EAI_NONAME, str(error)))
            else:
                found.set_result(addresses)

        wanted = {socket.AF_INET: 4, socket.AF_INET6: 6}.get(socket.AddressFamily(family), 0)
        self.host.resolve(text, tell, wanted)
        self._kick.kick()
        return [info for address in await found for info in numeric(address)]

    # -- servers --------------------------------------------------------------------------------

    async def create_server(
        self,
        protocol_factory: Callable[[], Any],
        host: Any = None,
        port: Any = None,
        *,
        family: int = 0,
        flags: int = 0,
        sock: Any = None,
        backlog: int = 100,
        ssl: Any = None,
        reuse_address: bool | None = None,
        reuse_port: bool | None = None,
        keep_alive: bool | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        start_serving: bool = True,
    ) -> Server:
        """Accept connections at the stack's addresses: `host` is one, a list, or None for all.

        `backlog` and the `reuse_` options have no meaning here: the stack has no accept queue, and
        workers share their ports.
        """
        if sock is not None:
            raise ValueError("sock= is a socket of the kernel's: use the loop's own create_server")
        context = tls.check_context(ssl, server_side=True)
        _check_times(context, ssl_handshake_timeout, ssl_shutdown_timeout)
        factory = protocol_factory
        if context is not None:
            factory = tls.server_factory(
                self.loop, factory, context, ssl_handshake_timeout, ssl_shutdown_timeout
            )
        hosts = list(host) if isinstance(host, Iterable) and not isinstance(host, str) else [host]
        names = await self._server_names(hosts, family, flags)
        begin = partial(self._listen, names, int(port or 0), factory)
        server = Server(self.loop, begin)
        server.bind()
        if start_serving:
            await server.start_serving()
        return server

    async def _server_names(self, hosts: list[Any], family: int, flags: int) -> list[str | None]:
        """The addresses to listen at; None: every one."""
        names: list[str | None] = []
        for host in hosts:
            if host in EVERY:
                return [None]
            kind = socket.SOCK_STREAM
            for info in await self.getaddrinfo(host, 0, family=family, type=kind, flags=flags):
                if info[4][0] not in names:
                    names.append(info[4][0])
        return names

    def _listen(
        self, names: list[str | None], port: int, factory: Callable[[], Any], server: Server
    ) -> list[tuple[Any, StackSocket]]:
        listening: list[tuple[Any, StackSocket]] = []
        if server.sockets:  # it was bound before
            port = server.sockets[0].getsockname()[1]
        make = partial(StreamTransport, self.loop, self._kick, factory, server)
        try:
            for name in names:
                listener = self._listen_at(name, port, make)
                port = listener.port
                shown = socket_name((name, port)) if name else any_name(socket.AF_INET, port)
                listening.append((listener, StackSocket(shown)))
        except BaseException:
            for listener, _ in listening:
                listener.close()
            raise
        return listening

    def _listen_at(self, name: str | None, port: int, make: Callable[[], Any]) -> Any:
        """A listener; port 0 is the next free one."""
        if port:
            try:
                return self.host.listen(port, make, name)
            except CortenError as error:
                raise OSError(
                    errno.EADDRINUSE,
                    f"error while attempting to bind on address ({name!r}, {port}): {error}",
                ) from None
        for _ in range(FIRST_PORT, LAST_PORT + 1):
            port, self._next_port = self._next_port, self._next_port + 1
            if self._next_port > LAST_PORT:
                self._next_port = FIRST_PORT
            try:
                return self.host.listen(port, make, name)
            except CortenError:  # silent: it is in use, the next one is tried
                continue
        raise OSError(errno.EADDRINUSE, "no free port to listen at")

    # -- connections ----------------------------------------------------------------------------

    async def create_connection(
        self,
        protocol_factory: Callable[[], Any],
        host: Any = None,
        port: Any = None,
        *,
        ssl: Any = None,
        family: int = 0,
        proto: int = 0,
        flags: int = 0,
        sock: Any = None,
        local_addr: tuple[str, int] | None = None,
        server_hostname: str | None = None,
        ssl_handshake_timeout: float | None = None,
        ssl_shutdown_timeout: float | None = None,
        happy_eyeballs_delay: float | None = None,
        interleave: int | None = None,
        all_errors: bool = False,
    ) -> tuple[Any, Any]:
        """Open a connection; what is resolved is tried in turn, or raced (RFC 8305) where
        `happy_eyeballs_delay` is given."""
        if sock is not None:
            raise ValueError("sock= is a socket of the kernel's: use the loop's own call")
        context = tls.check_context(ssl, server_side=False)
        _check_times(context, ssl_handshake_timeout, ssl_shutdown_timeout)
        name = _server_name(context, host, server_hostname)
        infos = await self.getaddrinfo(
            host, port, family=family, type=socket.SOCK_STREAM, proto=proto, flags=flags
        )
        transport = await self.open_any(
            [info[4] for info in infos], local_addr, happy_eyeballs_delay, all_errors
        )
        return await self.dress(
            transport,
            protocol_factory,
            context,
            name,
            ssl_handshake_timeout,
            ssl_shutdown_timeout,
        )

    async def dress(
        self,
        transport: StreamTransport,
        protocol_factory: Callable[[], Any],
        context: Any,
        server_hostname: str | None,
        handshake: float | None,
        shutdown: float | None,
    ) -> tuple[Any, Any]:
        """Give an open connection its protocol, under TLS where there is a context."""
        try:
            protocol = protocol_factory()
        except BaseException:
            transport.abort()
            raise
        if context is None:
            transport.begin(protocol)
            return transport, protocol
        secured = await tls.wrap(
            self.loop, transport, protocol, context, server_hostname, handshake, shutdown
        )
        return secured, protocol

    async def open_any(
        self,
        names: list[tuple[Any, ...]],
        local: tuple[str, int] | None,
        delay: float | None = None,
        all_errors: bool = False,
    ) -> StreamTransport:
        """Connect to the first of `names` that answers."""
        if not names:
            raise OSError("getaddrinfo() returned empty list")
        errors: list[Exception] = []
        if delay is not None and len(names) > 1:
            winner, errors = await self._race(names, local, delay)
            if winner is not None:
                return winner
        else:
            for name in names:
                try:
                    return await self.open_one(name, local)
                except OSError as error:
                    errors.append(error)
        if all_errors:
            raise ExceptionGroup("create_connection failed", errors)
        if len(errors) == 1 or all(str(e) == str(errors[0]) for e in errors):
            raise errors[0]
        raise OSError(f"Multiple exceptions: {', '.join(str(error) for error in errors)}")

    async def _race(
        self, names: list[tuple[Any, ...]], local: tuple[str, int] | None, delay: float
    ) -> tuple[StreamTransport | None, list[Exception]]:
        """One more every `delay` seconds, until one is open (RFC 8305 5)."""
        from asyncio.staggered import staggered_race

        opened: list[StreamTransport] = []

        async def attempt(name: tuple[Any, ...]) -> StreamTransport:
            opened.append(await self.open_one(name, local))
            return opened[-1]

        tries = [partial(attempt, name) for name in names]
        winner, _, outcomes = await staggered_race(tries, delay)
        for transport in opened:
            if transport is not winner:  # it was open before it could be called off
                transport.abort()
        return winner, [each for each in outcomes if isinstance(each, Exception)]

    async def open_one(
        self, name: tuple[Any, ...], local: tuple[str, int] | None = None
    ) -> StreamTransport:
        """A connection that waits for its protocol (`begin`). OSError where it cannot be."""
        waiter: asyncio.Future[None] = self.loop.create_future()
        transport = StreamTransport(self.loop, self._kick, None, None, waiter)
        options: dict[str, object] = {}
        if local is not None:
            address = local[0] if local[0] not in EVERY else None
            options["source"] = (address, local[1] or None)
        try:
            connection = self.host.connect(name[0], name[1], lambda: transport, **options)
        except CortenError as error:
            raise OSError(errno.EADDRNOTAVAIL, str(error)) from None
        self._kick.kick()
        try:
            await waiter
        except OSError as error:
            if error.errno is None:
                number = _NUMBERS.get(type(error), errno.EIO)
                raise type(error)(number, f"Connect call failed {name[:2]}: {error}") from error
            raise
        except asyncio.CancelledError:
            connection.abort()
            transport.abort()
            self._kick.kick()
            raise
        return transport

    async def start_tls(
        self, transport: Any, protocol: Any, sslcontext: Any, **options: Any
    ) -> Any:
        """As `loop.start_tls`, which uvloop's has only for its own transports."""
        return await tls.start_tls(self.loop, transport, protocol, sslcontext, **options)

    # -- datagrams ------------------------------------------------------------------------------

    async def create_datagram_endpoint(
        self,
        protocol_factory: Callable[[], Any],
        local_addr: tuple[Any, ...] | None = None,
        remote_addr: tuple[Any, ...] | None = None,
        *,
        family: int = 0,
        proto: int = 0,
        flags: int = 0,
        reuse_address: bool | None = None,
        reuse_port: bool | None = None,
        allow_broadcast: bool | None = None,
        sock: Any = None,
    ) -> tuple[DatagramTransport, Any]:
        """A UDP endpoint of the stack."""
        if sock is not None:
            raise ValueError("sock= is a socket of the kernel's: use the loop's own call")
        address, port, peer = None, 0, None
        if remote_addr is not None:
            info = await self.getaddrinfo(
                *remote_addr[:2], family=family, type=socket.SOCK_DGRAM, proto=proto, flags=flags
            )
            peer = info[0][4][:2]
        if local_addr is not None:
            port = int(local_addr[1] or 0)
            if local_addr[0] not in EVERY:
                info = await self.getaddrinfo(
                    local_addr[0], 0, family=family, type=socket.SOCK_DGRAM, flags=flags
                )
                address = info[0][4][0]
        transport = DatagramTransport(self.loop, self._kick)
        options = {"broadcast": True} if allow_broadcast else {}
        try:
            endpoint = self.host.bind(port, transport, address, peer=peer, **options)
        except CortenError as error:
            raise OSError(errno.EADDRINUSE, str(error)) from None
        try:
            protocol = protocol_factory()
        except BaseException:
            endpoint.close()
            raise
        transport.begin(endpoint, protocol)
        self._kick.kick()
        await asyncio.sleep(0)
        return transport, protocol


_NUMBERS: dict[type, int] = {
    ConnectionRefusedError: errno.ECONNREFUSED,
    ConnectionResetError: errno.ECONNRESET,
    ConnectionAbortedError: errno.ECONNABORTED,
    TimeoutError: errno.ETIMEDOUT,
}


def is_number(text: str) -> bool:
    """Whether it is an address, with or without a zone, and no name."""
    try:
        socket.getaddrinfo(text, None, flags=socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):  # silent: that is the answer
        return False
    return True


def _numeric(
    address: str | None, port: Any, family: int, kind: int, proto: int, flags: int
) -> list[Info]:
    """The table of one address: nothing is asked of anybody for it."""
    numeric = flags | socket.AI_NUMERICHOST
    return socket.getaddrinfo(address, port, family, kind, proto, numeric)


def _text(host: Any) -> str:
    return host.decode("idna") if isinstance(host, bytes) else str(host)


def _check_times(context: Any, handshake: float | None, shutdown: float | None) -> None:
    for name, value in (("handshake", handshake), ("shutdown", shutdown)):
        if value is not None and context is None:
            raise ValueError(f"ssl_{name}_timeout is only meaningful with ssl")


def _server_name(context: Any, host: Any, server_hostname: str | None) -> str | None:
    """Whom a certificate must be for; ValueError as asyncio raises it."""
    if server_hostname is not None and context is None:
        raise ValueError("server_hostname is only meaningful with ssl")
    if context is None or server_hostname is not None:
        return server_hostname
    if not host:
        raise ValueError("You must set server_hostname when using ssl without a host")
    return str(host)
