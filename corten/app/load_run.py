"""One run of the load client: open the connections, time, stop, and say what was found.

A run has four parts: opening (a bounded number at a time, until all connections stand), a moment of
warming up, the timed part, and the end. With `hold` there is no timed part: each connection asks
once, then all are held.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from corten.app.load import LoadHandler, Tally, send_due
from corten.app.load_option import Options, Target
from corten.app.schedule import Schedule
from corten.endpoint.connection import Connection
from corten.endpoint.error import CortenError
from corten.endpoint.loop import Loop

OPENING_MAX = 256  # connections that are being opened at a time
OPENING_SECONDS = 60.0  # after which what stands is measured and the rest counted as failed
OPENED_A_SECOND = 5000  # or later: for so many a second there is time
FAILURES_MAX = 1000  # failures before the run gives up
WARM_UP_SECONDS = 0.5
FAREWELL_SECONDS = 0.2  # in which the resets leave
NEAR_NS = 2_500_000  # a timer's tick and what it takes to wake up
LATE_SHARE_MAX = 0.01  # of requests, late by the client's own fault, after which a run is void
DRAIN_STEP = 0.002  # seconds between looks whether the last replies have come
_REMEDY = "lower --rate, or give it a core to itself"
_PERCENTILES = (50.0, 90.0, 99.0, 99.9)


def target_of(options: Options) -> Target:
    """The server and the requests. CortenError for a URL that this client cannot ask."""
    servers = set()
    requests = []
    for url in options.urls:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme != "http" or not parts.hostname:
            raise CortenError(f"{url}: an http://ADDRESS[:PORT]/PATH is wanted")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if not path.isascii() or any(letter <= " " for letter in path):
            raise CortenError(f"{url}: percent-encode what is no printable ASCII")
        servers.add((parts.hostname, parts.port or 80))
        lines = [f"GET {path} HTTP/1.1", f"Host: {parts.netloc}"]
        lines += ["Connection: close"] if options.close else []
        requests.append("\r\n".join([*lines, "", ""]).encode("ascii"))
    if len(servers) != 1:
        raise CortenError("all URLs must name one server")
    address, port = servers.pop()
    return Target(address, port, requests)


class Run:
    """One run in one loop. `on_done(run)` is called at its end; `result()` is what it found.

    `settings` go to every `Loop.connect`.
    """

    def __init__(
        self,
        loop: Loop,
        options: Options,
        on_done: Callable[[Run], object],
        settings: dict[str, Any] | None = None,
    ) -> None:
        self.loop = loop
        self.options = options
        self.settings = settings or {}
        self.target = target_of(options)
        self.tally = Tally(self.target.requests, options, self)
        self.slots: list[Connection | None] = [None] * options.connections
        self.free = list(range(options.connections - 1, -1, -1))
        self.opening = 0  # connections that do not stand yet
        self.standing = 0
        self.standing_last = 0  # when the run ended
        self.started = 0.0
        self.seconds = 0.0
        self.stage = "opening"
        self.error: CortenError | None = None  # what ended the run before its time
        self.schedule = self.tally.schedule
        self._turn = 0  # of the source addresses
        self._on_done = on_done
        self._opener_due = False

    def start(self) -> None:
        """Begin. To be called in the loop."""
        self.started = time.monotonic()
        if self.schedule is not None and self.options.close:
            self._pace_from_now()
            return
        patience = max(OPENING_SECONDS, self.options.connections / OPENED_A_SECOND)
        self.loop.call_later(patience, self._opened_late)
        self._open_more()

    # -- opening -----------------------------------------------------------------------------

    def _open_soon(self) -> None:
        if self.free and not self._opener_due:
            self._opener_due = True
            self.loop.call_soon(self._open_more)

    def _open_more(self) -> None:
        self._opener_due = False
        while self.free and self.opening < OPENING_MAX and self.tally.going:
            self._open(-1)

    def _open(self, instant: int) -> None:
        """One more connection; `instant`: for the request that is meant for it."""
        slot = self.free.pop()
        settings = dict(self.settings)
        sources = self.options.sources
        if len(sources) > 1:
            self._turn = (self._turn + 1) % len(sources)
            settings["source"] = (sources[self._turn], None)
        factory = functools.partial(LoadHandler, self.tally, slot, instant)
        self.opening += 1
        try:
            self.slots[slot] = self.loop.connect(
                self.target.address, self.target.port, factory, **settings
            )
        except CortenError as error:
            self.error = error
            self.finish()

    def opened(self) -> None:
        """One more connection stands."""
        self.opening -= 1
        self.standing += 1
        if self.schedule is not None and self.options.close:
            return
        timed = self.stage == "opening" and not self.options.hold
        if not timed or self.tally.opened < self.options.connections:
            self._open_soon()
        else:
            self._warm_up()

    def _warm_up(self) -> None:
        """All stand, or as many as can."""
        if self.schedule is not None:
            self._pace_from_now()
            return
        self.stage = "warming"
        self.loop.call_later(WARM_UP_SECONDS, self._measure)

    def ended(self, handler: LoadHandler) -> None:
        """A connection is over: its slot is free again."""
        if handler.opened:
            self.standing -= 1
        else:
            self.opening -= 1
        self.slots[handler.slot] = None
        if not self.tally.going:
            return
        self.free.append(handler.slot)
        if sum(self.tally.errors.values()) > FAILURES_MAX:
            self.finish()
        elif self.schedule is None or not self.options.close:
            self._open_soon()

    def _opened_late(self) -> None:
        if self.stage == "opening" and not self.options.hold:
            self.tally.failed("not opened in time", len(self.free) + self.opening)
            self._warm_up()

    # -- the timed part ----------------------------------------------------------------------

    def _measure(self) -> None:
        if self.stage != "warming":
            return
        self.stage = "measuring"
        self.started = time.monotonic()
        self.tally.start()
        self.loop.call_later(self.options.seconds, self.finish)

    # -- the timed part of an open loop ------------------------------------------------------

    def _pace_from_now(self) -> None:
        assert self.schedule is not None
        self.stage = "measuring"
        now = time.monotonic_ns()
        self.schedule.start(now, int(WARM_UP_SECONDS * 1e9))
        self.schedule.end(now + int((WARM_UP_SECONDS + self.options.seconds) * 1e9))
        self.tally.start(self.schedule.counted_from)
        self.started = time.monotonic() + WARM_UP_SECONDS
        self._pace()

    def _pace(self) -> None:
        """Send what is due, and come again."""
        schedule = self.schedule
        if schedule is None or self.stage == "done":
            return
        if self.options.close:
            self._open_due()
        else:
            send_due(self.tally)
        now = time.monotonic_ns()
        if schedule.is_over() or now > schedule.end_ns + self.tally.timeout_ns:
            self.finish()
        elif schedule.next_ns >= schedule.end_ns:
            self.loop.call_later(DRAIN_STEP, self._pace)
        elif schedule.next_ns - now > 2 * NEAR_NS:
            self.loop.call_later((schedule.next_ns - now - NEAR_NS) / 1e9, self._pace)
        else:
            self.loop.call_soon(self._pace)

    def _open_due(self) -> None:
        """Open a connection for each request that is due, while there may be one more."""
        assert self.schedule is not None
        now = time.monotonic_ns()
        while self.schedule.is_due(now) and self.free and self.tally.going:
            self._open(self.schedule.take(now, True))

    def held(self) -> None:
        """A connection that is to be held has its reply."""
        if self.stage == "opening" and self.tally.replies >= self.options.connections:
            self.stage = "holding"
            taken = time.monotonic() - self.started
            print(f"holding {self.standing} connections, opened in {taken:.1f} s", flush=True)
            self.started = time.monotonic()
            self.loop.call_later(self.options.seconds, self.finish)

    def finish(self) -> None:
        """Stop asking, reset what is open, and report. Calling it again does nothing."""
        if self.stage == "done":
            return
        self.seconds = time.monotonic() - self.started
        if self.schedule is not None:
            self._finish_schedule(self.schedule)
        self.stage = "done"
        self.tally.stop()
        self.standing_last = self.standing
        for connection in self.slots:
            if connection is not None:
                connection.abort()
        self.loop.call_later(FAREWELL_SECONDS, self._on_done, self)

    def _finish_schedule(self, schedule: Schedule) -> None:
        """The time of an open loop is that of its instants, not that of its last replies."""
        self.seconds = max(0.0, min(self.seconds, self.options.seconds))
        if schedule.outstanding:
            self.tally.failed("not answered in time", schedule.outstanding)
        schedule.end(min(schedule.end_ns, time.monotonic_ns()))
        schedule.give_up()

    # -- what was found ----------------------------------------------------------------------

    def result(self) -> dict[str, Any]:
        """Figures by name; times in microseconds."""
        tally, latency = self.tally, self.tally.latency
        seconds = max(self.seconds, 1e-9)
        return {
            "connections": self.options.connections,
            "seconds": round(self.seconds, 3),
            "requests": tally.replies,
            "requests_per_second": round(tally.replies / seconds, 1),
            "gigabits_per_second": round(tally.octets * 8 / seconds / 1e9, 4),
            "opened": tally.opened,
            "standing": self.standing_last,
            "mean_us": round(latency.mean() / 1000, 1),
            **{f"p{p:g}_us": round(latency.percentile(p) / 1000, 1) for p in _PERCENTILES},
            "max_us": round(latency.maximum / 1000, 1),
            "errors": dict(tally.errors),
            **(self.schedule.result(seconds) if self.schedule is not None else {}),
        }


def text_of(result: dict[str, Any]) -> str:
    """The result as a short table."""
    rows = [
        ("requests", f"{result['requests']:,} in {result['seconds']:.1f} s"),
        ("requests/s", f"{result['requests_per_second']:,.0f}"),
        ("Gbit/s", f"{result['gigabits_per_second']:.2f}"),
    ]
    rows += [(f"p{p:g}", f"{result[f'p{p:g}_us'] / 1000:.3f} ms") for p in _PERCENTILES]
    rows.append(("maximum", f"{result['max_us'] / 1000:.3f} ms"))
    if "scheduled" in result:
        rows += _rows_of_schedule(result)
    errors = result["errors"]
    rows.append(("errors", ", ".join(f"{n} {kind}" for kind, n in errors.items()) or "0"))
    return "\n".join(f"{name:>12}  {value}" for name, value in rows)


def _rows_of_schedule(result: dict[str, Any]) -> list[tuple[str, str]]:
    """What an open loop says besides."""
    scheduled = max(1, result["scheduled"])
    rows = [
        ("offered/s", f"{result['offered_per_second']:,.0f}"),
        ("abandoned", f"{result['abandoned']} (not sent in time), {result['lost']} lost"),
        ("late", f"{result['late']} sent more than 1 ms after their instant"),
    ]
    if result["overslept"] > LATE_SHARE_MAX * scheduled:
        share = result["overslept"] / scheduled
        rows.append(("WARNING", f"{share:.1%} were late by this client's own fault: {_REMEDY}"))
    return rows


def json_of(result: dict[str, Any]) -> str:
    return json.dumps(result)
