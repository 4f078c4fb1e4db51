"""`connect` to a name: Happy Eyeballs (RFC 8305).

Strategy. Both families are resolved at once. When IPv6 answers first, or 50 ms after IPv4 did, the
first attempt begins; each next one follows 250 ms later, or as soon as the one before has failed,
families taking turns. The first that is established is the connection: it is handed to the
application's handler, whose `on_open` follows; all others are aborted.

Rules. The handler hears `on_open` with the connection, or `on_close` with the `Opening` and the
reason of the last failure, exactly once. Only one attempt a time is needed to be alive.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from corten.dns.resolver import Resolver
from corten.endpoint.connection import Connection
from corten.endpoint.error import CortenError, ResolutionError
from corten.endpoint.handler import Handler, hand_over
from corten.endpoint.loop import Loop, TimerHandle
from corten.wire.dns import AAAA, A

RESOLUTION_DELAY_S = 0.05  # RFC 8305 8
ATTEMPT_DELAY_S = 0.25
ATTEMPTS_MAX = 16

Sort = Callable[[list[str]], list[str]]


class Attempt(Handler):
    """A connection that may win."""

    def __init__(self, opening: Opening, address: str) -> None:
        self.opening = opening
        self.address = address
        self.connection: Connection | None = None

    def on_open(self, connection: Connection) -> None:
        self.opening.won(self, connection)

    def on_close(self, connection: Connection, error: Exception | None) -> None:
        self.connection = None
        self.opening.failed(self, error)


class Opening(Connection):
    """What `connect` answers for a name: not yet a connection. `abort` or `close` gives it up."""

    def __init__(
        self,
        loop: Loop,
        resolver: Resolver,
        name: str,
        port: int,
        handler: Handler,
        options: dict[str, object],
        sort: Sort | None = None,
    ) -> None:
        self.loop = loop
        self.name, self.port = name, port
        self.given = handler
        self.options = options
        self.sort = sort
        self.over = False
        self.error: Exception = ResolutionError(f"{name}: not resolved")
        self.left: list[str] = []  # addresses not tried yet, in order
        self.alive: list[Attempt] = []
        self.tried = 0
        self.unresolved = {AAAA, A}
        self._delay: TimerHandle | None = None
        self._started = False
        timeout = options.get("timeout")
        self._timer = None
        if timeout is not None:
            self._timer = loop.call_later(float(str(timeout)), self._timed_out)
        for kind in (AAAA, A):
            resolver.lookup(name, kind, partial(self._resolved, kind))

    # -- names --------------------------------------------------------------------------------

    def _resolved(self, kind: int, addresses: list[str], error: Exception | None) -> None:
        self.unresolved.discard(kind)
        if self.over:
            return
        if error is not None and not self.left and not self.alive:
            self.error = error
        known = addresses + self.left if kind == AAAA else self.left + addresses
        self.left = interleaved(self._sorted(known))[:ATTEMPTS_MAX]
        if self._started:
            if not self.alive:
                self._next()
        elif self.left and (kind == AAAA or not self.unresolved):
            self._begin()
        elif self.left:
            self._wait(RESOLUTION_DELAY_S, self._begin)
        elif not self.unresolved:
            self._finish(self.error)

    def _sorted(self, addresses: list[str]) -> list[str]:
        return self.sort(addresses) if self.sort is not None else addresses

    # -- attempts -----------------------------------------------------------------------------

    def _begin(self) -> None:
        if not self._started and not self.over:
            self._started = True
            self._next()

    def _wait(self, seconds: float, function: Callable[[], None]) -> None:
        if self._delay is not None:
            self._delay.cancel()
        self._delay = self.loop.call_later(seconds, function)

    def _next(self) -> None:
        """Try the next address, or see that there is none."""
        while not self.over and self.left and self.tried < ATTEMPTS_MAX:
            attempt = Attempt(self, self.left.pop(0))
            self.tried += 1
            self.alive.append(attempt)
            try:
                attempt.connection = self.loop.connect(
                    attempt.address, self.port, partial(_given, attempt), **self.options
                )
            except (CortenError, OSError) as error:
                self.alive.remove(attempt)
                self.error = error
                continue
            self._wait(ATTEMPT_DELAY_S, self._next)
            return
        if not self.over and not self.alive and not self.unresolved:
            self._finish(self.error)

    def failed(self, attempt: Attempt, error: Exception | None) -> None:
        """One is over: the next at once."""
        if attempt in self.alive:
            self.alive.remove(attempt)
            self.error = error or ConnectionAbortedError("closed at once")
            if not self.over:
                self._next()

    def won(self, attempt: Attempt, connection: Connection) -> None:
        """The first that stands is the connection."""
        if self.over:
            connection.abort()
            return
        self.over = True
        self.alive.remove(attempt)
        self._let_go()
        hand_over(connection, self.given)
        self.given.on_open(connection)

    def _let_go(self) -> None:
        for timer in (self._delay, self._timer):
            if timer is not None:
                timer.cancel()
        self._delay = self._timer = None
        others, self.alive = self.alive, []
        for other in others:
            if other.connection is not None:
                other.connection.abort()

    def _timed_out(self) -> None:
        self._finish(TimeoutError(f"connect to {self.name}: timed out"))

    def _finish(self, error: Exception) -> None:
        """Nothing stands."""
        if not self.over:
            self.over = True
            self._let_go()
            self.given.on_close(self, error)

    # -- what an application may do with it ---------------------------------------------------

    def send(self, data: object) -> bool:
        """Nothing can be sent yet: False."""
        return False

    def queued_len(self) -> int:
        return 0

    def close(self) -> None:
        """Give up; `on_close` follows."""
        self.abort()

    def abort(self) -> None:
        """Give up; `on_close` follows."""
        gave_up = ConnectionAbortedError("closed before it was established")
        self.loop.call_soon(self._finish, gave_up)

    @property
    def peer(self) -> tuple[str, int]:
        return self.name, self.port

    def info(self) -> dict[str, object]:
        """What it is doing."""
        return {"state": "OPENING", "trying": [a.address for a in self.alive], "left": self.left}


def _given(attempt: Attempt) -> Attempt:
    return attempt


def interleaved(addresses: list[str]) -> list[str]:
    """Families in turns, the first one's first (RFC 8305 4); order within a family stays."""
    first = [a for a in addresses if (":" in a) == (":" in addresses[0])]
    second = [a for a in addresses if a not in first]
    found = []
    for i in range(max(len(first), len(second))):
        found += first[i : i + 1] + second[i : i + 1]
    return found
