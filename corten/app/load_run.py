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

from corten.app.load import LoadHandler, Tally
from corten.app.load_option import Options, Target
from corten.endpoint.connection import Connection
from corten.endpoint.error import CortenError
from corten.endpoint.loop import Loop

OPENING_MAX = 256  # connections that are being opened at a time
OPENING_SECONDS = 60.0  # after which what stands is measured and the rest counted as failed
FAILURES_MAX = 1000  # failures before the run gives up
WARM_UP_SECONDS = 0.5
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
    """One run in one loop. `on_done(run)` is called at its end; `result()` is what it found."""

    def __init__(self, loop: Loop, options: Options, on_done: Callable[[Run], object]) -> None:
        self.loop = loop
        self.options = options
        self.target = target_of(options)
        self.tally = Tally(self.target.requests, options, self._ended, self._replied)
        self.slots: list[Connection | None] = [None] * options.connections
        self.free = list(range(options.connections - 1, -1, -1))
        self.opening = 0
        self.standing = 0
        self.held = 0
        self.started = 0.0
        self.seconds = 0.0
        self.stage = "opening"
        self._on_done = on_done

    def start(self) -> None:
        """Begin. To be called in the loop."""
        self.started = time.monotonic()
        self.loop.call_later(OPENING_SECONDS, self._opened_late)
        self._open_more()

    # -- opening -----------------------------------------------------------------------------

    def _open_more(self) -> None:
        while self.free and self.opening < OPENING_MAX and self.tally.going:
            slot = self.free.pop()
            self.opening += 1
            options: dict[str, Any] = {"timeout": self.options.timeout}
            if self.options.sources:
                options["source"] = self.options.sources[slot % len(self.options.sources)]
            self.slots[slot] = self.loop.connect(
                self.target.address,
                self.target.port,
                functools.partial(self._made, slot),
                **options,
            )

    def _made(self, slot: int) -> LoadHandler:
        """The handler of a connection that stands, or that has failed."""
        self.opening -= 1
        self.standing += 1
        all_made = self.tally.opened + 1 >= self.options.connections
        if self.stage == "opening" and all_made and not self.options.hold:
            self.stage = "warming"
            self.loop.call_later(WARM_UP_SECONDS, self._measure)
        elif self.free:
            self.loop.call_soon(self._open_more)
        return LoadHandler(self.tally, slot)

    def _ended(self, handler: LoadHandler) -> None:
        """A connection is over: its slot is free again."""
        self.standing -= 1
        slot = handler.slot
        self.slots[slot] = None
        if not self.tally.going:
            return
        self.free.append(slot)
        if sum(self.tally.errors.values()) > FAILURES_MAX:
            self.finish()
        else:
            self.loop.call_soon(self._open_more)

    def _opened_late(self) -> None:
        if self.stage == "opening" and not self.options.hold:
            missing = len(self.free) + self.opening
            self.tally.failed("not opened in time", missing)
            self.stage = "warming"
            self._measure()

    # -- the timed part ----------------------------------------------------------------------

    def _measure(self) -> None:
        if self.stage != "warming":
            return
        self.stage = "measuring"
        self.started = time.monotonic()
        self.tally.start()
        self.loop.call_later(self.options.seconds, self.finish)

    def _replied(self) -> None:
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
        self.stage = "done"
        self.tally.stop()
        self.held = self.standing
        for connection in self.slots:
            if connection is not None:
                connection.abort()
        self.loop.call_later(0.2, self._on_done, self)

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
            "held": self.held,
            "mean_us": round(latency.mean() / 1000, 1),
            **{f"p{p:g}_us": round(latency.percentile(p) / 1000, 1) for p in _PERCENTILES},
            "max_us": round(latency.maximum / 1000, 1),
            "errors": dict(tally.errors),
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
    errors = result["errors"]
    rows.append(("errors", ", ".join(f"{n} {kind}" for kind, n in errors.items()) or "0"))
    return "\n".join(f"{name:>12}  {value}" for name, value in rows)


def json_of(result: dict[str, Any]) -> str:
    return json.dumps(result)
