"""What a network card does for a stack: complete checksums, cut super-segments, merge segments.

Here, as everywhere in the simulator, in plain struct: a card's mistakes are not the stack's. On the
simulated wire every packet is whole and as small as the MTU asks.
"""

from __future__ import annotations

import struct

from corten.core.frame import TransmitBatch
from corten.sim.packet import (
    ACK,
    CWR,
    ETHERNET_LEN,
    FIN,
    IPV4,
    PSH,
    TCP,
    Malformed,
    checksum,
    decode,
)

MERGED_MAX = 60_000


def take_frames(batch: TransmitBatch) -> list[bytes]:
    """The wire packets of a batch that a stack has filled: complete, and cut where it asked."""
    frames = []
    for i in range(batch.count):
        frame = batch.frame(i)
        if batch.gso_type[i]:
            frames += cut(frame, batch.gso_size[i])
            continue
        start = batch.checksum_start[i]
        if start:
            frame = complete(frame, start, batch.checksum_offset[i])
        frames.append(frame)
    return frames


def complete(frame: bytes, start: int, offset: int) -> bytes:
    """Finish a checksum whose field holds the pseudo-header's sum (virtio's NEEDS_CSUM)."""
    total = checksum(frame[start:])
    at = start + offset
    return frame[:at] + total.to_bytes(2, "big") + frame[at + 2 :]


def _layout(frame: bytes) -> tuple[int, int, int]:
    """(IP version, where TCP starts, where its data starts)."""
    if frame[12:14] == IPV4.to_bytes(2, "big"):
        tcp_at = ETHERNET_LEN + (frame[ETHERNET_LEN] & 15) * 4
        return 4, tcp_at, tcp_at + (frame[tcp_at + 12] >> 4) * 4
    tcp_at = ETHERNET_LEN + 40
    return 6, tcp_at, tcp_at + (frame[tcp_at + 12] >> 4) * 4


def cut(frame: bytes, size: int) -> list[bytes]:
    """The segments of a super-segment: `size` octets of data each, FIN and PSH on the last only."""
    _, tcp_at, data_at = _layout(frame)
    if size <= 0:
        raise Malformed("a super-segment with gso_size 0")
    data = frame[data_at:]
    seq = int.from_bytes(frame[tcp_at + 4 : tcp_at + 8], "big")
    flags = frame[tcp_at + 13]
    pieces = []
    for at in range(0, len(data), size):
        head = bytearray(frame[:data_at])
        head[tcp_at + 4 : tcp_at + 8] = struct.pack("!I", (seq + at) & 0xFFFFFFFF)
        last = at + size >= len(data)
        head[tcp_at + 13] = flags & ~(0 if last else FIN | PSH) & ~(CWR if at else 0)
        pieces.append(seal(bytes(head) + data[at : at + size], at // size))
    return pieces


def seal(frame: bytes, serial: int = 0) -> bytes:
    """The same packet with lengths and checksums made right; `serial` advances the IPv4 id."""
    version, tcp_at, _ = _layout(frame)
    out = bytearray(frame)
    tcp_len = len(frame) - tcp_at
    if version == 4:
        ip_id = int.from_bytes(out[18:20], "big") + serial
        out[16:20] = struct.pack("!2H", len(frame) - ETHERNET_LEN, ip_id & 0xFFFF)
        out[24:26] = b"\0\0"
        out[24:26] = checksum(bytes(out[ETHERNET_LEN:tcp_at])).to_bytes(2, "big")
        pseudo = bytes(out[26:34]) + struct.pack("!2H", TCP, tcp_len)
    else:
        out[18:20] = struct.pack("!H", tcp_len)
        pseudo = bytes(out[22:54]) + struct.pack("!2I", tcp_len, TCP)
    out[tcp_at + 16 : tcp_at + 18] = b"\0\0"
    total = checksum(pseudo + bytes(out[tcp_at:]))
    out[tcp_at + 16 : tcp_at + 18] = total.to_bytes(2, "big")
    return bytes(out)


def merge(frames: list[bytes]) -> list[tuple[bytes, int]]:
    """Join consecutive segments as a receiving card does: (frame, size of its segments or 0)."""
    merged: list[tuple[bytes, int]] = []
    for frame in frames:
        joined = _join(merged[-1], frame) if merged else None
        if joined is None:
            merged.append((frame, 0))
        else:
            merged[-1] = joined
    return merged


def _join(first: tuple[bytes, int], second: bytes) -> tuple[bytes, int] | None:
    """Both as one super-segment, or None where a card would not."""
    try:
        a, b = decode(first[0]), decode(second)
    except Malformed:  # silent: left to the stack as it is
        return None
    if a is None or b is None or a.flow != b.flow or first[0][:12] != second[:12]:
        return None
    if a.flags != ACK or b.flags & ~PSH != ACK or not a.payload or not b.payload:
        return None
    size = first[1] or len(a.payload)
    follows = (a.seq + len(a.payload)) & 0xFFFFFFFF == b.seq and len(a.payload) % size == 0
    same = (a.ack, a.window, a.options, a.ttl, a.ecn) == (
        b.ack, b.window, b.options, b.ttl, b.ecn,
    )  # fmt: skip
    if not (follows and same) or len(b.payload) > size:
        return None
    if len(first[0]) + len(b.payload) > MERGED_MAX:
        return None
    _, tcp_at, _ = _layout(second)
    joined = bytearray(first[0] + b.payload)
    joined[tcp_at + 13] |= b.flags
    return seal(bytes(joined)), size
