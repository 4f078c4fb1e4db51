"""Packetization-layer path MTU discovery (RFC 4821, RFC 8899): when no ICMP says what passes.

Down: full segments that time out three times in a row may be too large for a router that does not
say so; from then on they fit 1280 octets, and after six 576 over IPv4 (a base that nearly every
path takes, RFC 8899 5.1.2). Only this connection gets smaller: the silence may have been something
else.

Up: a probe is one segment of new data, of the size that is searched for. Acknowledged without
anything having been sent again, it is the new size; else the search goes on half-way below, and
after the last step rests for ten minutes, as after what a router has said (RFC 1191 6.3, RFC 8899
5.1.1). A lost probe is repaired, and answered by congestion control, like any loss.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.clock import SECOND
from cython.cimports.corten.core.limit import PATH_MTU_NS
from cython.cimports.corten.core.serial import seq_ge, seq_sub
from cython.cimports.corten.tcp.enter import text_room
from cython.cimports.corten.tcp.host import TcpHost
from cython.cimports.corten.tcp.mtu_search import MtuSearch
from cython.cimports.corten.tcp.state import OPEN
from cython.cimports.corten.tcp.tcb import Tcb
from cython.cimports.corten.wire.reason import PATH_MTU_LOWERED, PATH_MTU_PROBES

if not cython.compiled:
    FIRST_DOUBT = 3  # timeouts in a row
    SECOND_DOUBT = 6
    BASE_MTU = 1280
    BASE_MTU_V4 = 576
    IPV4_LEN = 20
    STEP_MIN = 16  # octets worth a probe


@cython.cfunc
def suspect_black_hole(host: TcpHost, tcb: Tcb, now: cython.longlong) -> cython.void:
    """The retransmission timer expired again: perhaps the segments are too large."""
    if not tcb.config.mtu_probing:
        return
    mtu: cython.uint = BASE_MTU
    if tcb.retries == SECOND_DOUBT and tcb.path.ip_header_len == IPV4_LEN:
        mtu = BASE_MTU_V4
    elif tcb.retries != FIRST_DOUBT:
        return
    room: cython.uint = text_room(tcb, mtu)
    if room >= tcb.snd_mss or seq_sub(tcb.snd_nxt, tcb.snd_una) <= room:
        return
    resize(host, tcb, room, now + SECOND)


@cython.cfunc
def resize(host: TcpHost, tcb: Tcb, size: cython.uint, next_at: cython.longlong) -> cython.void:
    """Smaller segments from now on; when larger ones may be tried."""
    if tcb.search is None:
        tcb.search = MtuSearch(tcb.snd_mss, next_at)
    search: MtuSearch = cython.cast(MtuSearch, tcb.search)
    search.next_at = next_at
    search.is_out = False
    tcb.snd_mss = size
    tcb.congestion.set_mss(size)
    host.counters.add(PATH_MTU_LOWERED)


@cython.cfunc
def probe_due(tcb: Tcb, now: cython.longlong) -> cython.uint:
    """The size of segment to try now, 0 for none; judges the last one first."""
    search: MtuSearch = cython.cast(MtuSearch, tcb.search)
    if search.is_out and not _judge(tcb, search, now):
        return 0
    if tcb.search is None or now < search.next_at or tcb.recovery != OPEN:
        return 0
    if search.top == search.limit:
        return search.limit
    return (tcb.snd_mss + search.top) // 2


@cython.cfunc
def _judge(tcb: Tcb, search: MtuSearch, now: cython.longlong) -> cython.bint:
    """Whether it is known what became of the probe."""
    if _resent(tcb) != search.resent:
        if search.top == search.limit and search.size == search.limit:
            search.top -= 1
        else:
            search.top = search.size
        search.next_at = now + SECOND
    elif seq_ge(tcb.snd_una, search.probe_end):
        tcb.snd_mss = search.size
        tcb.congestion.set_mss(search.size)
        if search.size == search.limit:
            tcb.search = None
            return True
    else:
        return False
    search.is_out = False
    if search.top - tcb.snd_mss <= STEP_MIN:
        search.top = search.limit
        search.next_at = now + PATH_MTU_NS
    return True


@cython.cfunc
def note_path_probe(host: TcpHost, tcb: Tcb, size: cython.uint) -> cython.void:
    """The last segment sent was a probe of this size."""
    search: MtuSearch = cython.cast(MtuSearch, tcb.search)
    search.size = size
    search.probe_end = tcb.snd_nxt
    search.is_out = True
    search.resent = _resent(tcb)
    host.counters.add(PATH_MTU_PROBES)


@cython.cfunc
def _resent(tcb: Tcb) -> cython.longlong:
    """Octets this connection has sent again so far."""
    return tcb.repair.resent_len if tcb.repair is not None else 0
