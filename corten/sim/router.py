"""What a router in the middle of a link says: that a packet was too big for what comes next.

Built with plain `struct`, nothing of the stack (RFC 1191 4, RFC 4443 3.2).
"""

from __future__ import annotations

import struct

from corten.sim.packet import checksum

ETHERNET_LEN = 14
IPV4_LEN = 20
QUOTE_LEN = 28  # RFC 792: the header and eight octets
V6_QUOTE_LEN = 1232  # as much as fits in 1280 octets
ADDRESS = bytes([10, 255, 255, 1])
V6_ADDRESS = bytes.fromhex("fd00ffff000000000000000000000001")


def too_big(frame: bytes, mtu: int) -> bytes | None:
    """The ICMP error about an IPv4 packet that may not be fragmented, or an IPv6 packet, as a frame
    back to its sender; None when there is nobody to tell."""
    kind = frame[12:14]
    back = frame[6:12] + frame[:6] + kind
    if kind == b"\x08\x00":
        return back + _v4(frame[ETHERNET_LEN:], mtu)
    if kind == b"\x86\xdd":
        return back + _v6(frame[ETHERNET_LEN:], mtu)
    return None


def _v4(packet: bytes, mtu: int) -> bytes:
    quote = packet[: QUOTE_LEN + ((packet[0] & 15) - 5) * 4]
    message = struct.pack("!BBHHH", 3, 4, 0, 0, mtu) + quote
    message = message[:2] + struct.pack("!H", checksum(message)) + message[4:]
    total = IPV4_LEN + len(message)
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, total, 0, 0, 64, 1, 0, ADDRESS, packet[12:16])
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + message


def _v6(packet: bytes, mtu: int) -> bytes:
    message = struct.pack("!BBHI", 2, 0, 0, mtu) + packet[:V6_QUOTE_LEN]
    pseudo = V6_ADDRESS + packet[8:24] + struct.pack("!II", len(message), 58)
    message = message[:2] + struct.pack("!H", checksum(pseudo + message)) + message[4:]
    header = struct.pack("!IHBB", 6 << 28, len(message), 58, 64) + V6_ADDRESS + packet[8:24]
    return header + message
