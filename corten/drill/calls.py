"""System calls by name: arguments from a script's expressions, results as a kernel would give them.

Strategy. Each call is a method that answers its result, or raises SocketError or WouldBlock. The
runner decides by the event whether a call that would block may wait.

Rules. What does not concern TCP sockets is Unsupported, by name. What is read must be what the peer
sent at that place of the stream.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from corten.drill.constant import constant, names_of, number_of
from corten.drill.error import Differs, ScriptError, Unsupported
from corten.drill.nodes import (
    Array,
    Call,
    Expression,
    Member,
    Number,
    Open,
    Struct,
    Text,
    Word,
)
from corten.drill.pattern import first_difference, pattern
from corten.drill.polling import Polling
from corten.drill.socket_option import Options
from corten.drill.sockets import SocketError, Sockets, WouldBlock

_REFUSED_FLAGS = {"MSG_ERRQUEUE", "MSG_ZEROCOPY", "MSG_OOB"}


class Calls:
    """The calls of one script."""

    def __init__(self, sockets: Sockets) -> None:
        self.sockets = sockets
        self.options = Options(sockets)
        self.fds: dict[int, int] = {}  # the script's descriptor -> ours
        self.polling = Polling(self)

    def start(self, call: Call) -> Callable[[], int]:
        """The call as something to try until it does not block. ScriptError for wrong arguments,
        Unsupported for a call that is not about TCP sockets."""
        method = getattr(self, f"_{call.name}", None)
        if method is None:
            raise Unsupported(f"system call {call.name}")
        try:
            return method(call)
        except IndexError:
            raise ScriptError(f"{call.name}: an argument is missing") from None

    def fd(self, expression: Expression) -> int:
        """Our descriptor for the script's."""
        number = number_of(expression)
        if number not in self.fds:
            raise SocketError("EBADF")
        return self.fds[number]

    def may_block(self, call: Call) -> bool:
        """Whether a call that cannot go on waits, or is EAGAIN."""
        if call.name in ("poll", "epoll_wait", "connect"):
            return True
        try:
            socket = self.sockets.find(self.fd(call.arguments[0]))
        except SocketError:  # silent: the call itself says so
            return False
        names = set().union(*(names_of(argument) for argument in call.arguments))
        return not socket.is_nonblocking and "MSG_DONTWAIT" not in names

    # -- making and ending ------------------------------------------------------------------

    def _socket(self, call: Call) -> Callable[[], int]:
        kinds = names_of(call.arguments[1])
        if "SOCK_STREAM" not in kinds:
            raise Unsupported(f"a socket of {'|'.join(sorted(kinds)) or 'another kind'}")
        protocol = names_of(call.arguments[2])
        if protocol and not protocol <= {"IPPROTO_TCP"}:
            raise Unsupported(f"a socket of {'|'.join(sorted(protocol))}")

        def run() -> int:
            fd = self.sockets.socket()
            self.sockets.find(fd).is_nonblocking = "SOCK_NONBLOCK" in kinds
            return self._alias(call, fd)

        return run

    def _alias(self, call: Call, fd: int) -> int:
        """The script calls a new descriptor as it likes."""
        if isinstance(call.result, Number) and call.result.value >= 0:
            self.fds[call.result.value] = fd
            return call.result.value
        self.fds[fd] = fd
        return fd

    def _bind(self, call: Call) -> Callable[[], int]:
        return lambda: self.sockets.bind(self.fd(call.arguments[0]))

    def _listen(self, call: Call) -> Callable[[], int]:
        backlog = number_of(call.arguments[1])
        return lambda: self.sockets.listen(self.fd(call.arguments[0]), backlog)

    def _accept(self, call: Call) -> Callable[[], int]:
        def run() -> int:
            fd = self.sockets.accept(self.fd(call.arguments[0]))
            if len(call.arguments) > 3:
                flags = names_of(call.arguments[3])
                self.sockets.find(fd).is_nonblocking = "SOCK_NONBLOCK" in flags
            return self._alias(call, fd)

        return run

    _accept4 = _accept

    def _connect(self, call: Call) -> Callable[[], int]:
        def run() -> int:
            fd = self.fd(call.arguments[0])
            waits = self.sockets.find(fd).is_nonblocking
            under_way = self.sockets.is_under_way(fd)
            try:
                return self.sockets.connect(fd)
            except WouldBlock:
                if waits:
                    raise SocketError("EALREADY" if under_way else "EINPROGRESS") from None
                raise

        return run

    def _shutdown(self, call: Call) -> Callable[[], int]:
        how = number_of(call.arguments[1])
        return lambda: self.sockets.shutdown(self.fd(call.arguments[0]), how != 1, how != 0)

    def _close(self, call: Call) -> Callable[[], int]:
        def run() -> int:
            if self.polling.close(number_of(call.arguments[0])):
                return 0
            fd = self.fd(call.arguments[0])
            del self.fds[number_of(call.arguments[0])]
            return self.sockets.close(fd)

        return run

    # -- reading ----------------------------------------------------------------------------

    def _receive(self, call: Call, length: int, flags: Expression | None) -> Callable[[], int]:
        names = names_of(flags) if flags is not None else set()
        if names & _REFUSED_FLAGS:
            raise Unsupported(" ".join(sorted(names & _REFUSED_FLAGS)))
        peek = "MSG_PEEK" in names

        def run() -> int:
            fd = self.fd(call.arguments[0])
            stream = self.sockets.find(fd).connected()
            position = stream.read_at
            data = self.sockets.read(fd, length, peek)
            wanted = pattern(position, len(data))
            if data != wanted:
                where = position + first_difference(data, wanted)
                raise Differs(f"the octet read at {where} is not what the peer sent there")
            return len(data)

        return run

    def _read(self, call: Call) -> Callable[[], int]:
        return self._receive(call, number_of(call.arguments[2]), None)

    def _recv(self, call: Call) -> Callable[[], int]:
        return self._receive(call, number_of(call.arguments[2]), call.arguments[3])

    _recvfrom = _recv

    def _readv(self, call: Call) -> Callable[[], int]:
        return self._receive(call, _vector_len(call.arguments[1]), None)

    def _recvmsg(self, call: Call) -> Callable[[], int]:
        return self._receive(call, _message_len(call.arguments[1]), call.arguments[2])

    # -- writing ----------------------------------------------------------------------------

    def _transmit(
        self, call: Call, length: int, flags: Expression | None, data: bytes | None = None
    ) -> Callable[[], int]:
        names = names_of(flags) if flags is not None else set()
        if names & _REFUSED_FLAGS:
            raise Unsupported(" ".join(sorted(names & _REFUSED_FLAGS)))
        if "MSG_FASTOPEN" in names:
            return _failing("EOPNOTSUPP")
        done = 0

        def run() -> int:
            nonlocal done
            fd = self.fd(call.arguments[0])
            rest = data[done:] if data is not None else None
            try:
                done += self.sockets.write(fd, length - done, rest, "MSG_MORE" in names)
            except WouldBlock:
                if done and not self.may_block(call):
                    return done
                raise
            if done < length:
                if not self.may_block(call):
                    return done
                raise WouldBlock
            return done

        return run

    def _write(self, call: Call) -> Callable[[], int]:
        length = number_of(call.arguments[2])
        return self._transmit(call, length, None, _octets(call.arguments[1], length))

    def _send(self, call: Call) -> Callable[[], int]:
        length = number_of(call.arguments[2])
        data = _octets(call.arguments[1], length)
        return self._transmit(call, length, call.arguments[3], data)

    _sendto = _send

    def _writev(self, call: Call) -> Callable[[], int]:
        return self._transmit(call, _vector_len(call.arguments[1]), None)

    def _sendmsg(self, call: Call) -> Callable[[], int]:
        return self._transmit(call, _message_len(call.arguments[1]), call.arguments[2])

    # -- options and descriptors ------------------------------------------------------------

    def _setsockopt(self, call: Call) -> Callable[[], int]:
        level, name = _word(call.arguments[1]), _word(call.arguments[2])
        value = _option_value(call.arguments[3])
        return lambda: self.options.set(self.fd(call.arguments[0]), level, name, value)

    def _getsockopt(self, call: Call) -> Callable[[], int]:
        level, name = _word(call.arguments[1]), _word(call.arguments[2])
        wanted = call.arguments[3]

        def run() -> int:
            found = self.options.get(self.fd(call.arguments[0]), level, name)
            value = _option_value(wanted)
            if found is not None and value is not None and found != value:
                raise Differs(f"getsockopt {name}: {found} instead of {value}")
            return 0

        return run

    def _fcntl(self, call: Call) -> Callable[[], int]:
        operation = _word(call.arguments[1])
        flags = names_of(call.arguments[2]) if len(call.arguments) > 2 else set()

        def run() -> int:
            socket = self.sockets.find(self.fd(call.arguments[0]))
            if operation == "F_GETFL":
                return constant("O_RDWR") | (os.O_NONBLOCK if socket.is_nonblocking else 0)
            if operation != "F_SETFL":
                raise Unsupported(f"fcntl {operation}")
            socket.is_nonblocking = "O_NONBLOCK" in flags
            return 0

        return run

    def _ioctl(self, call: Call) -> Callable[[], int]:
        request = _word(call.arguments[1])

        def run() -> int:
            stream = self.sockets.find(self.fd(call.arguments[0])).connected()
            if request in ("FIONREAD", "SIOCINQ"):
                found = stream.ready_len()
            elif request in ("SIOCOUTQ", "TIOCOUTQ"):
                found = stream.queued_len()
            elif request == "SIOCOUTQNSD":
                info = stream.connection.info()
                found = stream.queued_len() - int(info["in_flight"])
            else:
                raise Unsupported(f"ioctl {request}")
            wanted = _option_value(call.arguments[2])
            if wanted is not None and found != wanted:
                raise Differs(f"ioctl {request}: {found} instead of {wanted}")
            return 0

        return run

    def _poll(self, call: Call) -> Callable[[], int]:
        return self.polling.poll(call)

    def _epoll_create(self, call: Call) -> Callable[[], int]:
        return self.polling.create(call)

    _epoll_create1 = _epoll_create

    def _epoll_ctl(self, call: Call) -> Callable[[], int]:
        return self.polling.control(call)

    def _epoll_wait(self, call: Call) -> Callable[[], int]:
        return self.polling.wait(call)

    def _usleep(self, call: Call) -> Callable[[], int]:
        return lambda: 0


def _failing(name: str) -> Callable[[], int]:
    def run() -> int:
        raise SocketError(name)

    return run


def _word(expression: Expression) -> str:
    if isinstance(expression, Word):
        return expression.name
    if isinstance(expression, Number):
        return str(expression.value)
    raise ScriptError("expected a name here")


def _octets(expression: Expression, length: int) -> bytes | None:
    """What a call writes, where the script gives it; None: the pattern."""
    if not isinstance(expression, Text):
        return None
    octets = expression.value.encode("latin-1")
    return octets[:length] if len(octets) >= length else None


def _vector_len(expression: Expression) -> int:
    """The octets of an iovec: [{..., 100}, {..., 20}]"""
    total = 0
    for part in expression.parts if isinstance(expression, Array) else []:
        if isinstance(part, Struct):
            last = part.parts[-1]
            total += number_of(last.value if isinstance(last, Member) else last)
    return total


def _message_len(expression: Expression) -> int:
    """The octets of a msghdr's iovec; control messages are not about TCP."""
    if not isinstance(expression, Struct):
        raise ScriptError("expected {msg_name(…)=…, msg_iov(…)=…}")
    control = expression.get("msg_control")
    if isinstance(control, Array) and control.parts:
        raise Unsupported("msg_control")
    vector = expression.get("msg_iov")
    return _vector_len(vector) if vector is not None else 0


def _option_value(expression: Expression) -> Any:
    """`[n]`, `n`, "text", `{onoff=1, linger=0}`; None for what is left open."""
    if isinstance(expression, Array):
        return _option_value(expression.parts[0]) if len(expression.parts) == 1 else None
    if isinstance(expression, Text):
        return expression.value
    if isinstance(expression, Struct):
        names = [part.name for part in expression.parts if isinstance(part, Member)]
        if not {"onoff", "linger"} <= {name.removeprefix("l_") for name in names}:
            return None
        values = [number_of(p.value) for p in expression.parts if isinstance(p, Member)]
        return tuple(values)
    if isinstance(expression, Open):
        return None
    return number_of(expression)
