"""Timers that all wait equally long, as servers set one a request and cancel nearly all of them.

    loop.call_later = Delays(loop).call_later

Strategy. What is set later with the same delay is due later: so each delay has a list, in order by
being appended to, and the loop one timer for the first of each list. To set a timer is to append,
to cancel one is to unlink; a heap is touched only when the loop's own timer has fired, and then
it is set for whoever is the first by now.

Rules. Handles are what asyncio's TimerHandle is to a caller: `cancel`, `cancelled`, `when`.
Callbacks run in their context, each in its own `try`. Delays under DELAY_MIN, and those for which
there is no list left, are the loop's own, as is everything in its debug mode.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any

import cython

if not cython.compiled:
    LISTS_MAX = 8  # delays that have a list
    DELAY_MIN = 1  # seconds: for less, one a request stands too short to be worth it

_EARLY = 0.001  # seconds by which a loop may be early: its clock may know no less
_copy_context = contextvars.copy_context


@cython.final
@cython.freelist(1024)
@cython.cclass
class DelayHandle:
    """One call to come. In a list as long as it has a `_list`."""

    _when: cython.double
    _function: Any
    _arguments: Any
    _context: Any
    _list: DelayList | None
    _before: DelayHandle | None
    _after: DelayHandle | None
    _cancelled: cython.bint

    def when(self) -> float:
        """The loop's time at which it is due."""
        return self._when

    def cancelled(self) -> bool:
        return self._cancelled

    def cancel(self) -> None:
        self._cancelled = True
        if self._list is not None:
            self._list.remove(self)
            self._function = self._arguments = self._context = None

    def __repr__(self) -> str:
        state = "cancelled" if self._cancelled else "over" if self._list is None else "waits"
        return f"<DelayHandle {state} {self._when:.3f} {self._function!r}>"


@cython.final
@cython.cclass
class DelayList:
    """The handles of one delay, the first due first."""

    seconds: cython.double
    first: DelayHandle | None
    last: DelayHandle | None
    is_armed: cython.bint  # writable; the loop has a timer for it

    def __init__(self, seconds: cython.double) -> None:
        self.seconds = seconds
        self.first = self.last = None
        self.is_armed = False

    @cython.cfunc
    def append(self, handle: DelayHandle) -> cython.void:
        """One that is due after all the others."""
        handle._list = self
        handle._before = self.last
        handle._after = None
        if self.last is None:
            self.first = handle
        else:
            self.last._after = handle
        self.last = handle

    @cython.cfunc
    def remove(self, handle: DelayHandle) -> cython.void:
        """Any of them."""
        before: DelayHandle | None = handle._before
        after: DelayHandle | None = handle._after
        if before is None:
            self.first = after
        else:
            before._after = after
        if after is None:
            self.last = before
        else:
            after._before = before
        handle._list = handle._before = handle._after = None


@cython.final
@cython.cclass
class Delays:
    """The lists of one loop."""

    _loop: Any
    _time: Any
    _call_later: Any
    _lists: dict

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._time = loop.time
        self._call_later = loop.call_later
        self._lists = {}

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Any = None
    ) -> Any:
        """As the loop's own."""
        known: Any = self._lists.get(delay)
        if known is None:
            known = self._new_list(delay)
            if known is None:
                return self._call_later(delay, callback, *args, context=context)
        waiting: DelayList = known
        handle: DelayHandle = DelayHandle.__new__(DelayHandle)
        handle._cancelled = False
        handle._when = cython.cast(cython.double, self._time()) + waiting.seconds
        handle._function = callback
        handle._arguments = args
        handle._context = _copy_context() if context is None else context
        waiting.append(handle)
        if not waiting.is_armed:
            self._arm(waiting)
        return handle

    @cython.cfunc
    def _new_list(self, delay: object) -> object:
        """A list for one more delay, or None where the loop itself is to have it."""
        seconds: cython.double = delay  # type: ignore[assignment]  # TypeError unless a number
        if not DELAY_MIN <= seconds < 1e9 or self._loop.is_closed() or self._loop.get_debug():
            return None
        if len(self._lists) >= LISTS_MAX:
            for key, value in self._lists.items():
                each: DelayList = value
                if each.first is None and not each.is_armed:
                    del self._lists[key]
                    break
            else:
                return None
        made = self._lists[delay] = DelayList(seconds)
        return made

    @cython.cfunc
    def _arm(self, waiting: DelayList) -> cython.void:
        """Let the loop call when the first of a list is due."""
        first: DelayHandle | None = waiting.first
        if first is not None:
            waiting.is_armed = True
            left: cython.double = first._when - cython.cast(cython.double, self._time())
            # not `call_at`: uvloop's is made of what `call_later` is by now
            self._call_later(max(left, 0.0), self._due, waiting)

    def _due(self, waiting: DelayList) -> None:
        """Call whoever's time has come."""
        until: cython.double = cython.cast(cython.double, self._time()) + _EARLY
        try:
            while waiting.first is not None and waiting.first._when <= until:
                handle: DelayHandle = waiting.first
                waiting.remove(handle)
                self._call(handle)
        finally:
            waiting.is_armed = False
            self._arm(waiting)

    @cython.cfunc
    def _call(self, handle: DelayHandle) -> cython.void:
        try:
            handle._context.run(handle._function, *handle._arguments)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:
            what = f"Exception in callback {handle._function!r}"
            told = {"message": what, "exception": error, "handle": handle}
            self._loop.call_exception_handler(told)
        finally:
            handle._function = handle._arguments = handle._context = None
