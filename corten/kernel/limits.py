"""How much of everything one worker and one connection may hold. Header module."""

from __future__ import annotations

import cython  # noqa: F401  # which makes this a header for C

# a worker
READ_LEN = 1 << 16  # octets one read takes at most
SCRATCH_LEN = 1 << 18  # octets of small sends that a breath copies without memory of their own
ACCEPTS_A_TURN = 64
BACKLOG = 4096  # connections that wait to be accepted; the kernel has a limit of its own
ACCEPT_RETRY_NS = 100_000_000  # rest after the descriptors ran out
TIMERS_KEPT = 128  # cancelled timers that are never worth a sweep

# a connection
HIGH_WATER = 1 << 18  # octets queued above which `send` says stop
LOW_WATER = 1 << 16  # octets queued at which `on_writable` follows
SMALL_LEN = 512  # octets below which a send is copied
KEPT_MAX = 1 << 18  # octets that a handler may leave unread before reading stops
ROOM_MIN = 4096  # octets of room to read behind what a handler left
READS_A_TURN = 8  # reads of one connection before the others have theirs
