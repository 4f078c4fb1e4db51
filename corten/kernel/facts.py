"""What the kernel knows of a connection, by the names of its TCP_INFO."""

from __future__ import annotations

import socket
import struct

_STATES = (
    "ESTABLISHED SYN_SENT SYN_RECEIVED FIN_WAIT_1 FIN_WAIT_2 TIME_WAIT CLOSED CLOSE_WAIT LAST_ACK"
    " LISTEN CLOSING"
).split()
# of struct tcp_info: eight octets of flags, then 32-bit numbers in this order
_NAMES = (
    "rto ato snd_mss rcv_mss unacked sacked lost retrans fackets last_data_sent last_ack_sent"
    " last_data_recv last_ack_recv pmtu rcv_ssthresh rtt rttvar snd_ssthresh snd_cwnd advmss"
    " reordering rcv_rtt rcv_space total_retrans"
).split()
_MICROSECONDS = {"rto", "ato", "rtt", "rttvar", "rcv_rtt"}


def facts(fd: int) -> dict[str, object]:
    """State and figures of the socket `fd`; times in seconds. OSError when it is none."""
    end = socket.socket(fileno=fd)
    try:
        told = end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8 + 4 * len(_NAMES))
    finally:
        end.detach()
    values = struct.unpack_from(f"={len(_NAMES)}I", told.ljust(8 + 4 * len(_NAMES), b"\0"), 8)
    found: dict[str, object] = {"state": _STATES[told[0] - 1]}
    for name, value in zip(_NAMES, values, strict=True):
        found[name] = value / 1e6 if name in _MICROSECONDS else value
    return found
