"""The open descriptors of this process, for tests that none is left behind.

Rule: what earlier tests let lie is collected before it is counted, or it would be closed meanwhile.
"""

from __future__ import annotations

import gc
import os
from pathlib import Path

_OWN = "/proc/self/fd"


def descriptors(path: Path | None = None) -> int:
    """How many there are, or how many of them are of a file."""
    gc.collect()
    if path is None:
        return len(os.listdir(_OWN))
    targets = []
    for fd in os.listdir(_OWN):
        try:
            targets.append(os.readlink(f"{_OWN}/{fd}"))
        except FileNotFoundError:
            continue  # that of the listing itself
    return targets.count(str(path.resolve()))
