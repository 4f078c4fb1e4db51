"""The frame of a DHCP message from a host that has no address yet (RFC 2131 4.1): from 0.0.0.0 to
everybody, by UDP from port 68 to port 67; and the copy of a reply that one worker makes for others.
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address

from corten.core.arena import checksum_of
from corten.wire.dhcp import CLIENT_PORT, SERVER_PORT

_EVERYBODY = b"\xff" * 4
_NOBODY = b"\0" * 4
_UDP = 17
_TTL = 64


COPY_PORT = 69  # from which copies between workers come


def broadcast_frame(mac: int, vlan: int, octets: bytes) -> bytes:
    """What we say. `vlan` 0: without a tag."""
    return _frame(mac, vlan, octets, _NOBODY, CLIENT_PORT, SERVER_PORT)


def copied_frame(mac: int, vlan: int, octets: bytes, server: str) -> bytes:
    """What `server` said to us, once more."""
    source = IPv4Address(server).packed
    return _frame(mac, vlan, octets, source, COPY_PORT, CLIENT_PORT)


def _frame(
    mac: int, vlan: int, octets: bytes, source: bytes, source_port: int, target: int
) -> bytes:
    length = 8 + len(octets)
    udp = struct.pack("!HHHH", source_port, target, length, 0) + octets
    pseudo = source + _EVERYBODY + struct.pack("!BBH", 0, _UDP, length)
    checksum = checksum_of(pseudo + udp) or 0xFFFF
    udp = udp[:6] + struct.pack("!H", checksum) + udp[8:]
    total = 20 + len(udp)
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, total, 0, 0, _TTL, _UDP, 0, source, _EVERYBODY)
    ip = ip[:10] + struct.pack("!H", checksum_of(ip)) + ip[12:]
    tag = struct.pack("!HH", 0x8100, vlan) if vlan else b""
    return b"\xff" * 6 + mac.to_bytes(6, "big") + tag + b"\x08\x00" + ip + udp
