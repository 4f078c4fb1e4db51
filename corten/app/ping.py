"""`corten ping`: echo requests at an interval, a line for each reply, and the figures at the end,
as iputils' ping prints them. One worker in this process."""

from __future__ import annotations

import math
import signal
from collections.abc import Callable
from typing import Any

from corten.endpoint.error import CortenError
from corten.endpoint.ping import Ping, PingHandler
from corten.worker.link import parse_link
from corten.worker.serve import serve

Say = Callable[[str], object]

_RETRY_S = 0.01  # a link without room is asked again soon


class PingRun(PingHandler):
    """One run: who is asked, what came back. `finish` ends it."""

    def __init__(
        self,
        worker: Any,
        host: str,
        done: Callable[[], object],
        say: Say,
        *,
        count: int | None = None,
        interval: float = 1.0,
        size: int = 56,
        timeout: float = 10.0,
    ) -> None:
        self.worker = worker
        self.host = host
        self.done = done
        self.say = say
        self.count = count
        self.interval = interval
        self.timeout = timeout
        self.data = bytes(i & 255 for i in range(size))
        self.ping: Ping | None = None
        self.sent = 0
        self.replies = 0
        self.duplicates = 0
        self.errors = 0
        self.times: list[float] = []
        self.started = 0.0
        self.ended: float | None = None

    def start(self, source: str | None = None, ttl: int | None = None) -> None:
        """Send the first request. CortenError for a host that cannot be asked."""
        self.ping = self.worker.stack.ping(self.host, self, source=source, ttl=ttl)
        size = len(self.data)
        whole = size + (48 if ":" in self.host else 28)
        self.say(f"PING {self.host} ({self.host}) {size}({whole}) bytes of data.")
        self.started = self.worker.time()
        self._next()

    def _next(self) -> None:
        """One more request, or the end when none is left and nothing more comes."""
        if self.ping is None or self.ended is not None:
            return
        if self.count is not None and self.sent >= self.count:
            self.worker.call_later(self.timeout, self.finish)
            return
        if not self.ping.send((self.sent + 1) & 0xFFFF, self.data):
            self.worker.call_later(_RETRY_S, self._next)
            return
        self.sent += 1
        last = self.count is not None and self.sent >= self.count
        self.worker.call_later(0.0 if last else self.interval, self._next)

    def on_reply(self, ping: Ping, sequence: int, data: bytes, seconds: float, ttl: int) -> None:
        if self.ended is not None:
            return
        size = len(data) + 8
        start = f"{size} bytes from {self.host}: icmp_seq={sequence} ttl={ttl}"
        if data != self.data:
            self.errors += 1
            self.say(f"{start} wrong data")
            return
        if seconds < 0:
            self.duplicates += 1
            self.say(f"{start} (DUP!)")
            return
        self.replies += 1
        self.times.append(seconds * 1000)
        self.say(f"{start} time={_milliseconds(seconds * 1000)} ms")
        if self.replies + self.errors == self.count:
            self.finish()

    def on_error(self, ping: Ping, sequence: int, error: OSError) -> None:
        if self.ended is not None:
            return
        self.errors += 1
        self.say(f"From {self.host}: icmp_seq={sequence} {(error.strerror or '').capitalize()}")
        if self.replies + self.errors == self.count:
            self.finish()

    def finish(self) -> None:
        """The end: print the figures. Again: no effect."""
        if self.ended is not None:
            return
        self.ended = self.worker.time()
        if self.ping is not None:
            self.ping.close()
        for line in self.figures():
            self.say(line)
        self.done()

    def figures(self) -> list[str]:
        """What ping prints at the end."""
        lost = 100 * (self.sent - self.replies) // self.sent if self.sent else 0
        took = round(((self.ended or 0.0) - self.started) * 1000)
        parts = [f"{self.sent} packets transmitted", f"{self.replies} received"]
        if self.duplicates:
            parts.append(f"+{self.duplicates} duplicates")
        if self.errors:
            parts.append(f"+{self.errors} errors")
        parts += [f"{lost}% packet loss", f"time {took}ms"]
        lines = ["", f"--- {self.host} ping statistics ---", ", ".join(parts)]
        if self.times:
            mean = sum(self.times) / len(self.times)
            squares = sum(time * time for time in self.times) / len(self.times)
            deviation = math.sqrt(max(0.0, squares - mean * mean))
            numbers = (min(self.times), mean, max(self.times), deviation)
            shown = "/".join(f"{number:.3f}" for number in numbers)
            lines.append(f"rtt min/avg/max/mdev = {shown} ms")
        return lines

    @property
    def status(self) -> int:
        """The command's exit code: 0 when anybody answered, else 1."""
        return 0 if self.replies else 1


def _milliseconds(number: float) -> str:
    """As ping writes a time: three digits that count."""
    if number >= 100:
        return f"{number:.0f}"
    return f"{number:.1f}" if number >= 10 else f"{number:.2f}" if number >= 1 else f"{number:.3f}"


def run_ping(
    host: str,
    links: list[str],
    cpus: list[int] | None = None,
    *,
    source: str | None = None,
    ttl: int | None = None,
    **options: Any,
) -> int:
    """Ping over `links` until the count is reached or a signal ends it; the exit code.

    CortenError, one line, for anything that cannot be.
    """
    if any(parse_link(text).driver == "kernel" for text in links):
        raise CortenError("ping runs on Corten's own stack: give a link such as tap,address=…")
    runs: list[PingRun] = []
    failed: list[CortenError] = []

    def begin(worker: Any) -> None:
        run = PingRun(worker, host, worker.stop, lambda line: print(line, flush=True), **options)
        runs.append(run)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: worker.call_soon_threadsafe(run.finish))
        try:
            run.start(source, ttl)
        except CortenError as error:
            failed.append(error)
            worker.stop()

    def setup(worker: Any) -> None:
        worker.call_soon(begin, worker)

    serve({}, links, 1, cpus, setup=setup, supervised=False)
    if failed:
        raise failed[0]
    return runs[0].status
