"""`Connection.info()`: what a connection knows of itself, as the field knows it from TCP_INFO.

Octets and seconds; sequence numbers as they stand on the wire; None where nothing was measured.

    state, recovery      RFC 9293's name; "open", "disorder", "fast" or "loss"
    sack, timestamps,    options agreed; `ecn`: marks are echoed, and new data sent as capable
      ecn, window_shift    unless a repeated SYN had to go without; (the peer's shift, ours)
    srtt, rttvar, rto,   the round trip: smoothed, its variation (RFC 6298), the timeout with its
      min_rtt              back-off, the smallest
    retries              timeouts in a row, probes of a shut window among them
    congestion           "cubic", "reno" or the name of your class
    cwnd, ssthresh       the congestion window, and where slow start ends
    pacing_rate          octets a second; 0: not paced
    mss, rcv_mss         payload of a segment we send; the largest that came
    advertised_mss,      what our SYN said; the largest packet the path takes, as far as is known
      path_mtu
    snd_una, snd_nxt,    sequence numbers
      rcv_nxt
    in_flight, pipe      sent and not acknowledged; of that, believed to be in the network
    sacked, lost         of what is in flight: the peer has it; waits to be sent again
    retransmitted,       octets sent again so far; recoveries that turned out to be mistakes; octets
      spurious, delivered  that have arrived
    queued               given to `send` and not acknowledged
    unsent               … and not sent yet
    snd_wnd, rcv_wnd     the peer's window; ours, as last announced
    ready                received and not read
    receive_buffer,      how much may be received and not read; how much may be queued before `send`
      send_buffer          says False
    soft_error           what the network reported last (RFC 1122 4.2.3.9), or None
    received_octets      received in order, all told
    acked_octets,        acknowledged, all told; with what was SACKed since
      delivered
    delivered_ce         segments acknowledged with ECE
    delivery_rate,       octets a second; whether the application, not the network, was its limit
      delivery_rate_app_limited
    sacked, lost         of in_flight, octets that the peer has; that wait to be sent again
    retransmitted        octets sent again, all told
    spurious             how often what loss recovery did was taken back
    reordering_seen,     whether the path reorders, and how many quarters of min_rtt RACK waits for
      reordering_mult      it (RFC 8985 6.2)
    segments_in,         with those without data; a super-segment counts as those it holds
      segments_out
    busy                 seconds in which data was queued or in flight
    rwnd_limited,        of these, the peer's window was the limit; or `send_buffer` was, and the
      sndbuf_limited       application waited for on_writable
    paced_waits          how often data waited for its time
    last_sent,           seconds since data was sent last, since data came last
      last_received
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from corten.tcp.tcb import Tcb

STATES = {
    0: "CLOSED",
    2: "SYN-SENT",
    4: "SYN-RECEIVED",
    8: "ESTABLISHED",
    16: "FIN-WAIT-1",
    32: "FIN-WAIT-2",
    64: "CLOSE-WAIT",
    128: "CLOSING",
    256: "LAST-ACK",
}
RECOVERY = {0: "open", 1: "fast", 2: "loss", 3: "disorder"}
ECN_AGREED = 8 | 16  # ECN_RECEIVE, ECN_SEND
TCP_IP_HEADERS = 20


def connection_info(tcb: Tcb, now: int, pipe: int, pacing_rate: int) -> dict[str, object]:
    """The numbers of one connection at an instant."""
    is_synchronized = tcb.state > 4
    return {
        "state": STATES[tcb.state],
        "sack": tcb.sack_ok,
        "timestamps": tcb.timestamps_ok,
        "ecn": tcb.ecn & ECN_AGREED != 0,
        "window_shift": (tcb.snd_shift, tcb.rcv_shift),
        "mss": tcb.snd_mss,
        "rcv_mss": tcb.rcv_mss,
        "snd_una": tcb.snd_una,
        "snd_nxt": tcb.snd_nxt,
        "rcv_nxt": tcb.rcv_nxt,
        "in_flight": (tcb.snd_nxt - tcb.snd_una) & 0xFFFFFFFF,
        "pipe": pipe,
        "queued": max(0, _distance(tcb.snd_una, tcb.snd_end)) if is_synchronized else 0,
        "unsent": max(0, _distance(tcb.snd_nxt, tcb.snd_end)) if is_synchronized else 0,
        "snd_wnd": tcb.snd_wnd,
        "rcv_wnd": (tcb.rcv_adv - tcb.rcv_nxt) & 0xFFFFFFFF,
        "ready": tcb.retained_len + tcb.slices_len,
        "receive_buffer": tcb.rcv_buf,
        "send_buffer": tcb.snd_buf,
        "soft_error": str(tcb.error) if tcb.error is not None and tcb.state else None,
        "received_octets": tcb.received,
        "segments_in": tcb.segments_in,
        "segments_out": tcb.segments_out,
        "pacing_rate": pacing_rate,
        "congestion": _name(tcb.config.congestion),
        **_of_path(tcb, now),
        **_of_recovery(tcb),
        **_of_time(tcb, now),
    }


def _distance(a: int, b: int) -> int:
    """b - a, of sequence numbers that are near."""
    return ((b - a + 0x80000000) & 0xFFFFFFFF) - 0x80000000


def _name(congestion: object) -> str:
    return congestion if isinstance(congestion, str) else getattr(congestion, "__name__", "custom")


def _of_path(tcb: Tcb, now: int) -> dict[str, object]:
    path = tcb.path
    return {
        "advertised_mss": path.mtu - path.ip_header_len - TCP_IP_HEADERS,
        "path_mtu": path.known_mtu(now),
    }


def _of_recovery(tcb: Tcb) -> dict[str, object]:
    """Loss recovery and congestion control."""
    return {
        "recovery": RECOVERY[tcb.recovery],
        "retries": tcb.retries,
        "cwnd": tcb.congestion.window,
        "ssthresh": tcb.congestion.ssthresh,
        "delivered_ce": -(-tcb.delivered_ce // max(tcb.snd_mss, 1)),
        "paced_waits": tcb.pacer.waits if tcb.pacer is not None else 0,
        **_of_flight(tcb),
    }


def _of_flight(tcb: Tcb) -> dict[str, object]:
    flight, repair = tcb.flight, tcb.repair
    rate, rate_limited = tcb.rate.known() if tcb.rate is not None else (0, False)
    return {
        "delivery_rate": rate,
        "delivery_rate_app_limited": rate_limited,
        "acked_octets": tcb.delivered - (flight.sacked_len if flight is not None else 0),
        "sacked": flight.sacked_len if flight is not None else 0,
        "lost": flight.lost_len if flight is not None else 0,
        "retransmitted": repair.resent_len if repair is not None else 0,
        "reordering_seen": repair is not None and repair.reordering_seen,
        "reordering_mult": repair.reo_wnd_mult if repair is not None else 1,
        "spurious": repair.spurious if repair is not None else 0,
        "delivered": tcb.delivered,
    }


def _of_time(tcb: Tcb, now: int) -> dict[str, object]:
    busy = tcb.busy_ns + (now - tcb.busy_at if tcb.busy_at else 0)
    by_peer = by_queue = 0
    if tcb.limited is not None:
        by_peer, by_queue = tcb.limited.until(now)
    return {
        "srtt": tcb.srtt / 1e9,
        "rttvar": tcb.rttvar / 1e9,
        "rto": tcb.rto / 1e9,
        "min_rtt": tcb.min_rtt / 1e9 if tcb.min_rtt else None,
        "busy": busy / 1e9,
        "rwnd_limited": by_peer / 1e9,
        "sndbuf_limited": by_queue / 1e9,
        "last_sent": (now - tcb.sent_at) / 1e9 if tcb.sent_at else None,
        "last_received": (now - tcb.received_at) / 1e9 if tcb.received_at else None,
    }
