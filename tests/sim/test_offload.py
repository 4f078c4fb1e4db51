"""The simulated card: what it cuts and joins is what the wire would have carried."""

from __future__ import annotations

from dataclasses import replace

import pytest

from corten.sim.offload import complete, cut, merge, seal
from corten.sim.packet import (
    ACK,
    FIN,
    PSH,
    Malformed,
    Options,
    Segment,
    checksum,
    decode,
    encode,
    flags_text,
    flags_value,
)

BASE = Segment(
    "10.0.0.1", "10.0.0.2", 1000, 80, 0xFFFFFFF0, 7, ACK | PSH | FIN, 500,
    Options(timestamps=(1, 2)), bytes(range(250)), "02:00:00:00:00:02", "02:00:00:00:00:01",
)  # fmt: skip
SIX = replace(BASE, source="fd00::1", target="fd00::2")


@pytest.mark.parametrize("segment", [BASE, SIX])
def test_cut(segment: Segment) -> None:
    pieces = [decode(frame) for frame in cut(encode(segment), 100)]
    assert [len(piece.payload) for piece in pieces if piece] == [100, 100, 50]
    assert [flags_text(piece.flags) for piece in pieces if piece] == [".", ".", "FP."]
    assert [piece.seq for piece in pieces if piece] == [0xFFFFFFF0, 0x54, 0xB8]
    assert b"".join(piece.payload for piece in pieces if piece) == segment.payload


def test_cut_by_nothing() -> None:
    with pytest.raises(Malformed):
        cut(encode(BASE), 0)


@pytest.mark.parametrize("segment", [replace(BASE, flags=ACK | PSH), replace(SIX, flags=ACK)])
def test_merge_undoes_cut(segment: Segment) -> None:
    frame = encode(segment)
    merged = merge(cut(frame, 100))
    assert [size for _, size in merged] == [100]
    found = decode(merged[0][0])
    assert found is not None
    assert (found.seq, found.payload, found.flags) == (segment.seq, segment.payload, segment.flags)


@pytest.mark.parametrize(
    "change",
    [
        {"source_port": 1001},
        {"ack": 8},
        {"window": 499},
        {"flags": ACK | FIN},
        {"seq": 100},
        {"options": Options(timestamps=(2, 2))},
        {"payload": b"x" * 101},
    ],
)
def test_what_does_not_merge(change: dict[str, object]) -> None:
    first = replace(BASE, seq=0, flags=ACK, payload=b"x" * 100)
    second = replace(first, **{"seq": 100, **change})  # type: ignore[arg-type]
    if change == {"seq": 100}:
        second = replace(first, seq=101)
    assert [size for _, size in merge([encode(first), encode(second)])] == [0, 0]


def test_after_a_short_segment_nothing_merges() -> None:
    first = replace(BASE, seq=0, flags=ACK, payload=b"x" * 100)
    short = replace(first, seq=100, payload=b"x" * 50)
    third = replace(first, seq=150, payload=b"x" * 50)
    frames = [encode(segment) for segment in (first, short, third)]
    assert [size for _, size in merge(frames)] == [100, 0]


def test_complete() -> None:
    frame = bytearray(encode(BASE))
    tcp = frame[34:]
    tcp[16:18] = b"\0\0"
    pseudo = bytes(frame[26:34]) + bytes([0, 6]) + len(tcp).to_bytes(2, "big")
    frame[50:52] = (checksum(pseudo) ^ 0xFFFF).to_bytes(2, "big")
    assert complete(bytes(frame), 34, 16) == encode(BASE)


def test_seal_mends_checksums() -> None:
    frame = bytearray(encode(BASE))
    frame[24:26] = b"\1\2"
    frame[50:52] = b"\1\2"
    assert seal(bytes(frame)) == encode(BASE)


def test_flags() -> None:
    for value in range(256):
        assert flags_value(flags_text(value)) == value
    assert flags_value("SA") == flags_value("S.")


@pytest.mark.parametrize(
    ("at", "octet"),
    [(14, 0x65), (14, 0x41), (16, 0xFF), (20, 0x20), (46, 0x40), (46, 0xF0)],
)
def test_malformed(at: int, octet: int) -> None:
    frame = bytearray(encode(replace(BASE, payload=b"")))
    frame[at] = octet
    if 14 <= at < 34:
        frame[24:26] = b"\0\0"
        frame[24:26] = checksum(bytes(frame[14:34])).to_bytes(2, "big")
    with pytest.raises(Malformed):
        decode(bytes(frame))


@pytest.mark.parametrize("raw", [b"\2\1", b"\2", b"\2\x09", b"\0\1\1\1"])
def test_malformed_options(raw: bytes) -> None:
    with pytest.raises(Malformed):
        decode(encode(BASE, raw))


def test_short_frames() -> None:
    frame = encode(replace(BASE, payload=b""))
    for length in range(len(frame)):
        with pytest.raises(Malformed):
            decode(frame[:length])
    assert decode(b"\0" * 12 + b"\x08\x06" + b"\0" * 28) is None


def test_options_survive() -> None:
    options = Options(1460, 7, True, [(1, 2)], (5, 6), [(30, b"xy")])
    found = decode(encode(replace(BASE, options=options)))
    assert found is not None
    assert found.options == options
    assert "mss 1460 wscale 7 sackOK TS 5 6 sack 1:2" in str(found)
