"""Known and explained deviations: which script, which difference, which clause of an RFC allows it.

A file of lines `GLOB | REASON | CLAUSE | EXPLANATION`, with `#` before comments. GLOB matches the
script's path (a leading `*/` is implied), REASON what is said about the difference (a glob too).

Rules. An entry without a clause that names an RFC and a section is refused: what no text allows is
a failure. The first entry that matches counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch

from corten.endpoint.error import CortenError

_CLAUSE = re.compile(r"(RFC|BCP) \d+ .*\d")


@dataclass(frozen=True)
class Entry:
    """One line."""

    path: str
    reason: str
    clause: str
    explanation: str

    def matches(self, path: str, reason: str) -> bool:
        is_here = fnmatch(path, self.path) or fnmatch(path, f"*/{self.path}")
        return is_here and fnmatch(reason, self.reason)


def parse_entries(text: str, name: str) -> list[Entry]:
    """The entries of a file. CortenError names the line that cannot be one."""
    return list(_entries(text, name))


def _entries(text: str, name: str) -> Iterator[Entry]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        parts = [part.strip() for part in line.split("|")]
        if len(parts) != 4 or not all(parts):
            raise CortenError(f"{name}:{number}: expected GLOB | REASON | CLAUSE | EXPLANATION")
        if not _CLAUSE.search(parts[2]):
            raise CortenError(f"{name}:{number}: {parts[2]!r} names no RFC and section")
        yield Entry(*parts)


def find(entries: list[Entry], path: str, reason: str) -> Entry | None:
    """The entry that explains a difference; None when none does."""
    for entry in entries:
        if entry.matches(path, reason):
            return entry
    return None
