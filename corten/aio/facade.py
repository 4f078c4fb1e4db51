"""The socket that programs ask a transport or a server for: names and options, no descriptor."""

from __future__ import annotations

import socket
from typing import Any, NoReturn

_ANY = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}


def socket_name(name: tuple[str, int]) -> tuple[Any, ...]:
    """(address, port) as the socket module has it: IPv6 with flow information and zone."""
    address, port = name
    if ":" not in address:
        return address, port
    return address, port, 0, 0


def any_name(family: int, port: int) -> tuple[Any, ...]:
    """The name of a listener on every address."""
    return socket_name((_ANY[socket.AddressFamily(family)], port))


class StackSocket:
    """One end of a connection of the stack, or a listener. Setting an option is accepted where the
    stack does it already (TCP_NODELAY, SO_KEEPALIVE and the like are hints) and without effect."""

    proto = 0

    def __init__(
        self,
        sockname: tuple[Any, ...],
        peername: tuple[Any, ...] | None = None,
        kind: socket.SocketKind = socket.SOCK_STREAM,
    ) -> None:
        self._sockname, self._peername = sockname, peername
        self.type = kind

    @property
    def family(self) -> socket.AddressFamily:
        return socket.AF_INET6 if len(self._sockname) == 4 else socket.AF_INET

    def getsockname(self) -> tuple[Any, ...]:
        return self._sockname

    def getpeername(self) -> tuple[Any, ...]:
        if self._peername is None:
            raise OSError(107, "Transport endpoint is not connected")
        return self._peername

    def fileno(self) -> int:
        return -1

    def setsockopt(self, *arguments: object) -> None:
        """Accepted; see the class."""

    def getsockopt(self, level: int, option: int, buflen: int = 0) -> int | bytes:
        """0, as of an option that is not set; TCP_NODELAY is."""
        value = int((level, option) == (socket.IPPROTO_TCP, socket.TCP_NODELAY))
        return value.to_bytes(buflen, "little") if buflen else value

    def gettimeout(self) -> float:
        return 0.0

    def settimeout(self, value: float | None) -> None:
        if value != 0:
            raise ValueError("settimeout(): only 0 timeout is allowed on transport sockets")

    def setblocking(self, flag: bool) -> None:
        if flag:
            raise ValueError("setblocking(): transport sockets cannot be blocking")

    def get_inheritable(self) -> bool:
        return False

    def dup(self) -> NoReturn:
        raise TypeError("a socket of the stack has no descriptor to duplicate")

    def __repr__(self) -> str:
        return f"<StackSocket {self._sockname} -> {self._peername}>"
