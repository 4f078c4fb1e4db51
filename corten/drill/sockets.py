"""BSD sockets over a Stack's handlers, as far as scripts use them: descriptors, calls, errors.

Rules. A call that cannot go on raises WouldBlock; whether that is EAGAIN or a wait is for the
caller to say. A call that fails raises SocketError with the errno's name. Nothing here sleeps.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from corten.drill.stream import Stream
from corten.drill.world import World
from corten.endpoint.error import CortenError

BIND_PORT = 8080
CONNECT_PORT = 8080
SEND_BUFFER = 512 * 1024
SECOND_NS = 1_000_000_000


class SocketError(Exception):
    """A call failed: `name` is the errno's."""

    def __init__(self, name: str, detail: str = "") -> None:
        super().__init__(name)
        self.name = name
        self.detail = detail  # what the stack says of it


def _refused(error: CortenError) -> SocketError:
    """What the stack refuses, as errno."""
    return SocketError("EADDRINUSE" if "in use" in str(error) else "EINVAL", str(error))


class WouldBlock(Exception):
    """The call cannot go on now."""


class Socket:
    """One TCP socket: fresh, listening, connecting or connected."""

    def __init__(self, settings: dict[str, Any]) -> None:
        self.settings = settings  # of Config, for the connections to come
        self.options: dict[str, Any] = {}  # what setsockopt said, by name
        self.port = 0
        self.listener: Any = None
        self.backlog = 0
        self.arrived: deque[Stream] = deque()  # established, not yet accepted
        self.stream: Stream | None = None
        self.is_nonblocking = False
        self.is_connecting = False
        self.write_is_shut = False
        self.read_is_shut = False
        self.send_buffer = SEND_BUFFER
        self.held = 0  # octets written that wait for more (TCP_CORK, MSG_MORE)

    def connected(self) -> Stream:
        """The stream of a connection that once was established."""
        if self.stream is None:
            raise SocketError("ENOTCONN")
        return self.stream


class Sockets:
    """The descriptors of one script."""

    def __init__(self, world: World, defaults: dict[str, Any]) -> None:
        """`defaults`: settings of Config that every new socket begins with; may change."""
        self.world = world
        self.defaults = defaults
        self.open: dict[int, Socket] = {}
        self.streams: list[Stream] = []  # all there ever were
        self.newest: Stream | None = None  # the connection that code looks at
        self.tracked: Socket | None = None  # the newest socket that was made
        self.reported: dict[str, int] = {}  # options that a dialect reports otherwise at first
        self.bind_port = BIND_PORT
        self.connect_port = CONNECT_PORT

    def find(self, fd: int) -> Socket:
        if fd not in self.open:
            raise SocketError("EBADF")
        return self.open[fd]

    # -- making -----------------------------------------------------------------------------

    def socket(self) -> int:
        self.tracked = Socket(dict(self.defaults))
        self.newest = None
        return self._add(self.tracked)

    def _add(self, socket: Socket) -> int:
        fd = 3
        while fd in self.open:
            fd += 1
        self.open[fd] = socket
        return fd

    def bind(self, fd: int) -> int:
        socket = self.find(fd)
        if socket.port:
            raise SocketError("EINVAL")
        socket.port = self.bind_port
        return 0

    def listen(self, fd: int, backlog: int) -> int:
        socket = self.find(fd)
        if socket.stream is not None:
            raise SocketError("EINVAL")
        socket.backlog = backlog
        if socket.listener is not None:
            return 0

        def arrive() -> Stream:
            stream = self._stream(None)
            if socket.listener is None:
                stream.is_detached = True
            else:
                socket.arrived.append(stream)
            return stream

        try:
            socket.listener = self.world.stack.listen(
                socket.port or self.bind_port, arrive, **socket.settings
            )
        except CortenError as error:
            raise _refused(error) from error
        return 0

    def _stream(self, owner: Socket | None) -> Stream:
        self.newest = Stream(owner)
        self.streams.append(self.newest)
        return self.newest

    def accept(self, fd: int) -> int:
        socket = self.find(fd)
        if socket.listener is None:
            raise SocketError("EINVAL")
        if not socket.arrived:
            raise WouldBlock
        accepted = Socket(socket.settings)
        accepted.port = socket.port
        accepted.options = dict(socket.options)
        accepted.send_buffer = socket.send_buffer
        accepted.stream = socket.arrived.popleft()
        accepted.stream.owner = accepted
        return self._add(accepted)

    # -- connecting -------------------------------------------------------------------------

    def connect(self, fd: int) -> int:
        """0 when connected; WouldBlock while it goes on; the first call begins it."""
        socket = self.find(fd)
        stream = socket.stream
        if stream is not None and socket.is_connecting:
            return self._go_on(socket, stream)
        if socket.listener is not None:
            raise SocketError("EOPNOTSUPP")
        if stream is not None:
            raise SocketError("EISCONN")
        self.begin(socket)
        raise WouldBlock

    def begin(self, socket: Socket) -> None:
        """Send the SYN."""
        stack = self.world.stack
        stream = self._stream(socket)
        socket.stream = stream
        socket.is_connecting = True
        stack.expire(self.world.now)  # tells the stack what time it is
        try:
            stream.connection = stack.connect(
                self.world.remote,
                self.connect_port,
                lambda: stream,
                source=(None, socket.port or None),
                **socket.settings,
            )
        except CortenError as error:
            socket.stream, socket.is_connecting = None, False
            raise _refused(error) from error
        stream.connection.pause()

    def _go_on(self, socket: Socket, stream: Stream) -> int:
        if stream.is_open:
            socket.is_connecting = False
            return 0
        if stream.is_over:
            socket.is_connecting = False
            socket.stream = None
            raise SocketError(stream.error or "ECONNABORTED")
        raise WouldBlock

    def is_under_way(self, fd: int) -> bool:
        """Whether a connect has begun and not ended."""
        socket = self.find(fd)
        return socket.is_connecting and socket.stream is not None

    # -- data -------------------------------------------------------------------------------

    def read(self, fd: int, length: int, peek: bool = False) -> bytes:
        """Up to `length` octets; b"" at the end of the stream."""
        socket = self.find(fd)
        stream = socket.connected()
        self._settle(socket, stream)
        if not stream.is_open and not stream.is_over:
            raise WouldBlock
        if socket.read_is_shut:
            return b""
        if stream.ready_len():
            return stream.look(length) if peek else stream.take(length)
        if stream.error:
            name, stream.error = stream.error, ""
            raise SocketError(name)
        if stream.at_eof() or length == 0:
            return b""
        raise WouldBlock

    def _settle(self, socket: Socket, stream: Stream) -> None:
        """A connect that has ended without anybody asking."""
        if socket.is_connecting and (stream.is_open or stream.is_over):
            socket.is_connecting = False

    def write(self, fd: int, length: int, data: bytes | None = None, more: bool = False) -> int:
        """How many octets went into the send buffer; at least one. `more`: others follow soon."""
        socket = self.find(fd)
        stream = socket.connected()
        self._settle(socket, stream)
        if stream.error:
            name, stream.error = stream.error, ""
            raise SocketError(name)
        if socket.write_is_shut or stream.is_over:
            raise SocketError("EPIPE")
        if not stream.is_open:
            raise WouldBlock
        room = socket.send_buffer - stream.queued_len() - socket.held
        if length and room <= 0:
            raise WouldBlock
        taken = min(length, room)
        if data is not None:
            stream.write(data[:taken], taken)
            return taken
        socket.held += taken
        self.release(socket, more or bool(socket.options.get("TCP_CORK")))
        return taken

    def release(self, socket: Socket, hold: bool = False) -> None:
        """Give the stack what was written; `hold`: whole segments only."""
        stream = socket.stream
        if stream is None or stream.is_over or not socket.held:
            return
        size = socket.held
        if hold:
            size -= size % max(1, int(stream.connection.snd_mss))
        if size:
            socket.held -= size
            stream.write(None, size)

    # -- ending -----------------------------------------------------------------------------

    def shutdown(self, fd: int, read: bool, write: bool) -> int:
        socket = self.find(fd)
        stream = socket.connected()
        self._settle(socket, stream)
        if stream.is_over or not (stream.is_open or socket.is_connecting):
            raise SocketError("ENOTCONN")
        if write and not socket.write_is_shut:
            self.release(socket)
            socket.write_is_shut = True
            stream.connection.shutdown()
        if read:
            socket.read_is_shut = True
        return 0

    def close(self, fd: int) -> int:
        socket = self.find(fd)
        del self.open[fd]
        if socket.listener is not None:
            socket.listener.close()
            socket.listener = None
            for stream in socket.arrived:
                self._drop(stream, reset=True)
        if socket.stream is not None:
            self.release(socket)
            onoff, seconds = socket.options.get("SO_LINGER", (0, 0))
            unread = socket.stream.ready_len() > 0 and not socket.read_is_shut
            if onoff and seconds and socket.stream.connection is not None:
                socket.stream.connection.config.linger_ns = seconds * SECOND_NS
            self._drop(socket.stream, reset=unread or (onoff != 0 and seconds == 0))
        return 0

    def _drop(self, stream: Stream, reset: bool) -> None:
        """Nobody reads this stream any more."""
        stream.is_detached = True
        if stream.is_over or stream.connection is None:
            return
        if reset:
            stream.connection.abort()
        else:
            stream.connection.close()
            stream.connection.resume()

    # -- looking ----------------------------------------------------------------------------

    def events(self, fd: int) -> set[str]:
        """What `poll` would report of a socket."""
        socket = self.find(fd)
        found: set[str] = set()
        if socket.listener is not None:
            return {"POLLIN", "POLLRDNORM"} if socket.arrived else found
        stream = socket.stream
        if stream is None:
            return {"POLLOUT", "POLLWRNORM", "POLLHUP"}
        if stream.ready_len() or stream.at_eof() or stream.error:
            found |= {"POLLIN", "POLLRDNORM"}
        if stream.at_eof() or stream.error:
            found |= {"POLLRDHUP"}
        if stream.error:
            found |= {"POLLERR"}
        if stream.is_over or (stream.at_eof() and socket.write_is_shut):
            found |= {"POLLHUP"}
        room = socket.send_buffer - stream.queued_len() - socket.held
        if stream.is_over or (stream.is_open and room > 0):
            found |= {"POLLOUT", "POLLWRNORM"}
        return found

    def stream_between(self, stack_port: int, peer_port: int) -> Stream | None:
        """The newest stream of a pair of ports."""
        for stream in reversed(self.streams):
            connection = stream.connection
            if connection is None:
                continue
            if (connection.local_port, connection.remote_port) == (stack_port, peer_port):
                return stream
        return None
