"""What a wire leaves undone: cut a TCP super-segment (RFC 9293, 3.7.1), complete a checksum.

The slow path of a fallback: plain bytes in, plain bytes out, complete checksums.
"""

from __future__ import annotations

from corten.core.arena import checksum_of

_ETHERNET_LEN = 14
_FIN_PSH = 0x09
_CWR = 0x80


def complete(frame: bytes, start: int, offset: int) -> bytes:
    """`frame` with the checksum field at `start + offset`, which holds the pseudo-header's sum,
    made complete over all from `start` on. No UDP checksum is zero (RFC 768)."""
    whole = bytearray(frame)
    sum_ = checksum_of(frame[start:]) or 0xFFFF
    whole[start + offset : start + offset + 2] = sum_.to_bytes(2, "big")
    return bytes(whole)


def cut(frame: bytes, transport_at: int, size: int) -> list[bytes]:
    """The segments of `frame`: its TCP header at `transport_at`, `size` octets of payload each."""
    payload_at = transport_at + (frame[transport_at + 12] >> 4) * 4
    if size <= 0 or payload_at > len(frame):
        raise ValueError(f"cannot cut {len(frame)} octets, payload at {payload_at}, every {size}")
    starts = range(payload_at, len(frame), size)
    return [
        _segment(
            frame, transport_at, payload_at, at, frame[at : at + size], i, i == len(starts) - 1
        )
        for i, at in enumerate(starts)
    ]


def _segment(
    frame: bytes,
    transport_at: int,
    payload_at: int,
    at: int,
    payload: bytes,
    index: int,
    last: bool,
) -> bytes:
    """One segment: its own length, identification, sequence number, flags and checksums."""
    ip = bytearray(frame[_ETHERNET_LEN:transport_at])
    tcp = bytearray(frame[transport_at:payload_at])
    sequence = int.from_bytes(tcp[4:8], "big") + at - payload_at
    tcp[4:8] = (sequence & 0xFFFFFFFF).to_bytes(4, "big")
    if not last:
        tcp[13] &= ~_FIN_PSH & 0xFF
    if index:
        tcp[13] &= ~_CWR & 0xFF
    length = len(tcp) + len(payload)
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
    tcp[16:18] = bytes(2)
    pseudo += (6).to_bytes(2, "big") + length.to_bytes(2, "big")
    tcp[16:18] = checksum_of(pseudo + bytes(tcp) + payload).to_bytes(2, "big")
    return frame[:_ETHERNET_LEN] + bytes(ip) + bytes(tcp) + payload
