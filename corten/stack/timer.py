"""Calls that an application scheduled on a stack's wheel."""

from __future__ import annotations

from collections.abc import Callable

from corten.core.wheel import Wheel
from corten.endpoint.loop import TimerHandle


class Call(TimerHandle):
    """`function(*arguments)` at a deadline, once."""

    __slots__ = ("_wheel", "arguments", "function", "timer")

    def __init__(
        self,
        wheel: Wheel,
        deadline: int,
        function: Callable[..., object],
        arguments: tuple[object, ...],
    ) -> None:
        self._wheel = wheel
        self.function: Callable[..., object] | None = function
        self.arguments = arguments
        self.timer: int = wheel.add(self)
        wheel.arm(self.timer, deadline)

    def cancel(self) -> None:
        if self.function is not None:
            self.function = None
            self.arguments = ()
            self._wheel.discard(self.timer)

    def fire(self) -> None:
        """Its time has come: give the timer back and call, unless it was cancelled since."""
        function, arguments = self.function, self.arguments
        if function is not None:
            self.cancel()
            function(*arguments)
