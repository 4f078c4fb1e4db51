"""Hand-made packets between two ends that exist only on paper, shown to a checker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from corten.sim.checker import Checker, CheckFailure
from corten.sim.packet import Options, Segment, encode, flags_value
from corten.sim.rules import Limits

MAC = {"a": "02:00:00:00:00:01", "b": "02:00:00:00:00:02"}
ADDRESS = {"a": "10.0.0.1", "b": "10.0.0.2"}
PORT = {"a": 1000, "b": 80}
ISS = {"a": 0xFFFFFF00, "b": 5000}
MILLISECOND = 1_000_000


class Paper:
    """Both ends: `say` is one packet, sent and (unless lost) received in a breath of its own."""

    def __init__(self, **limits: int) -> None:
        self.checker = Checker(Limits(**limits))
        self.now_ms = 0.0

    def frame(self, who: str, flags: str, seq: int, ack: int, **more: Any) -> bytes:
        other = "b" if who == "a" else "a"
        payload = more.pop("data", b"")
        if isinstance(payload, int):
            payload = bytes((seq + i) % 251 for i in range(payload))
        segment = Segment(
            ADDRESS[who],
            ADDRESS[other],
            PORT[who],
            PORT[other],
            (ISS[who] + seq) & 0xFFFFFFFF,
            (ISS[other] + ack) & 0xFFFFFFFF if "." in flags else 0,
            flags_value(flags),
            more.pop("win", 65535),
            self._options(other, more),
            payload,
            MAC[other],
            MAC[who],
        )
        return encode(segment)

    def _options(self, other: str, more: dict[str, Any]) -> Options:
        options = Options(
            more.pop("mss", None), more.pop("wscale", None), more.pop("sack_ok", False)
        )
        if "ts" in more:
            options.timestamps = more.pop("ts")
        base = ISS[other]
        options.sack = [
            ((base + left) & 0xFFFFFFFF, (base + right) & 0xFFFFFFFF)
            for left, right in more.pop("sack", ())
        ]
        assert not more, more
        return options

    def say(
        self,
        who: str,
        flags: str,
        seq: int,
        ack: int = 0,
        after: float = 1,
        lost: bool = False,
        breath: bool = True,
        **more: Any,
    ) -> bytes:
        """`who` sends a segment `after` so many milliseconds; relative sequence numbers."""
        self.now_ms += after
        now = int(self.now_ms * MILLISECOND)
        frame = self.frame(who, flags, seq, ack, **more)
        self.checker.sent(now, who, frame)
        if breath:
            self.checker.breath_ended(now, who)
        if not lost:
            self.checker.reached(now, "b" if who == "a" else "a", frame)
        return frame

    def rest(self, who: str) -> None:
        """`who` finishes a breath without a word."""
        self.checker.breath_ended(int(self.now_ms * MILLISECOND), who)

    def shake(self, ts: bool = False, **options: Any) -> None:
        """A handshake; `options` on both SYNs."""
        stamps = {"ts": (100, 0)} if ts else {}
        self.say("a", "S", 0, **{"mss": 1460, **stamps, **options})
        stamps = {"ts": (900, 100)} if ts else {}
        self.say("b", "S.", 0, 1, **{"mss": 1460, **stamps, **options})
        last: dict[str, Any] = {"ts": (101, 900)} if ts else {}
        if "win" in options:
            last["win"] = options["win"]
        self.say("a", ".", 1, 1, **last)


@contextmanager
def fires(rule: str, text: str = "") -> Iterator[None]:
    """The block breaks `rule`, and the failure says `text`."""
    with pytest.raises(CheckFailure) as caught:
        yield
    assert str(caught.value).startswith(f"[{rule}]"), str(caught.value)
    assert text in str(caught.value)
