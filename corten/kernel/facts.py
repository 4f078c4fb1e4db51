"""What the kernel knows of a connection."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

_STATES = [
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECEIVED",
    "FIN_WAIT_1",
    "FIN_WAIT_2",
    "TIME_WAIT",
    "CLOSED",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "CLOSING",
]
# of struct tcp_info: eight octets of flags, then 32-bit numbers in this order
_NAMES = [
    "rto",
    "ato",
    "snd_mss",
    "rcv_mss",
    "unacked",
    "sacked",
    "lost",
    "retrans",
    "fackets",
    "last_data_sent",
    "last_ack_sent",
    "last_data_recv",
    "last_ack_recv",
    "pmtu",
    "rcv_ssthresh",
    "rtt",
    "rttvar",
    "snd_ssthresh",
    "snd_cwnd",
    "advmss",
    "reordering",
    "rcv_rtt",
    "rcv_space",
    "total_retrans",
]
_MICROSECONDS = {"rto", "ato", "rtt", "rttvar", "rcv_rtt"}


@contextmanager
def _socket(fd: int) -> Iterator[socket.socket]:
    """Python's socket over a descriptor that stays ours."""
    end = socket.socket(fileno=fd)
    try:
        yield end
    finally:
        end.detach()


def failure(fd: int) -> int:
    """The error number that the kernel holds for the socket; asking takes it away."""
    with _socket(fd) as end:
        return end.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


def local_address(fd: int) -> tuple[str, int]:
    """Its own (address, port)."""
    with _socket(fd) as end:
        name = end.getsockname()
    return name[0], name[1]


def facts(fd: int) -> dict[str, object]:
    """State and figures by the names of TCP_INFO; times in seconds."""
    with _socket(fd) as end:
        told = end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8 + 4 * len(_NAMES))
    values = struct.unpack_from(f"={len(_NAMES)}I", told.ljust(8 + 4 * len(_NAMES), b"\0"), 8)
    found: dict[str, object] = {"state": _STATES[told[0] - 1]}
    for name, value in zip(_NAMES, values, strict=True):
        found[name] = value / 1e6 if name in _MICROSECONDS else value
    return found
