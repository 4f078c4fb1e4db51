"""setsockopt and getsockopt: names to settings of Config, and to what a connection says of itself.

Rules. An option of TCP that the stack does not have is ENOPROTOOPT, as a kernel without it would
say; options of other protocols and of the system around (time stamps, zero copy, marks) are
Unsupported, which the report names.
"""

from __future__ import annotations

import errno
from typing import Any

from corten.drill.error import Unsupported
from corten.drill.reader import await_word, wake
from corten.drill.sockets import Socket, SocketError, Sockets

MS = 1_000_000
SECOND = 1_000 * MS
IGNORED = {
    "SO_REUSEADDR", "SO_REUSEPORT", "SO_NOSIGPIPE", "SO_DEBUG", "SO_PRIORITY", "SO_OOBINLINE",
    "TCP_QUICKACK", "TCP_NOTSENT_LOWAT", "TCP_LINGER2", "IP_MTU_DISCOVER", "IPV6_MTU_DISCOVER",
    "IP_FREEBIND", "IPV6_V6ONLY", "IPV6_USE_MIN_MTU",
}  # fmt: skip
KEEPALIVE_IDLE = 7200  # seconds, where the application says nothing else (MUST-28)
TIMES = {  # option: setting, nanoseconds of one unit
    "TCP_KEEPINTVL": ("keepalive_interval_ns", SECOND),
    "TCP_USER_TIMEOUT": ("user_timeout_ns", MS),
    "TCP_KEEPINIT": ("syn_timeout_ns", SECOND),
}
NUMBERS = {"TCP_KEEPCNT": "keepalive_count", "IP_TTL": "ttl", "IPV6_UNICAST_HOPS": "ttl"}
_TOS = ("IP_TOS", "IPV6_TCLASS")
_TCP_LEVELS = ("SOL_TCP", "IPPROTO_TCP")


class Options:
    """The socket options of one script. `doubles`: SO_SNDBUF and SO_RCVBUF count twice, as on
    Linux."""

    def __init__(self, sockets: Sockets) -> None:
        self.sockets = sockets
        self.doubles = False

    # -- setting ----------------------------------------------------------------------------

    def set(self, fd: int, level: str, name: str, value: Any) -> int:
        """`value`: a number, text, or (onoff, seconds) of SO_LINGER."""
        socket = self.sockets.find(fd)
        if name in ("SO_LINGER", "TCP_CORK", "TCP_NOPUSH"):
            socket.options["TCP_CORK" if name == "TCP_NOPUSH" else name] = value
            if name != "SO_LINGER" and not value:
                self.sockets.release(socket)
        elif name in ("SO_SNDBUF", "SO_RCVBUF"):
            self._buffer(socket, name, value)
        elif name == "TCP_CONGESTION":
            self._apply(socket, "congestion", str(value))
        elif name == "TCP_NODELAY":
            self._apply(socket, "nagle", not value)
            if value:
                self.sockets.release(socket)
            self._wake(socket)
        elif name in ("SO_KEEPALIVE", "TCP_KEEPIDLE"):
            socket.options[name] = value
            self._keep_alive(socket)
        elif name in TIMES:
            setting, unit = TIMES[name]
            if value < 0:
                raise SocketError("EINVAL")
            self._apply(socket, setting, value * unit)
        elif name in NUMBERS:
            self._apply(socket, NUMBERS[name], value)
        elif name in _TOS:
            self._apply(socket, "dscp", value >> 2)
        elif name == "TCP_MAXSEG":
            self._apply(socket, "mss", value)
        elif name not in IGNORED:
            raise self._unknown(level, name)
        socket.options[name] = value
        return 0

    def _unknown(self, level: str, name: str) -> Exception:
        if level in _TCP_LEVELS:
            return SocketError("ENOPROTOOPT")
        return Unsupported(f"socket option {name}")

    def _buffer(self, socket: Socket, name: str, value: int) -> None:
        size = value * 2 if self.doubles else value
        if name == "SO_SNDBUF":
            socket.send_buffer = size
        else:
            self._apply(socket, "receive_buffer", max(size, 2048))
            self._apply(socket, "receive_buffer_max", max(size, 2048))  # and it does not grow

    def _apply(self, socket: Socket, setting: str, value: Any) -> None:
        """For connections to come, and for the one there is."""
        config = self.sockets.world.stack.config
        if not hasattr(config, setting):
            raise SocketError("ENOPROTOOPT")
        changed = {**socket.settings, setting: value}
        if setting == "receive_buffer":
            changed["receive_buffer_max"] = value
        config.with_settings(changed)  # CortenError for an impossible value
        socket.settings[setting] = value
        if socket.listener is not None:
            setattr(socket.listener.config, setting, value)
        stream = socket.stream
        if stream is not None and stream.connection is not None and not stream.is_over:
            setattr(stream.connection.config, setting, value)

    def _keep_alive(self, socket: Socket) -> None:
        """Whether, and after how long, a silent peer is asked."""
        idle = socket.options.get("TCP_KEEPIDLE", self._keep_idle())
        self._apply(
            socket, "keepalive_ns", idle * SECOND if socket.options.get("SO_KEEPALIVE") else 0
        )
        stream = socket.stream
        if stream is not None and stream.is_open and not stream.is_over:
            await_word(stream.connection)

    def _keep_idle(self) -> int:
        """Seconds, as a command has set them."""
        return self.sockets.reported.get("TCP_KEEPIDLE", KEEPALIVE_IDLE)

    def _wake(self, socket: Socket) -> None:
        """What a setting held back goes now."""
        stream = socket.stream
        if stream is not None and stream.connection is not None and not stream.is_over:
            wake(stream.connection)

    # -- getting ----------------------------------------------------------------------------

    def get(self, fd: int, level: str, name: str) -> Any:
        """The value: a number, text, (onoff, seconds), or None for what a script leaves open."""
        socket = self.sockets.find(fd)
        stream = socket.stream
        if name == "SO_ERROR":
            if stream is None or not stream.error:
                return 0
            number, stream.error = getattr(errno, stream.error), ""
            return number
        if name == "TCP_MAXSEG":
            if stream is None or not stream.is_open or stream.is_over:
                return socket.options.get(name, 536)
            return int(stream.connection.snd_mss)
        if name == "SO_RCVBUF":
            return self._receive_buffer(socket)
        if name == "SO_SNDBUF":
            return socket.send_buffer
        if name == "SO_ACCEPTCONN":
            return int(socket.listener is not None)
        if name in ("TCP_INFO", "TCP_CC_INFO"):
            return None
        if name in ("IP_MTU", "IPV6_MTU"):
            return self._path_mtu(socket)
        if name == "SO_LINGER":
            return socket.options.get(name, (0, 0))
        return self._setting(socket, level, name)

    def _setting(self, socket: Socket, level: str, name: str) -> Any:
        config = self.sockets.world.stack.config

        def value(setting: str) -> Any:
            if setting not in socket.settings and not hasattr(config, setting):
                raise SocketError("ENOPROTOOPT")
            return socket.settings.get(setting, getattr(config, setting, None))

        if name == "TCP_NODELAY":
            return int(not value("nagle"))
        if name == "SO_KEEPALIVE":
            return int(value("keepalive_ns") != 0)
        if name == "TCP_KEEPIDLE":
            return socket.options.get(name, self._keep_idle())
        if name in TIMES:
            setting, unit = TIMES[name]
            return value(setting) // unit
        if name in NUMBERS:
            return value(NUMBERS[name])
        if name in _TOS:
            return value("dscp") << 2
        if name == "TCP_CONGESTION":
            return value("congestion")
        if name in socket.options:
            return socket.options[name]
        if name in IGNORED or name == "TCP_CORK":
            return 0
        raise self._unknown(level, name)

    def _receive_buffer(self, socket: Socket) -> int:
        """What the receive window is made of; `reported` until the peer's SYN has rounded it."""
        config = self.sockets.world.stack.config
        size = int(socket.settings.get("receive_buffer", config.receive_buffer))
        stream = socket.stream
        if (stream is None or not stream.has_met()) and "SO_RCVBUF" in self.sockets.reported:
            return self.sockets.reported["SO_RCVBUF"]
        return size

    def _path_mtu(self, socket: Socket) -> int:
        stream = socket.connected()
        if stream.connection is None:
            raise SocketError("ENOTCONN")
        return int(stream.connection.path.mtu)
