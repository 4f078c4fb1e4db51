"""What a wire leaves undone: cut a super-segment into segments, or datagrams out of one frame
(RFC 9293 3.7.1, UDP_SEGMENT); complete a checksum.

The slow path of a fallback: plain bytes in, plain bytes out, complete checksums.
"""

from __future__ import annotations

from corten.core.arena import checksum_of

_ETHERNET_LEN = 14
_TAG_LEN = 4
_TAG_TYPE = b"\x81\x00"
_UDP_LEN = 8
_FIN_PSH = 0x09
_CWR = 0x80
_TCP = 6
_UDP = 17


def network_at(frame: bytes) -> int:
    """Where the IP header of an Ethernet frame is: behind its tag, if it has one."""
    return _ETHERNET_LEN + (_TAG_LEN if frame[12:14] == _TAG_TYPE else 0)


def complete(frame: bytes, start: int, offset: int) -> bytes:
    """`frame` with the checksum field at `start + offset`, which holds the pseudo-header's sum,
    made complete over all from `start` on. No UDP checksum is zero (RFC 768)."""
    whole = bytearray(frame)
    sum_ = checksum_of(frame[start:]) or 0xFFFF
    whole[start + offset : start + offset + 2] = sum_.to_bytes(2, "big")
    return bytes(whole)


def cut(frame: bytes, transport_at: int, size: int, ip_at: int = _ETHERNET_LEN) -> list[bytes]:
    """The segments of `frame`: its IP header at `ip_at`, its TCP header at `transport_at`, `size`
    octets of payload each."""
    payload_at = transport_at + (frame[transport_at + 12] >> 4) * 4
    if size <= 0 or payload_at > len(frame):
        raise ValueError(f"cannot cut {len(frame)} octets, payload at {payload_at}, every {size}")
    starts = range(payload_at, len(frame), size)
    segments = []
    for i, at in enumerate(starts):
        tcp = bytearray(frame[transport_at:payload_at])
        sequence = int.from_bytes(tcp[4:8], "big") + at - payload_at
        tcp[4:8] = (sequence & 0xFFFFFFFF).to_bytes(4, "big")
        if i != len(starts) - 1:
            tcp[13] &= ~_FIN_PSH & 0xFF
        if i:
            tcp[13] &= ~_CWR & 0xFF
        payload = frame[at : at + size]
        segments.append(_whole(frame[:transport_at], ip_at, _TCP, tcp, payload, i))
    return segments


def cut_datagrams(frame: bytes, size: int) -> list[bytes]:
    """The datagrams of an Ethernet frame that carries several of `size` octets, the last one of
    what is left; none where there is anything else in it."""
    ip_at = network_at(frame)
    if size <= 0 or len(frame) < ip_at + 20 + _UDP_LEN:
        return []
    first, udp_at = frame[ip_at], 0
    if first >> 4 == 4 and frame[ip_at + 9] == _UDP:
        udp_at = ip_at + (first & 0xF) * 4
    elif first >> 4 == 6 and frame[ip_at + 6] == _UDP:
        udp_at = ip_at + 40
    if udp_at < ip_at + 20 or udp_at + _UDP_LEN > len(frame):
        return []
    datagrams = []
    for i, at in enumerate(range(udp_at + _UDP_LEN, len(frame), size)):
        payload = frame[at : at + size]
        udp = bytearray(frame[udp_at : udp_at + _UDP_LEN])
        udp[4:6] = (_UDP_LEN + len(payload)).to_bytes(2, "big")
        datagrams.append(_whole(frame[:udp_at], ip_at, _UDP, udp, payload, i))
    return datagrams


def _whole(
    before: bytes, ip_at: int, protocol: int, transport: bytearray, payload: bytes, index: int
) -> bytes:
    """One of the pieces: its own length, identification and checksums."""
    ip = bytearray(before[ip_at:])
    length = len(transport) + len(payload)
    if ip[0] >> 4 == 4:
        ip[2:4] = (len(ip) + length).to_bytes(2, "big")
        identification = int.from_bytes(ip[4:6], "big") + index
        ip[4:6] = (identification & 0xFFFF).to_bytes(2, "big")
        ip[10:12] = bytes(2)
        ip[10:12] = checksum_of(bytes(ip)).to_bytes(2, "big")
        pseudo = bytes(ip[12:20])
    else:
        ip[4:6] = (len(ip) - 40 + length).to_bytes(2, "big")
        pseudo = bytes(ip[8:40])
    sum_at = 16 if protocol == _TCP else 6
    transport[sum_at : sum_at + 2] = bytes(2)
    pseudo += protocol.to_bytes(2, "big") + length.to_bytes(2, "big")
    found = checksum_of(pseudo + bytes(transport) + payload)
    if protocol == _UDP and not found:
        found = 0xFFFF  # 0 would say that there is none (RFC 768)
    transport[sum_at : sum_at + 2] = found.to_bytes(2, "big")
    return before[:ip_at] + bytes(ip) + bytes(transport) + payload
