"""IPv6 frames octet by octet, and the bench whose link speaks it."""

from __future__ import annotations

import ipaddress
import struct

from corten.core.arena import checksum_of
from corten.sim.script import HERE_V6, THERE_V6, Trace
from tests.malformed import frames
from tests.malformed.bench import Bench

IP_AT, BODY_AT = 14, 54
TCP, ICMP, NONE = 6, 58, 59
HOP_BY_HOP, ROUTING, FRAGMENT, OPTIONS = 0, 43, 44, 60


def packed(text: str) -> bytes:
    return ipaddress.IPv6Address(text).packed


HERE, THERE = packed(HERE_V6), packed(THERE_V6)


def ipv6(
    next_header: int,
    payload: bytes,
    source: bytes = THERE,
    destination: bytes = HERE,
    hop_limit: int = 64,
    payload_len: int = -1,
    to: bytes = frames.OURS,
) -> bytes:
    length = len(payload) if payload_len < 0 else payload_len
    head = struct.pack("!IHBB", 6 << 28, length, next_header, hop_limit)
    link = to + frames.PEER + struct.pack("!H", 0x86DD)
    return link + head + source + destination + payload


def sealed(number: int, at: int, body: bytes, source: bytes, destination: bytes) -> bytes:
    """The upper layer with its checksum, which lies at `at`."""
    out = bytearray(body)
    out[at : at + 2] = bytes(2)
    pseudo = source + destination + struct.pack("!II", len(out), number)
    out[at : at + 2] = struct.pack("!H", checksum_of(pseudo + bytes(out)))
    return bytes(out)


def icmp_body(
    type: int, code: int = 0, rest: int = 0, payload: bytes = b"data",
    source: bytes = THERE, destination: bytes = HERE,
) -> bytes:  # fmt: skip
    body = struct.pack("!BBHI", type, code, 0, rest) + payload
    return sealed(ICMP, 2, body, source, destination)


def icmp(type: int, code: int = 0, rest: int = 0, payload: bytes = b"data") -> bytes:
    return ipv6(ICMP, icmp_body(type, code, rest, payload))


def echo(data: bytes = b"data") -> bytes:
    return icmp_body(128, 0, 0x12340001, data)


def tcp_body(port: int, to: int, seq: int, ack: int, flags: int, data: bytes = b"") -> bytes:
    body = struct.pack("!HHIIBBHHH", port, to, seq % 2**32, ack % 2**32, 5 << 4, flags, 8000, 0, 0)
    return sealed(TCP, 16, body + data, THERE, HERE)


def options(next_header: int, octets: bytes) -> bytes:
    """An options header of 8 octets or more: Pad1 behind `octets`."""
    octets += bytes(-(len(octets) + 2) % 8)
    return bytes([next_header, (len(octets) + 2) // 8 - 1]) + octets


class Bench6(Bench):
    """The same, over IPv6."""

    def trace(self) -> Trace:
        return Trace(check=False, ipv6=True, receive_buffer=8192)

    def base(self, data: bytes = b"hello") -> bytes:
        flow, tcb = self.flow, self.tcb
        return ipv6(TCP, tcp_body(flow.port, flow.stack_port, tcb.rcv_nxt, tcb.snd_nxt, 0x18, data))

    def quote(self) -> bytes:
        """The head of something that we sent and that is outstanding."""
        flow = self.flow
        body = tcp_body(flow.stack_port, flow.port, self.tcb.snd_una, 0, 2)
        return ipv6(TCP, body, HERE, THERE)[IP_AT:]
