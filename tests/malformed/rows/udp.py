"""UDP that lies about itself, and for whom nobody waits (RFC 768, RFC 1122 4.1)."""

from __future__ import annotations

import struct

from scapy.layers.inet import IP, UDP

from tests.malformed import frames
from tests.malformed.bench import Bench, Row
from tests.udp.bench import Kept

LAYER = "UDP"
PORT = 53
HERE = ".".join(map(str, frames.HERE_V4))
THERE = ".".join(map(str, frames.THERE_V4))


def bind(bench: Bench) -> None:
    bench.stack.bind(PORT, Kept(echo=True))


def datagram(
    data: bytes = b"data",
    length: int | None = None,
    checksum: int | None = None,
    dport: int = PORT,
    sport: int = 5,
) -> bytes:
    """A datagram to us, as whole as what is not given."""
    right = bytes(IP(src=THERE, dst=HERE) / UDP(sport=sport, dport=dport) / data)[20:]
    octets = bytearray(right)
    if length is not None:
        octets[4:6] = struct.pack("!H", length)
    if checksum is not None:
        octets[6:8] = struct.pack("!H", checksum)
    return bytes(frames.ipv4(17, bytes(octets)))


ROWS = [
    Row(LAYER, "shorter than a header",
        lambda b: [bytes(frames.ipv4(17, datagram()[34 : 34 + n])) for n in range(8)],
        drop="udp_short", prepare=bind),
    Row(LAYER, "a length under the header's", lambda b: [datagram(length=n) for n in range(8)],
        drop="udp_bad_length", prepare=bind),
    Row(LAYER, "a length beyond the packet",
        lambda b: [datagram(length=n) for n in (13, 14, 0x7FFF, 0xFFFF)],
        drop="udp_bad_length", prepare=bind),
    Row(LAYER, "a length short of the packet cuts it",
        lambda b: [datagram(length=n, checksum=0) for n in (8, 9, 11)],
        right="?", drop=None, prepare=bind),
    Row(LAYER, "checksum", lambda b: [datagram(checksum=c) for c in (1, 0x1234, 0xFFFF)],
        drop="udp_bad_checksum", prepare=bind, pins=("RFC 1122 4.1.3.4",)),
    Row(LAYER, "no checksum over IPv4", lambda b: [datagram(checksum=0)], right="?", drop=None,
        prepare=bind, pins=("RFC 1122 4.1.3.4",)),
    Row(LAYER, "to port 0", lambda b: [datagram(dport=0)], drop="udp_bad_port", prepare=bind),
    Row(LAYER, "from port 0 is not answered", lambda b: [datagram(sport=0)], drop="udp_unsent",
        prepare=bind),
    Row(LAYER, "to a port that nobody has", lambda b: [datagram(dport=54)], right="I",
        drop="udp_no_endpoint", prepare=bind, pins=("RFC 1122 4.1.3.1",)),
    Row(LAYER, "to a group's closed port",
        lambda b: [bytes(frames.field(30, a, 4, frames.mend_ip)(datagram(dport=54)))
                   for a in (0xE0000001, 0xEFFFFFFF)], prepare=bind),
]  # fmt: skip
