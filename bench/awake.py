"""Cores that do not halt while something is measured.

Why. An idle core of a virtual machine halts, and its host gives the time to somebody else; when a
packet wakes it, it waits until the host has let go of that: /proc/stat calls it steal, and a
measurement of things that sleep (a round trip, a path at a tenth of its rate) shows the host. The
paths of `bench.goodput` had 17 to 21 % of it at a bad hour, and one tick in ten seconds with a
process of the idle class on each core. With a process of the idle scheduling class on each
core no core ever halts: that process runs when nothing else wants to, and gives way at once.

Rules. For what leaves the cores idle most of the time, and counts in milliseconds, only: a kernel
that preempts lazily lets that process run on to its next tick when the other core wakes somebody
here, and a server that is loaded to the full does about half of its work. It is the same for
everybody who is compared. What it runs is counted as `nice` by the kernel and is neither busy nor
foreign time (`bench.machine`).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

pids: set[int] = set()  # of those that run


@contextmanager
def awake(cores: Iterable[int]) -> Iterator[None]:
    """Keep these cores from halting for the block."""
    made = [_spinner(core) for core in cores]
    pids.update(made)
    try:
        yield
    finally:
        for pid in made:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            pids.discard(pid)


def _spinner(core: int) -> int:
    """A child that runs on `core` when nothing else does; it ends with its parent."""
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.sched_setaffinity(0, {core})
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
        os.nice(19)
        while os.getppid() == parent:
            for _ in range(1 << 20):
                pass
    finally:
        os._exit(0)
