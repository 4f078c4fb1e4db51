"""What the tests of `corten drill` share: a script as text, run as if it stood in a file."""

from __future__ import annotations

from typing import Any

from corten.drill.leniency import EXACT, Leniency
from corten.drill.outcome import Outcome, Plan, run_text

SERVER = """
0   socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0  bind(3, ..., ...) = 0
+0  listen(3, 1) = 0
+0  < S 0:0(0) win 32792 <mss 1000>
+0  > S. 0:0(0) ack 1 <mss 1460>
+.1 < . 1:1(0) ack 1 win 32792
+0  accept(3, ..., ...) = 4
"""


def drill(text: str, fixed: Leniency = EXACT, is_exact: bool = True, **plan: Any) -> Outcome:
    """Run a script exactly, or with switches."""
    return run_text("test.pkt", text, Plan(fixed=fixed, is_exact=is_exact, **plan))


def passes(text: str, **options: Any) -> None:
    """The script must pass as written."""
    outcome = drill(text, **options)
    assert outcome.result == "pass", (outcome.line, outcome.reason, outcome.trace)


def fails(text: str, reason: str, line: int = 0) -> Outcome:
    """The script must fail, and say why."""
    outcome = drill(text)
    assert outcome.result == "fail", outcome
    assert reason in outcome.reason
    assert line in (0, outcome.line)
    return outcome
