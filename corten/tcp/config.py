"""What may be set of a TCP, with the defaults and where they come from. Times in nanoseconds."""

from __future__ import annotations

from typing import Any

import cython

from corten.endpoint.error import CortenError

MS = 1_000_000
SECOND = 1_000 * MS
FOREVER = 10**9 * SECOND  # 31 years

LIMITS = {  # smallest and largest value; the others only must not be negative
    "rto_min_ns": (1, FOREVER),
    "ttl": (1, 255),
    "dscp": (0, 63),
    "rto_initial_ns": (1, FOREVER),
    "rto_max_ns": (1, FOREVER),
    "r2_ns": (1, FOREVER),
    "user_timeout_ns": (0, FOREVER),
    "keepalive_ns": (0, FOREVER),
    "keepalive_interval_ns": (1, FOREVER),
    "keepalive_count": (1, 1000),
    "linger_ns": (-1, FOREVER),
    "syn_timeout_ns": (1, FOREVER),
    "syn_ack_retries": (0, 255),
    "time_wait_ns": (1, FOREVER),
    "time_wait_max": (1, 1 << 24),
    "fin_wait_ns": (1, FOREVER),
    "delayed_ack_ns": (1, 500 * MS - 1),  # MUST-40
    "receive_buffer": (2048, 1 << 29),
    "receive_buffer_max": (2048, 1 << 29),
    "send_high_water": (1, 0x3FFF_FFFF),  # what may be queued at all
    "send_buffer_max": (1, 0x3FFF_FFFF),
    "buffer_memory": (0, 1 << 50),
    "initial_window": (1, 1000),
    "connections_max": (1, 1 << 24),
    "syn_queue_max": (1, 1 << 24),
    "mss": (0, 65535),
}


BITS = (
    "sack",
    "timestamps",
    "window_scale",
    "nagle",
    "pacing",
    "rfc1337",
    "mtu_probing",
)  # on or off


@cython.final
@cython.cclass
class Config:
    """One set of settings: a stack has one, a listener or a connection may have its own.

    `Config(rto_min_ns=…, …)`; an unknown name or an impossible value raises CortenError. Who gives
    a buffer's size alone (`receive_buffer`, `send_high_water`) fixes it: it does not grow.
    """

    rto_min_ns: cython.longlong  # writable; RTO exceeds SRTT by so much at least (`tcp/rtt`)
    rto_initial_ns: cython.longlong  # writable; RFC 6298 2.1
    rto_max_ns: cython.longlong  # writable; RFC 6298 2.5: at least 60 s
    r2_ns: cython.longlong  # writable; unacknowledged this long, the connection ends (SHLD-11)
    # writable; 0: none. In place of R2, and at a shut window whose probes are answered as well
    user_timeout_ns: cython.longlong  # writable; RFC 5482; its option is neither sent nor obeyed
    keepalive_ns: cython.longlong  # writable; silence before the first probe; 0: none (MUST-25)
    keepalive_interval_ns: cython.longlong  # writable; between probes
    keepalive_count: cython.uint  # writable; probes without an answer that end it (MUST-26)
    linger_ns: cython.longlong  # writable; after `close`, then RST; 0: at once; -1: no limit but R2
    syn_timeout_ns: cython.longlong  # writable; R2 for SYN: at least 3 minutes (MUST-23)
    syn_ack_retries: cython.uint  # writable; of a passive open; 7 take 3 minutes (MUST-23)
    time_wait_ns: cython.longlong  # writable; 2 MSL; RFC 9293 says MSL 2 min, deployed stacks 30 s
    time_wait_max: cython.Py_ssize_t  # writable; the oldest gives way
    rfc1337: cython.bint  # writable; a RST does not end TIME-WAIT (RFC 9293 3.10.7.4: it does)
    fin_wait_ns: cython.longlong  # writable; FIN-WAIT-2 of a connection whose application is gone
    delayed_ack_ns: cython.longlong  # writable; under 500 ms (MUST-40)
    receive_buffer: cython.Py_ssize_t  # writable; octets; bounds the window and what may be held
    receive_buffer_max: cython.Py_ssize_t  # writable; it grows up to this; the window shift's size
    send_high_water: cython.Py_ssize_t  # writable; `send` answers False from here
    send_buffer_max: cython.Py_ssize_t  # writable; the high-water mark grows up to this
    buffer_memory: cython.Py_ssize_t  # writable; growth of all buffers of one stack together
    send_low_water: cython.Py_ssize_t  # writable; `on_writable` at or below it
    initial_window: cython.uint  # writable; segments (RFC 6928)
    connections_max: cython.Py_ssize_t  # writable; of one stack
    syn_queue_max: cython.Py_ssize_t  # writable; half-open; then cookies, or the oldest gives way
    # writable; RFC 4987: "auto": when the SYN queue is full, "always", or "off"
    syn_cookies: str  # writable
    mss: cython.uint  # writable; segments no larger than this, both ways; 0: as the link allows
    mtu_probing: cython.bint  # writable; RFC 4821: suspect a black hole after three time-outs
    sack: cython.bint  # writable; RFC 2018
    timestamps: cython.bint  # writable; RFC 7323
    window_scale: cython.bint  # writable; RFC 7323
    nagle: cython.bint  # writable; RFC 1122 4.2.3.4; off: a breath's sends go out together anyhow
    congestion: Any  # writable; "cubic" (RFC 9438), "reno" (RFC 5681), or a class (Congestion)
    pacing: cython.bint  # writable; cubic and reno: spread a window over its round trip
    ecn: str  # writable; "on": ask and answer (RFC 3168), "passive": answer, "off"
    ttl: cython.uint  # writable; time to live, hop limit (MUST-49)
    dscp: cython.uint  # writable; Diffserv code point of all segments (MUST-48)

    def __init__(self, **settings: object) -> None:
        self.rto_min_ns = 200 * MS
        self.rto_initial_ns = SECOND
        self.rto_max_ns = 60 * SECOND
        self.r2_ns = 120 * SECOND
        self.user_timeout_ns = 0
        self.keepalive_ns = 0
        self.keepalive_interval_ns = 75 * SECOND
        self.keepalive_count = 9
        self.linger_ns = -1
        self.syn_timeout_ns = 180 * SECOND
        self.syn_ack_retries = 7
        self.time_wait_ns = 60 * SECOND
        self.time_wait_max = 32768
        self.rfc1337 = True
        self.fin_wait_ns = 60 * SECOND
        self.delayed_ack_ns = 40 * MS
        self.receive_buffer = 256 * 1024
        self.receive_buffer_max = 6 << 20
        self.send_high_water = 512 * 1024
        self.send_buffer_max = 4 << 20
        self.buffer_memory = 256 << 20
        self.send_low_water = 128 * 1024
        self.initial_window = 10
        self.connections_max = 1 << 20
        self.syn_queue_max = 4096
        self.syn_cookies = "auto"
        self.mss = 0
        self.mtu_probing = True
        self.sack = True
        self.timestamps = True
        self.window_scale = True
        self.nagle = False
        self.congestion = "cubic"
        self.pacing = False
        self.ecn = "passive"
        self.ttl = 64
        self.dscp = 0
        settings = _with_fixed(settings)
        for name, value in settings.items():
            self._set(name, value)
        self._verify()

    def _set(self, name: str, value: object) -> None:
        """One setting; numbers only where a number is, and of a size that C can hold."""
        if name not in _NAMES:
            raise CortenError(f"no such TCP setting: {name}")
        kinds = (str,) if name in ("congestion", "ecn", "syn_cookies") else (int,)
        known = isinstance(value, kinds) or (name == "congestion" and callable(value))
        if not known or (name in BITS and value not in (0, 1)):
            raise CortenError(f"{name}={value!r}: not a value for this setting")
        low, high = LIMITS.get(name, (0, FOREVER))
        if isinstance(value, int) and not low <= value <= high:
            raise CortenError(f"{name}={value}: must be between {low} and {high}")
        setattr(self, name, value)

    def _verify(self) -> None:
        if self.congestion not in ("cubic", "reno") and not callable(self.congestion):
            raise CortenError(f"congestion={self.congestion!r}: choose cubic or reno, or a class")
        if self.ecn not in ("on", "passive", "off"):
            raise CortenError(f"ecn={self.ecn!r}: choose on, passive or off")
        if self.syn_cookies not in ("auto", "always", "off"):
            raise CortenError(f"syn_cookies={self.syn_cookies!r}: choose auto, always or off")
        if 0 < self.mss < 64:
            raise CortenError(f"mss={self.mss}: at least 64, or 0 for what the link allows")
        if self.rto_max_ns < self.rto_min_ns:
            raise CortenError("rto_min_ns must not be above rto_max_ns")
        if self.send_low_water > self.send_high_water:
            raise CortenError("send_low_water must not be above send_high_water")
        if self.receive_buffer > self.receive_buffer_max:
            raise CortenError("receive_buffer must not be above receive_buffer_max")
        if self.send_high_water > self.send_buffer_max:
            raise CortenError("send_high_water must not be above send_buffer_max")

    def with_settings(self, settings: dict) -> Config:
        """This one, or a copy with some settings changed. Connections are opened with it: what is
        copied has been checked before."""
        if not settings:
            return self
        changed = Config()
        for name in _NAMES:
            setattr(changed, name, getattr(self, name))
        for name, value in _with_fixed(settings).items():
            changed._set(name, value)
        changed._verify()
        return changed


def _with_fixed(settings: dict) -> dict:
    """A buffer whose size is given without its largest one keeps that size."""
    fixed = dict(settings)
    for name, most in (
        ("receive_buffer", "receive_buffer_max"),
        ("send_high_water", "send_buffer_max"),
    ):
        if name in fixed:
            fixed.setdefault(most, fixed[name])
    return fixed


_NAMES = {name for name in dir(Config()) if not name.startswith("_") and name != "with_settings"}
