"""How much a connection may hold: buffers that grow with what the path carries (right-sizing).

Receiving: when half a buffer has come within two round trips and the application keeps up, the
window may be what holds the sender back, and the buffer doubles; so a sender that doubles its own
window each round trip never meets ours. Sending: `send` says stop at twice the congestion window,
for what is in flight and as much again that can follow at once; where a hole holds SND.UNA back
and what is in flight is more than the window, at a window beyond that.

Both begin at `receive_buffer` and `send_high_water` and end at `receive_buffer_max` and
`send_buffer_max`; what all connections of a stack were granted beyond the beginning is bounded by
`buffer_memory`. A window once promised is never taken back: under pressure nobody is granted more.
"""

from __future__ import annotations

import cython
from cython.cimports.corten.core.limit import RTT_UNKNOWN_NS
from cython.cimports.corten.core.serial import seq_add, seq_sub
from cython.cimports.corten.tcp.config import Config
from cython.cimports.corten.tcp.host import TcpHost
from cython.cimports.corten.tcp.tcb import Tcb

if not cython.compiled:
    WINDOW_FIELD_MAX = 0xFFFF


@cython.cfunc
@cython.exceptval(check=False)
def start_buffers(tcb: Tcb) -> cython.void:
    """Before the first segment: what the settings begin with."""
    tcb.rcv_buf = cython.cast(cython.uint, tcb.config.receive_buffer)
    tcb.snd_buf = cython.cast(cython.uint, tcb.config.send_high_water)


@cython.cfunc
@cython.exceptval(check=False)
def _grant(host: TcpHost, octets: cython.Py_ssize_t) -> cython.uint:
    """As much of `octets` as the stack's bound leaves."""
    left: cython.Py_ssize_t = host.config.buffer_memory - host.granted
    octets = min(octets, left)
    if octets <= 0:
        return 0
    host.granted += octets
    return cython.cast(cython.uint, octets)


@cython.cfunc
@cython.exceptval(check=False)
def tune_receive(host: TcpHost, tcb: Tcb, now: cython.longlong) -> cython.void:
    """RCV.NXT has passed `tune_seq`: see how long that took, and set the next mark."""
    size: cython.Py_ssize_t = tcb.rcv_buf
    most: cython.Py_ssize_t = tcb.config.receive_buffer_max
    most = min(most, WINDOW_FIELD_MAX << tcb.rcv_shift)
    rtt: cython.longlong = tcb.srtt if tcb.srtt != 0 else RTT_UNKNOWN_NS
    if size < most and tcb.retained_len <= size // 4 and now - tcb.tune_at <= 2 * rtt:
        more: cython.Py_ssize_t = size if size < most - size else most - size
        tcb.rcv_buf += _grant(host, more)
    tcb.tune_at = now
    tcb.tune_seq = seq_add(tcb.rcv_nxt, tcb.rcv_buf // 2)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _covered(tcb: Tcb) -> cython.Py_ssize_t:
    """What of the queue the wire has, or may have now."""
    in_flight: cython.uint = seq_sub(tcb.snd_nxt, tcb.snd_una)
    return max(in_flight, tcb.congestion.window)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _wanted(tcb: Tcb) -> cython.Py_ssize_t:
    """What the high-water mark should be by now, within the settings."""
    wanted: cython.Py_ssize_t = _covered(tcb) + tcb.congestion.window
    return min(wanted, tcb.config.send_buffer_max)


@cython.cfunc
@cython.exceptval(check=False)
def queued_of(tcb: Tcb) -> cython.Py_ssize_t:
    """Octets given to `send` and not acknowledged. A FIN that is acknowledged lies behind them."""
    if tcb.fin_sent and tcb.snd_una == seq_add(tcb.snd_end, 1):
        return 0
    return seq_sub(tcb.snd_end, tcb.snd_una)


@cython.cfunc
def has_send_room(host: TcpHost, tcb: Tcb, queued: cython.Py_ssize_t) -> cython.bint:
    """Whether so much may be queued before `send` says stop; the mark grows if need be."""
    if queued <= tcb.snd_buf:
        return True
    wanted: cython.Py_ssize_t = _wanted(tcb)
    if wanted > tcb.snd_buf:
        tcb.snd_buf += _grant(host, wanted - tcb.snd_buf)
    return queued <= tcb.snd_buf


@cython.cfunc
@cython.exceptval(check=False)
def low_water(tcb: Tcb) -> cython.Py_ssize_t:
    """At or below this `on_writable` follows: a fixed mark, or a quarter of a window more than
    what is or may be in flight, so that the application is asked before the wire falls idle; but
    not before a quarter of the buffer is free."""
    config: Config = tcb.config
    low: cython.Py_ssize_t = config.send_low_water
    if config.send_buffer_max > config.send_high_water:
        size: cython.Py_ssize_t = max(tcb.snd_buf, _wanted(tcb))
        window: cython.Py_ssize_t = _covered(tcb) + tcb.congestion.window // 4
        window = min(window, size - size // 4)
        low = max(low, window)
    return low
