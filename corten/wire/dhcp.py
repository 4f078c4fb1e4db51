"""DHCPv4 messages: parse and emit (RFC 2131 2, options RFC 2132, long options RFC 3396).

    0    op, htype, hlen, hops | xid | secs | flags
    12   ciaddr | yiaddr | siaddr | giaddr
    28   chaddr (16) | sname (64) | file (128)
    236  magic cookie | options: code, length, octets; 0 pads, 255 ends

Rules. Everything comes from strangers: lengths are checked, an option that came in pieces is put
together, `sname` and `file` are options where option 52 says so, once each. Anything that cannot be
a message is DhcpMalformed, and nothing else is raised; an option of an impossible length is absent.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

HEADER_LEN = 236
COOKIE = b"\x63\x82\x53\x63"
LEN_MIN = 300  # BOOTP relays drop shorter ones (RFC 1542 2.1)
BROADCAST_FLAG = 0x8000
REQUEST_OP, REPLY_OP = 1, 2
CLIENT_PORT, SERVER_PORT = 68, 67

DISCOVER, OFFER, REQUEST, DECLINE, ACK, NAK, RELEASE, INFORM = range(1, 9)

PAD, SUBNET_MASK, ROUTER, NAME_SERVERS, HOST_NAME, DOMAIN_NAME = 0, 1, 3, 6, 12, 15
INTERFACE_MTU, REQUESTED_ADDRESS, LEASE_TIME, OVERLOAD, MESSAGE_TYPE = 26, 50, 51, 52, 53
SERVER_ID, PARAMETERS, MAX_SIZE, T1, T2, CLIENT_ID = 54, 55, 57, 58, 59, 61
CLASSLESS_ROUTES, END = 121, 255

_FIXED = struct.Struct("!BBBBIHH4s4s4s4s16s64s128s")
_OPTION_LEN_MAX = 255


class DhcpMalformed(ValueError):
    """The octets are no DHCP message."""


@dataclass(slots=True)
class DhcpMessage:
    """One message. Addresses are 32-bit numbers, 0 for none."""

    op: int
    xid: int
    mac: int
    secs: int = 0
    broadcast: bool = False
    ciaddr: int = 0
    yiaddr: int = 0
    options: dict[int, bytes] = field(default_factory=dict)

    @property
    def kind(self) -> int:
        """DISCOVER to INFORM; 0 when it does not say (BOOTP)."""
        found = self.options.get(MESSAGE_TYPE, b"")
        return found[0] if len(found) == 1 else 0

    def address(self, code: int) -> int:
        """An option that is one address; 0 when absent."""
        found = self.options.get(code, b"")
        return int.from_bytes(found, "big") if len(found) == 4 else 0

    def addresses(self, code: int) -> list[int]:
        """An option that is a list of addresses."""
        found = self.options.get(code, b"")
        if len(found) % 4:
            return []
        return [int.from_bytes(found[i : i + 4], "big") for i in range(0, len(found), 4)]

    def seconds(self, code: int) -> int:
        """An option that is a time; -1 when absent."""
        found = self.options.get(code, b"")
        return int.from_bytes(found, "big") if len(found) == 4 else -1


def parse_dhcp(octets: bytes) -> DhcpMessage:
    """A message. DhcpMalformed when it is none."""
    if len(octets) < HEADER_LEN + len(COOKIE):
        raise DhcpMalformed("shorter than a header")
    op, htype, hlen, _, xid, secs, flags, ciaddr, yiaddr, _, _, chaddr, sname, file = (
        _FIXED.unpack_from(octets)
    )
    if htype != 1 or hlen != 6:
        raise DhcpMalformed("not for Ethernet")
    if octets[HEADER_LEN : HEADER_LEN + 4] != COOKIE:
        raise DhcpMalformed("without the magic cookie")
    message = DhcpMessage(op, xid, int.from_bytes(chaddr[:6], "big"), secs)
    message.broadcast = bool(flags & BROADCAST_FLAG)
    message.ciaddr = int.from_bytes(ciaddr, "big")
    message.yiaddr = int.from_bytes(yiaddr, "big")
    _parse_options(octets[HEADER_LEN + 4 :], message.options)
    overload = message.options.pop(OVERLOAD, b"")
    if len(overload) == 1:
        if overload[0] & 1:
            _parse_options(file, message.options)
        if overload[0] & 2:
            _parse_options(sname, message.options)
        message.options.pop(OVERLOAD, None)  # no overload of an overload
    return message


def _parse_options(octets: bytes, found: dict[int, bytes]) -> None:
    """Options up to END or the end; one that runs past it ends the reading."""
    at = 0
    while at < len(octets):
        code = octets[at]
        at += 1
        if code == PAD:
            continue
        if code == END:
            return
        if at >= len(octets) or at + 1 + octets[at] > len(octets):
            raise DhcpMalformed("an option runs past the message")
        length = octets[at]
        found[code] = found.get(code, b"") + octets[at + 1 : at + 1 + length]
        at += 1 + length


def emit_dhcp(message: DhcpMessage) -> bytes:
    """The octets of a message, padded to what relays take."""
    mac = message.mac.to_bytes(6, "big")
    fixed = _FIXED.pack(
        message.op,
        1,
        6,
        0,
        message.xid,
        min(message.secs, 0xFFFF),
        BROADCAST_FLAG if message.broadcast else 0,
        message.ciaddr.to_bytes(4, "big"),
        message.yiaddr.to_bytes(4, "big"),
        bytes(4),
        bytes(4),
        mac + bytes(10),
        bytes(64),
        bytes(128),
    )
    parts = [fixed, COOKIE]
    for code, data in message.options.items():
        for start in range(0, max(1, len(data)), _OPTION_LEN_MAX):
            piece = data[start : start + _OPTION_LEN_MAX]
            parts.append(bytes([code, len(piece)]) + piece)
    parts.append(bytes([END]))
    whole = b"".join(parts)
    return whole + bytes(max(0, LEN_MIN - len(whole)))


def parse_classless_routes(octets: bytes) -> list[tuple[int, int, int]] | None:
    """(network, prefix length, gateway) of option 121 (RFC 3442); None when malformed."""
    routes = []
    at = 0
    while at < len(octets):
        prefix_len = octets[at]
        width = (prefix_len + 7) // 8
        if prefix_len > 32 or at + 1 + width + 4 > len(octets):
            return None
        network = int.from_bytes(octets[at + 1 : at + 1 + width] + bytes(4 - width), "big")
        at += 1 + width
        routes.append((network, prefix_len, int.from_bytes(octets[at : at + 4], "big")))
        at += 4
    return routes
