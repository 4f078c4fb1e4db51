"""One worker's place, as the supervisor keeps it, and the talk with whoever sits there.

A message is a JSON object over a socket pair, descriptors beside it. `tell` expects nothing;
`ask` wants one answer, which is empty where the worker ends before it has given it.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

Body = Callable[["Seat"], None]
Answered = Callable[[dict[str, Any]], None]


@dataclass
class Seat:
    """One worker's place: what stays when its process does not."""

    index: int
    cpu: int
    body: Body  # runs in the child; returns when it has drained
    fellows: list[int] = field(default_factory=list)  # indices of its group's workers
    pid: int = 0
    pidfd: int = -1
    control: socket.socket | None = None  # supervisor's end in the supervisor, worker's in a worker
    started: float = 0.0
    starts: int = 0  # how often it was forked
    fast_deaths: int = 0
    is_ready: bool = False
    is_drained: bool = False  # it has said all and waits for its fellows
    is_leaving: bool = False  # it makes room for its successor, as somebody asked
    leads: bool = False  # the lowest live worker of its group
    due: float = 0.0  # when to fork it again; 0: it runs, or is done
    on_ready: Callable[[], object] | None = None  # called where there is no supervisor to tell
    obey: Callable[[dict[str, Any], list[int]], None] | None = None  # the same, of its orders
    taken: Callable[[], object] | None = None  # called once, when its next occupant serves
    heard: Callable[[dict[str, Any]], object] | None = None  # what a worker says of its links
    _asked: dict[int, Answered] = field(default_factory=dict)
    _questions: int = 0

    def tell(self, fds: list[int] | None = None, **message: object) -> None:
        """Send a message, and descriptors, to the other end; a dead one hears nothing."""
        if self.control is not None:
            with suppress(OSError):  # silent: the dead hear nothing
                socket.send_fds(self.control, [json.dumps(message).encode()], fds or [])
        elif self.obey is not None:
            self.obey(message, [os.dup(fd) for fd in fds or []])

    def ask(self, answered: Answered, fds: list[int] | None = None, **message: object) -> None:
        """As `tell`; `answered` is called once with what it says, {} when it says no more."""
        self._questions += 1
        self._asked[self._questions] = answered
        self.tell(fds, ask=self._questions, **message)

    def signal(self, number: int) -> None:
        """Send a signal to its process; where none runs, to nobody (0 would mean all of ours)."""
        if self.pid > 0:
            with suppress(ProcessLookupError):  # silent: it ended by itself
                os.kill(self.pid, number)

    def take_answer(self, message: dict[str, Any]) -> None:
        """A worker's answer has come."""
        answered = self._asked.pop(message["answer"], None)
        if answered is not None:
            answered(message)

    def end_questions(self) -> None:
        """Whoever was asked is gone."""
        asked, self._asked = self._asked, {}
        for answered in asked.values():
            answered({})
