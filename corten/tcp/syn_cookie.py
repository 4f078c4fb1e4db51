"""SYN cookies (RFC 4987 3.6): the state of a half-open connection, kept by the peer.

    cookie = (tick mod 32 | MSS index | 24 bits of MAC) xor mask         our ISN
    TSval  = clock, its low six bits: window shift, SACK, ECN            if the peer has timestamps

The MAC is SipHash over both sockets and the peer's ISN under a key that changes every 69 seconds
and is made from the stack's secret, so that every worker of a group can judge every cookie. One is
good for its own tick and the next. What the timestamp's bits say is not signed: who changes them
harms himself. Two hashes a SYN and two an acknowledgement are all that a flood can cost.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.limit import COOKIE_USE_OF_KEY, U32
from cython.cimports.corten.core.serial import seq_sub
from cython.cimports.corten.core.siphash import Siphash
from cython.cimports.corten.tcp.ecn import ECN_RECEIVE
from cython.cimports.corten.tcp.emit import NO_SHIFT, timestamp_of
from cython.cimports.corten.tcp.tcb import Tcb
from cython.cimports.corten.wire.tcp import CWR, ECE, Segment

if not cython.compiled:
    TICK_SHIFT = 36  # nanoseconds of a tick: 69 s
    TICK_MASK = 31
    MAC_MASK = 0xFF_FFFF
    OPTIONS_MASK = 63
    NO_OFFER = 15  # in place of a window shift
    SACK_BIT = 16
    ECN_BIT = 32

MSS_TABLE = (64, 536, 1220, 1300, 1400, 1440, 1460, 8960)  # the last that is not above the peer's


@cython.final
@cython.cclass
class SynCookies:
    """Makes and judges cookies for one stack."""

    _secret: Siphash
    _key: Siphash  # of `_tick`
    _tick: cython.longlong

    def __init__(self, secret: Siphash) -> None:
        self._secret = secret
        self._tick = -1
        self._key = secret

    @cython.cfunc
    def _turn_to(self, tick: cython.longlong) -> cython.void:
        """Have the key of a tick."""
        if tick == self._tick:
            return
        word: cython.ulonglong = cython.cast(cython.ulonglong, tick)
        low: cython.ulonglong = self._secret.words2_4(COOKIE_USE_OF_KEY, word, 1, 0, 0)
        high: cython.ulonglong = self._secret.words2_4(COOKIE_USE_OF_KEY, word, 2, 0, 0)
        self._key = Siphash(low.to_bytes(8, "little") + high.to_bytes(8, "little"))
        self._tick = tick

    @cython.cfunc
    def _mask(self, seg: Segment, irs: cython.uint) -> cython.uint:
        """What hides the tick and the MSS: numbers of one peer's connections tell nothing."""
        ports: cython.ulonglong = (seg.remote_port << 16) | seg.local_port
        return cython.cast(
            cython.uint,
            self._secret.words2_4(
                seg.remote_high ^ COOKIE_USE_OF_KEY,
                seg.remote_low,
                seg.local_high,
                seg.local_low,
                (ports << 32) | irs,
            )
            & U32,
        )

    @cython.cfunc
    def _mac(
        self, seg: Segment, irs: cython.uint, tick: cython.longlong, index: cython.uint
    ) -> cython.uint:
        """24 bits over both sockets, the peer's ISN, the tick and the MSS."""
        self._turn_to(tick)
        ports: cython.ulonglong = (seg.remote_port << 16) | seg.local_port
        whole: cython.ulonglong = self._key.words2_4(
            seg.remote_high, seg.remote_low, seg.local_high, seg.local_low, (ports << 32) | irs
        )
        return cython.cast(cython.uint, (whole >> (5 * index)) & MAC_MASK)

    @cython.cfunc
    def make(self, seg: Segment, mss: cython.uint, now: cython.longlong) -> cython.uint:
        """The ISN with which to answer a SYN whose sender takes segments of `mss` octets."""
        tick: cython.longlong = now >> TICK_SHIFT
        index: cython.uint = 0
        while index < 7 and MSS_TABLE[index + 1] <= mss:
            index += 1
        plain: cython.uint = (
            (cython.cast(cython.uint, tick & TICK_MASK) << 27)
            | (index << 24)
            | self._mac(seg, seg.seq, tick, index)
        )
        return plain ^ self._mask(seg, seg.seq)

    @cython.cfunc
    def mss_of(self, seg: Segment, now: cython.longlong) -> cython.uint:
        """What the cookie that a segment acknowledges says of the MSS; 0 when it is none of ours,
        or too old."""
        irs: cython.uint = seq_sub(seg.seq, 1)
        plain: cython.uint = seq_sub(seg.ack, 1) ^ self._mask(seg, irs)
        index: cython.uint = (plain >> 24) & 7
        tick: cython.longlong = now >> TICK_SHIFT
        age: cython.longlong = (tick - (plain >> 27)) & TICK_MASK
        if age > 1 or age > tick or plain & MAC_MASK != self._mac(seg, irs, tick - age, index):
            return 0
        return MSS_TABLE[index]


@cython.cfunc
@cython.exceptval(check=False)
def write_options(tcb: Tcb, now: cython.longlong) -> cython.void:
    """Put what the SYNs agreed on into the TSval of the SYN-ACK, by moving the clock back by less
    than 64 ms; without timestamps nothing but the MSS is agreed."""
    if not tcb.timestamps_ok:
        tcb.sack_ok = False
        tcb.snd_shift = NO_SHIFT
        tcb.rcv_shift = 0
        tcb.ecn = 0
        return
    agreed: cython.uint = NO_OFFER if tcb.snd_shift == NO_SHIFT else tcb.snd_shift
    if tcb.sack_ok:
        agreed |= SACK_BIT
    if tcb.ecn & ECN_RECEIVE:
        agreed |= ECN_BIT
    back: cython.uint = (timestamp_of(0, now) - agreed) & OPTIONS_MASK
    tcb.ts_offset = seq_sub(tcb.ts_offset, back)


@cython.cfunc
@cython.exceptval(check=False)
def read_options(seg: Segment, ts_offset: cython.uint) -> cython.void:
    """Give an acknowledgement back what its SYN said, as far as its TSecr tells."""
    seg.window_shift = -1
    seg.sack_permitted = False
    seg.flags &= ~(ECE | CWR)
    if not seg.has_timestamp:
        return
    agreed: cython.uint = seq_sub(seg.ts_echo, ts_offset) & OPTIONS_MASK
    if agreed & NO_OFFER != NO_OFFER:
        seg.window_shift = cython.cast(cython.int, agreed & NO_OFFER)
    seg.sack_permitted = agreed & SACK_BIT != 0
    if agreed & ECN_BIT:
        seg.flags |= ECE | CWR
