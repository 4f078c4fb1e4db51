"""How long a connection was busy, and what held it back meanwhile: changes of state only.

Busy is from the first octet queued to the last one acknowledged. Of that, the peer's window is the
limit while data waits for it, and the send queue's bound while all that it allowed has been sent
and the application was told to wait. The rest is the network's.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.tcp.limited import LIMITED_NOT, Limited
from cython.cimports.corten.tcp.tcb import Tcb


@cython.cfunc
def note_limit(tcb: Tcb, kind: cython.uint, now: cython.longlong) -> cython.int:
    """An output pass ended, and `kind` is why it sent no more. 0."""
    limited: Limited | None = tcb.limited
    if limited is None:
        if kind == LIMITED_NOT:
            return 0
        limited = tcb.limited = Limited()
    limited.change(kind, now)
    return 0


@cython.cfunc
def note_idle(tcb: Tcb, now: cython.longlong) -> cython.int:
    """All that was queued is acknowledged. 0."""
    tcb.busy_ns += now - tcb.busy_at
    tcb.busy_at = 0
    if tcb.limited is not None:
        tcb.limited.change(LIMITED_NOT, now)
    return 0
