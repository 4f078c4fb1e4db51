"""Chance for programs that ask the system for it: while a simulated network runs, from its seed.

Masks of WebSocket frames, identifiers and boundaries come from `os.urandom`, `secrets`, `uuid` and
`random`. While `seeded` lasts these draw from one generator, so that a run's octets are the same
each time. What OpenSSL draws for itself, keys and nonces of TLS, is beyond reach.

Rules. It changes the process while it lasts, and everything is put back, whatever happens.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager

from corten.core.chance import Chance


@contextmanager
def seeded(chance: Chance) -> Iterator[None]:
    """Let `os.urandom` and the module `random` draw from `chance`."""
    kept = os.urandom, random._urandom, random.getstate()  # type: ignore[attr-defined]  # private

    def urandom(size: int, /) -> bytes:
        return chance.octets(size)

    os.urandom = random._urandom = urandom  # type: ignore[attr-defined]  # private
    random.seed(chance.next64())
    try:
        yield
    finally:
        os.urandom, random._urandom, state = kept  # type: ignore[attr-defined]  # private
        random.setstate(state)
