"""Chance and the clock for programs that ask the process for them, while a simulated network runs.

Masks of WebSocket frames, identifiers and boundaries come from `os.urandom`, `secrets`, `uuid` and
`random`; a Date field and a client's patience from `time.time` and `time.monotonic`. Within
`virtual` the first draw from one generator and the others read the network's clock, so that a run's
octets are the same each time. Beyond reach are what OpenSSL draws for itself (keys and nonces of
TLS), `datetime.now`, and what a module has taken by name before (`from time import monotonic`).

The collector of circles would close a forgotten connection at an instant that no seed foresees: it
does not run by itself, the loop calls it every so many turns (`virtual_loop`).

Rules. It changes the process while it lasts, and everything is put back, whatever happens. Time
since 1970 begins at 2000-01-01. `time.perf_counter` stays the machine's, to measure by.
"""

from __future__ import annotations

import gc
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from corten.core.chance import Chance

EPOCH_NS = 946_684_800 * 1_000_000_000  # 2000-01-01


@contextmanager
def virtual(chance: Chance, now: Callable[[], int]) -> Iterator[None]:
    """Let chance come from `chance`, and time from `now`, in nanoseconds."""

    def urandom(size: int, /) -> bytes:
        return chance.octets(size)

    changes: list[tuple[Any, str, Any]] = [
        (os, "urandom", urandom),
        (random, "_urandom", urandom),
        (time, "monotonic", lambda: now() / 1e9),
        (time, "monotonic_ns", now),
        (time, "time", lambda: (EPOCH_NS + now()) / 1e9),
        (time, "time_ns", lambda: EPOCH_NS + now()),
    ]
    kept = [(module, name, getattr(module, name)) for module, name, _ in changes]
    state, collects = random.getstate(), gc.isenabled()
    gc.disable()
    random.seed(chance.next64())
    for module, name, value in changes:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, name, value in kept:
            setattr(module, name, value)
        random.setstate(state)
        if collects:
            gc.enable()
