"""What a router says of a packet that it does not pass on: too big, too old, nowhere to go.

Built with plain `struct`, nothing of the stack (RFC 792, RFC 1191 4, RFC 4443 3). Nothing is said
of an ICMP error, nor of what went to many (RFC 1812 4.3.2.7, RFC 4443 2.4).
"""

from __future__ import annotations

import struct

from corten.sim.packet import checksum

ETHERNET_LEN = 14
IPV4_LEN = 20
IPV6_LEN = 40
QUOTE_LEN = 28  # RFC 792: the header and eight octets
V6_QUOTE_LEN = 1232  # as much as fits in 1280 octets
ADDRESS = bytes([10, 255, 255, 1])
V6_ADDRESS = bytes.fromhex("fd00ffff000000000000000000000001")
_V4_ERRORS = (3, 4, 5, 11, 12)


def too_big(frame: bytes, mtu: int, v4: bytes = ADDRESS, v6: bytes = V6_ADDRESS) -> bytes | None:
    """The ICMP error about an IPv4 packet that may not be fragmented, or an IPv6 packet, as a frame
    back to its sender; None when there is nobody to tell. `v4`, `v6`: whose word it is."""
    return _error(frame, v4, v6, struct.pack("!BBHHH", 3, 4, 0, 0, mtu), (2, 0, mtu))


def too_old(frame: bytes, v4: bytes = ADDRESS, v6: bytes = V6_ADDRESS) -> bytes | None:
    """Its time to live is over."""
    return _error(frame, v4, v6, struct.pack("!BBHI", 11, 0, 0, 0), (3, 0, 0))


def no_route(frame: bytes, v4: bytes = ADDRESS, v6: bytes = V6_ADDRESS) -> bytes | None:
    """There is no way to its destination."""
    return _error(frame, v4, v6, struct.pack("!BBHI", 3, 0, 0, 0), (1, 0, 0))


def _error(
    frame: bytes, v4: bytes, v6: bytes, head: bytes, v6_head: tuple[int, int, int]
) -> bytes | None:
    kind = frame[12:14]
    back = frame[6:12] + frame[:6] + kind
    packet = frame[ETHERNET_LEN:]
    if frame[0] & 1:
        return None
    if kind == b"\x08\x00" and not _is_v4_error(packet):
        return back + _v4(packet, head, v4)
    if kind == b"\x86\xdd" and not (packet[6] == 58 and packet[IPV6_LEN] < 128):
        return back + _v6(packet, struct.pack("!BBHI", v6_head[0], v6_head[1], 0, v6_head[2]), v6)
    return None


def _is_v4_error(packet: bytes) -> bool:
    at = (packet[0] & 15) * 4
    return packet[9] == 1 and len(packet) > at and packet[at] in _V4_ERRORS


def _v4(packet: bytes, head: bytes, address: bytes) -> bytes:
    message = head + packet[: QUOTE_LEN + ((packet[0] & 15) - 5) * 4]
    message = message[:2] + struct.pack("!H", checksum(message)) + message[4:]
    total = IPV4_LEN + len(message)
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, total, 0, 0, 64, 1, 0, address, packet[12:16])
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + message


def _v6(packet: bytes, head: bytes, address: bytes) -> bytes:
    message = head + packet[:V6_QUOTE_LEN]
    pseudo = address + packet[8:24] + struct.pack("!II", len(message), 58)
    message = message[:2] + struct.pack("!H", checksum(pseudo + message)) + message[4:]
    header = struct.pack("!IHBB", 6 << 28, len(message), 58, 64) + address + packet[8:24]
    return header + message
