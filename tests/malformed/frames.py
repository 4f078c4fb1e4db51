"""Frames octet by octet, for tests that break one field at a time and mend the checksums."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from corten.core.arena import checksum_of

ETHERNET, IP_AT, TCP_AT = 14, 14, 34
OURS = bytes.fromhex("020000000001")
PEER = bytes.fromhex("020000000002")
HERE_V4, THERE_V4 = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
TIMESTAMPS = b"\x01\x01\x08\x0a"


def ethernet(kind: int, payload: bytes) -> bytearray:
    return bytearray(OURS + PEER + struct.pack("!H", kind) + payload)


def ipv4(protocol: int, payload: bytes) -> bytearray:
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0x4000, 64, protocol, 0)
    return mend_ip(ethernet(0x0800, head + THERE_V4 + HERE_V4 + payload))


def tcp(port: int, to: int, seq: int, ack: int, flags: int, window: int = 8000,
        options: bytes = b"", data: bytes = b"") -> bytearray:  # fmt: skip
    head = struct.pack("!HHIIBBHHH", port, to, seq % 2**32, ack % 2**32,
                       (20 + len(options)) << 2, flags, window, 0, 0)  # fmt: skip
    return mend(ipv4(6, head + options + data))


def arp(operation: int, sender: bytes, sender_ip: bytes, target_ip: bytes) -> bytearray:
    fixed = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation)
    return ethernet(0x0806, fixed + sender + sender_ip + bytes(6) + target_ip)


def icmp(type: int, code: int, rest: int, payload: bytes) -> bytearray:
    body = bytearray(struct.pack("!BBHI", type, code, 0, rest) + payload)
    body[2:4] = struct.pack("!H", checksum_of(bytes(body)))
    return ipv4(1, bytes(body))


def mend_ip(frame: bytearray) -> bytearray:
    """Make the IP header's checksum right, as far as there is a header."""
    length = max(20, (frame[IP_AT] & 15) * 4)
    if len(frame) >= IP_AT + length:
        frame[24:26] = b"\0\0"
        frame[24:26] = struct.pack("!H", checksum_of(bytes(frame[IP_AT : IP_AT + length])))
    return frame


def mend(frame: bytearray) -> bytearray:
    """Make both checksums right."""
    mend_ip(frame)
    if len(frame) >= TCP_AT + 20:
        frame[50:52] = b"\0\0"
        segment = bytes(frame[TCP_AT:])
        pseudo = bytes(frame[26:34]) + struct.pack("!HH", 6, len(segment))
        frame[50:52] = struct.pack("!H", checksum_of(pseudo + segment))
    return frame


def put(frame: bytes, at: int, value: int, size: int) -> bytearray:
    """A copy with one field changed."""
    changed = bytearray(frame)
    changed[at : at + size] = (value % (1 << 8 * size)).to_bytes(size, "big")
    return changed


ADDRESSES = [0, 0x7F000001, 0xE0000001, 0xF0000001, 0xFFFFFFFF, 0x0A0000FF, 0x0A000000,
             0x0A000001, 0x0A000002, 0x08080808]  # fmt: skip


Patch = Callable[[bytes], bytearray]


def field(at: int, value: int, size: int, mended: Callable[[bytearray], bytearray]) -> Patch:
    """Set one field, then mend."""
    return lambda frame: mended(put(frame, at, value, size))


def as_it_is(frame: bytearray) -> bytearray:
    return frame


def cut(length: int) -> Patch:
    return lambda frame: bytearray(frame[:length])


def ethernet_patches(length: int) -> Iterator[Patch]:
    for n in range(length):
        yield cut(n)
    for mac in (0, 0xFFFFFFFFFFFF, 0x010000000001, 0x020000000009):
        yield field(0, mac, 6, as_it_is)
        yield field(6, mac, 6, as_it_is)
    for kind in (0, 0x5DC, 0x600, 0x0806, 0x8100, 0x88A8, 0x86DD, 0xFFFF):
        yield field(12, kind, 2, as_it_is)
    yield lambda frame: bytearray(frame) + b"padding"


def ip_option(kind: int, length: int) -> Patch:
    def patch(frame: bytes) -> bytearray:
        longer = bytearray(frame[:34]) + bytes([kind, length, 0, 0]) + frame[34:]
        longer[14] = 0x46
        longer[16:18] = struct.pack("!H", len(longer) - 14)
        return mend_ip(longer)

    return patch


def ip_patches(length: int) -> Iterator[Patch]:
    """D.3: one field at a time, the checksum mended."""
    for version in (0, 3, 5, 6, 15):
        yield field(14, version << 4 | 5, 1, mend_ip)
    for words in range(16):
        yield field(14, 0x40 | words, 1, mend_ip)
    for total in (0, 19, 20, 0x3F, 0x9F, length - 15, length - 13, 0xFFFF):
        yield field(16, total, 2, mend_ip)
    for fragment in [f << 13 for f in range(8)] + [0xF0, 0x1FFF, 0x3FFF]:
        yield field(20, fragment, 2, mend_ip)
    for octet in (0, 1, 255):
        yield field(15, octet, 1, mend_ip)
        yield field(22, octet, 1, mend_ip)
    for protocol in range(256):
        yield field(23, protocol, 1, mend_ip)
    for checksum in (0, 0xFFFF, 0x1234):
        yield field(24, checksum, 2, as_it_is)
    for address in ADDRESSES:
        yield field(26, address, 4, mend)
        yield field(30, address, 4, mend)
    for kind in (0, 1, 7, 68, 130, 131, 137, 148, 255):
        for option_len in (0, 1, 2, 3, 4, 5, 255):
            yield ip_option(kind, option_len)


NUMBERS = [0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF]
DISTANCES = [-70_000, -8001, -1, 1, 2, 1000, 8000, 8192, 70_000, 2**31 - 1, 2**31]


def number(at: int, value: int, relative: bool, flags: int) -> Patch:
    """Set SEG.SEQ or SEG.ACK, or move it, under other flags."""

    def patch(frame: bytes) -> bytearray:
        base = int.from_bytes(frame[at : at + 4], "big") if relative else 0
        changed = put(frame, at, base + value, 4)
        changed[47] = flags
        return mend(changed)

    return patch


def urgent(pointer: int, flags: int) -> Patch:
    def patch(frame: bytes) -> bytearray:
        changed = put(frame, 52, pointer, 2)
        changed[47] = flags
        return mend(changed)

    return patch


def tcp_patches() -> Iterator[Patch]:
    for port in (0, 9, 0xFFFF):
        yield field(34, port, 2, mend)
        yield field(36, port, 2, mend)
    for at in (38, 42):
        for flags in (0x10, 0x18, 0x02, 0x12, 0x04, 0x14, 0x11, 0x00):
            for value in NUMBERS:
                yield number(at, value, False, flags)
            for value in DISTANCES:
                yield number(at, value, True, flags)
    for offset in range(16):
        for reserved in (0, 15):
            yield field(46, offset << 4 | reserved, 1, mend)
    for flags in range(256):
        yield field(47, flags, 1, mend)
    for window in (0, 1, 0x8000, 0xFFFF):
        yield field(48, window, 2, mend)
    for checksum in (0, 0xFFFF, 0x1234):
        yield field(50, checksum, 2, as_it_is)
    for pointer in (0, 1, 5, 6, 0xFFFF):
        for flags in (0x10, 0x30, 0x38):
            yield urgent(pointer, flags)


def tcp_option(kind: int, length: int, body: bytes) -> Patch:
    """Replace the options by one, padded by END."""

    def patch(frame: bytes) -> bytearray:
        option = (bytes([kind, length]) + body)[:40]
        options = option + b"\0" * (-len(option) % 4)
        changed = bytearray(frame[:54]) + options + frame[34 + (frame[46] >> 4) * 4 :]
        changed[46] = (20 + len(options)) << 2
        changed[16:18] = struct.pack("!H", len(changed) - 14)
        return mend(changed)

    return patch


KNOWN_OPTIONS = {
    2: [bytes.fromhex(v) for v in ("0000", "0001", "0030", "1111", "AAAA", "FFFF")],
    3: [bytes([v]) for v in (0, 14, 15, 0x55, 255)],
    4: [b""],
    5: [bytes(8), bytes(range(8)), b"\xff" * 8, bytes(32)],
    8: [bytes(8), b"\xff" * 8, b"\x80" + bytes(7)],
    19: [bytes(16)],
    29: [bytes(2)],
    30: [b"\xff" * 10],
    34: [bytes(6)],
}


def option_patches() -> Iterator[Patch]:
    """Every kind with lengths that are wrong; the known ones with values that are."""
    for kind in range(256):
        for body in KNOWN_OPTIONS.get(kind, [bytes(2)]):
            exact = len(body) + 2
            lengths = {0, 1, 2, 3, 4, exact - 1, exact, exact + 1, 39, 40, 255}
            for length in lengths if kind in KNOWN_OPTIONS else {0, 1, 4, 255}:
                yield tcp_option(kind, length, body)


def arp_frames() -> Iterator[bytearray]:
    for operation in (0, 1, 2, 3, 0xFFFF):
        for sender in (PEER, OURS, bytes(6), b"\xff" * 6, b"\x01" + bytes(5)):
            for address in ADDRESSES:
                there = address.to_bytes(4, "big")
                yield arp(operation, sender, there, HERE_V4)
                yield arp(operation, PEER, THERE_V4, there)
    good = arp(1, PEER, THERE_V4, HERE_V4)
    for length in range(len(good)):
        yield good[:length]
    for at, size in ((14, 2), (16, 2), (18, 1), (19, 1)):
        for value in (0, 1, 6, 16, 255):
            yield put(good, at, value, size)


def icmp_frames(quote: bytes) -> Iterator[bytearray]:
    for kind in range(256):
        yield icmp(kind, 0, 0, quote)
    for code in range(256):
        yield icmp(3, code, 1000, quote)
    for length in range(len(quote)):
        yield icmp(3, 3, 0, quote[:length])
    for mtu in (0, 1, 67, 68, 69, 551, 552, 1280, 1500, 0xFFFF):
        yield icmp(3, 4, mtu, quote)
    for at in range(len(quote)):
        yield icmp(3, 1, 0, bytes(put(quote, at, quote[at] ^ 0xFF, 1)))
    yield put(bytes(icmp(8, 0, 0, b"data")), 36, 0x1234, 2)
    for length in (0, 1, 1000, 1472):
        yield icmp(8, 0, 0, bytes(length))
