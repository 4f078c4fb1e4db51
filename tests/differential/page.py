"""`python -m tests.differential.page` writes docs/differential.md: where the kernel differs."""

from __future__ import annotations

from pathlib import Path

from tests.differential.cases import CASES

PAGE = Path(__file__).parents[2] / "docs" / "differential.md"
_HEAD = """# Beside the Linux kernel

The same packets go to the Linux kernel over a TAP device and to this stack, and what both say is
compared: flags, sequence and acknowledgement numbers, options, text, whether a window is shut; not
when it is said, nor how often it is repeated. {count} cases are played by
`./dev test e2e tests/differential`; in {same} of them both say the same. In the others they differ,
for a reason: a difference without one fails the test, and so does a reason without a difference.

| case | why they differ |
|---|---|
"""


def page() -> str:
    rows = [f"| {case.name} | {case.differs} |" for case in CASES if case.differs]
    head = _HEAD.format(count=len(CASES), same=len(CASES) - len(rows))
    return head + "\n".join(rows) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
