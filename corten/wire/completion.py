"""Complete the transport checksum that a link left undone, for whoever keeps a copy of the frame.

A frame between a stack and a device that offloads has the pseudo-header's sum where its checksum
belongs, or nothing that anybody has verified. Computed anew from the whole packet it is right
either way. A packet that cannot be understood (a fragment, extension headers, a length beyond the
frame) stays as it is.
"""

from __future__ import annotations

from corten.core.arena import checksum_of

_ETHERNET_LEN, _TAG_LEN = 14, 4
_VLAN, _IPV4, _IPV6 = 0x8100, 0x0800, 0x86DD
_IPV4_LEN, _IPV6_LEN = 20, 40
_CHECKSUM_AT = {6: 16, 17: 6}  # of TCP and UDP, in their headers
_SHORTEST = {6: 20, 17: 8}
_UDP = 17


def completed(frame: bytes, ethernet: bool) -> bytes:
    """`frame` with its TCP or UDP checksum right, where it has one."""
    at = _packet_at(frame) if ethernet else 0
    if at < 0 or len(frame) - at < _IPV4_LEN:
        return frame
    version = frame[at] >> 4
    if version == 4:
        header_len, protocol = (frame[at] & 15) * 4, frame[at + 9]
        end = at + int.from_bytes(frame[at + 2 : at + 4], "big")
        addresses = frame[at + 12 : at + 20]
        is_whole = int.from_bytes(frame[at + 6 : at + 8], "big") & 0x3FFF == 0  # MF and offset
    elif version == 6 and len(frame) - at >= _IPV6_LEN:
        header_len, protocol = _IPV6_LEN, frame[at + 6]
        end = at + _IPV6_LEN + int.from_bytes(frame[at + 4 : at + 6], "big")
        addresses = frame[at + 8 : at + 40]
        is_whole = True
    else:
        return frame
    start = at + header_len
    known = protocol in _CHECKSUM_AT and is_whole and header_len >= _IPV4_LEN
    if not known or end > len(frame) or end - start < _SHORTEST[protocol]:
        return frame
    return _with_checksum(frame, start, end, protocol, addresses)


def _packet_at(frame: bytes) -> int:
    """Where the IP packet of an Ethernet frame begins; -1: it has none."""
    at, ethertype = _ETHERNET_LEN, frame[12:14]
    if ethertype == _VLAN.to_bytes(2, "big"):
        at, ethertype = at + _TAG_LEN, frame[16:18]
    return at if int.from_bytes(ethertype, "big") in (_IPV4, _IPV6) else -1


def _with_checksum(frame: bytes, start: int, end: int, protocol: int, addresses: bytes) -> bytes:
    field_at = start + _CHECKSUM_AT[protocol]
    field = frame[field_at : field_at + 2]
    if protocol == _UDP and field == b"\0\0":
        return frame  # its sender has said that there is none
    pseudo = addresses + (end - start).to_bytes(4, "big") + protocol.to_bytes(4, "big")
    segment = frame[start:field_at] + b"\0\0" + frame[field_at + 2 : end]
    checksum = checksum_of(pseudo + segment)
    if protocol == _UDP and checksum == 0:
        checksum = 0xFFFF  # 0 would say that there is none (RFC 768)
    return frame[:field_at] + checksum.to_bytes(2, "big") + frame[field_at + 2 :]
