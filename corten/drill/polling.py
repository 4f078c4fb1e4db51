"""poll and epoll over the façade's sockets: what is ready, compared with what the script says."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from corten.drill.constant import number_of
from corten.drill.error import Differs, ScriptError
from corten.drill.nodes import Array, Call, Expression, Member, Number, Struct
from corten.drill.sockets import SocketError, WouldBlock

if TYPE_CHECKING:
    from corten.drill.calls import Calls

_BITS = {
    "POLLIN": 1, "POLLOUT": 4, "POLLERR": 8, "POLLHUP": 0x10, "POLLRDNORM": 0x40,
    "POLLWRNORM": 0x100, "POLLRDHUP": 0x2000,
}  # fmt: skip
_ALWAYS = 0x18  # POLLERR and POLLHUP are reported unasked
EPOLL_EDGE = 1 << 31


class Watch:
    """One entry of an epoll set."""

    def __init__(self, events: int, data: int) -> None:
        self.events = events
        self.data = data
        self.told = 0  # edge-triggered: what the last `epoll_wait` reported


class Polling:
    """The waiting calls of one script."""

    def __init__(self, calls: Calls) -> None:
        self.calls = calls
        self.sets: dict[int, dict[int, Watch]] = {}  # epoll descriptor -> socket -> what is watched

    def ready(self, fd: int, wanted: int) -> int:
        """The bits of `wanted`, and of what is always told, that hold now."""
        names = self.calls.sockets.events(fd)
        bits = sum(_BITS[name] for name in names)
        return bits & (wanted | _ALWAYS)

    # -- poll -------------------------------------------------------------------------------

    def poll(self, call: Call) -> Callable[[], int]:
        """poll([{fd=4, events=POLLIN, revents=POLLIN}], 1, timeout)"""
        if not isinstance(call.arguments[0], Array):
            raise ScriptError("poll: expected [{fd=…, events=…, revents=…}]")
        entries = [part for part in call.arguments[0].parts if isinstance(part, Struct)]
        timeout = number_of(call.arguments[2])
        deadline = self._deadline(timeout)

        def run() -> int:
            found = []
            for entry in entries:
                fd = self.calls.fd(_member(entry, "fd"))
                found.append(self.ready(fd, number_of(_member(entry, "events"))))
            count = sum(1 for bits in found if bits)
            if not count and not self._is_over(deadline):
                raise WouldBlock
            for entry, bits in zip(entries, found, strict=True):
                wanted = entry.get("revents")
                if wanted is not None and bits != number_of(wanted):
                    raise Differs(f"poll: revents 0x{bits:x} instead of 0x{number_of(wanted):x}")
            return count

        return run

    def _is_over(self, deadline: int | None) -> bool:
        return deadline is not None and self.calls.sockets.world.now >= deadline

    def _deadline(self, milliseconds: int) -> int | None:
        """When a wait is over; the stack has a breath then, so that the wait is looked at."""
        if milliseconds < 0:
            return None
        world = self.calls.sockets.world
        if milliseconds:
            world.stack.call_later(milliseconds / 1e3, lambda: None)
        return world.now + milliseconds * 1_000_000

    # -- epoll ------------------------------------------------------------------------------

    def create(self, call: Call) -> Callable[[], int]:
        def run() -> int:
            if not isinstance(call.result, Number):
                raise ScriptError("epoll_create: give the descriptor as a number")
            self.sets[call.result.value] = {}
            return call.result.value

        return run

    def close(self, number: int) -> bool:
        """Forget an epoll descriptor of the script's; whether it was one."""
        return self.sets.pop(number, None) is not None

    def control(self, call: Call) -> Callable[[], int]:
        def run() -> int:
            watched = self._set(call.arguments[0])
            operation, fd = number_of(call.arguments[1]), self.calls.fd(call.arguments[2])
            if operation == 1 and fd in watched:
                raise SocketError("EEXIST")
            if operation != 1 and fd not in watched:
                raise SocketError("ENOENT")
            if operation == 2:
                del watched[fd]
                return 0
            event = call.arguments[3]
            if not isinstance(event, Struct):
                raise ScriptError("epoll_ctl: expected {events=…, fd=…}")
            watched[fd] = Watch(number_of(_member(event, "events")), _data(event))
            return 0

        return run

    def _set(self, expression: Expression) -> dict[int, Watch]:
        number = number_of(expression)
        if number not in self.sets:
            raise SocketError("EBADF")
        return self.sets[number]

    def wait(self, call: Call) -> Callable[[], int]:
        """epoll_wait(3, {events=…, fd=…}, 1, timeout)"""
        wanted = call.arguments[1]
        expected = wanted.parts if isinstance(wanted, Array) else [wanted]
        most, timeout = number_of(call.arguments[2]), number_of(call.arguments[3])
        deadline = self._deadline(timeout)

        def run() -> int:
            found = self._reported(self._set(call.arguments[0]))[:most]
            if not found and not self._is_over(deadline):
                raise WouldBlock
            for event, (watch, bits) in zip(expected, found, strict=False):
                if isinstance(event, Struct):
                    _compare(event, watch, bits)
                watch.told = bits
            return len(found)

        return run

    def _reported(self, watched: dict[int, Watch]) -> list[tuple[Watch, int]]:
        found = []
        for fd, watch in watched.items():
            bits = self.ready(fd, watch.events & ~EPOLL_EDGE)
            if watch.events & EPOLL_EDGE and not bits & ~watch.told:
                watch.told &= bits
                continue
            if bits:
                found.append((watch, bits))
        return found


def _compare(event: Struct, watch: Watch, bits: int) -> None:
    wanted = number_of(_member(event, "events"))
    if bits != wanted:
        raise Differs(f"epoll_wait: events 0x{bits:x} instead of 0x{wanted:x}")
    if _data(event) != watch.data:
        raise Differs(f"epoll_wait: data {watch.data} instead of {_data(event)}")


def _member(struct: Struct, name: str) -> Expression:
    value = struct.get(name)
    if value is None:
        raise ScriptError(f"{name}=… is missing")
    return value


def _data(struct: Struct) -> int:
    """fd, ptr, u32 or u64, whichever the script gives."""
    for part in struct.parts:
        if isinstance(part, Member) and part.name in ("fd", "ptr", "u32", "u64"):
            return number_of(part.value)
    return 0
