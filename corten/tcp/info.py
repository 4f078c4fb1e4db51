"""`Connection.info()`: what a connection knows of itself, as the field knows it from TCP_INFO."""

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
RECOVERY = {0: "open", 1: "fast", 2: "loss"}


def connection_info(tcb: Tcb, pipe: int, pacing_rate: int) -> dict[str, object]:
    """Octets and seconds; sequence numbers as they stand on the wire."""
    control = tcb.congestion
    config = tcb.config
    outstanding = (tcb.snd_nxt - tcb.snd_una) & 0xFFFFFFFF
    return {
        "state": STATES[tcb.state],
        "recovery": RECOVERY[tcb.recovery],
        "srtt": tcb.srtt / 1e9,
        "rttvar": tcb.rttvar / 1e9,
        "rto": tcb.rto / 1e9,
        "cwnd": control.window if control is not None else 0,
        "ssthresh": control.ssthresh if control is not None else 0,
        "congestion": _name(config.congestion) if config is not None else "",
        "pacing_rate": pacing_rate,
        "mss": tcb.snd_mss,
        "in_flight": outstanding,
        "pipe": pipe,
        "queued": (tcb.snd_end - tcb.snd_una) & 0xFFFFFFFF if tcb.state > 4 else 0,
        "receive_buffer": tcb.rcv_buf,
        "send_buffer": tcb.snd_buf,
        "soft_error": str(tcb.error) if tcb.error is not None and tcb.state else None,
        "snd_wnd": tcb.snd_wnd,
        "rcv_wnd": (tcb.rcv_adv - tcb.rcv_nxt) & 0xFFFFFFFF,
        "snd_una": tcb.snd_una,
        "snd_nxt": tcb.snd_nxt,
        "rcv_nxt": tcb.rcv_nxt,
        "sacked": tcb.sacked.total if tcb.sacked is not None else 0,
        "retries": tcb.retries,
        "ready": tcb.retained_len + tcb.slices_len,
        "sack": tcb.sack_ok,
        "timestamps": tcb.timestamps_ok,
        "ecn": tcb.ecn & 24 != 0,
        "window_shift": (tcb.snd_shift, tcb.rcv_shift),
    }


def _name(congestion: object) -> str:
    return congestion if isinstance(congestion, str) else getattr(congestion, "__name__", "custom")
