"""TCP headers: against scapy, one reason for each malformed row, and SEG.LEN."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP

from corten.core.arena import Arena, Memory, sum_octets
from corten.wire import reason
from corten.wire.checksum import finish, pseudo_sum_v4
from corten.wire.tcp import (
    ACK,
    CWR,
    ECE,
    FIN,
    PSH,
    RST,
    SYN,
    TCP_CHECKSUM_AT,
    TCP_HEADER_LEN,
    URG,
    Segment,
    emit_tcp,
    verify_checksum,
)

SOURCE, DESTINATION = 0x0A000201, 0x0A000202
# 4660 -> 80, seq deadbeef, ack 80000000, PSH ACK, window ffff, urgent 0; checksum 0
GOLDEN = bytes.fromhex("1234 0050 deadbeef 80000000 5018 ffff 0000 0000")
PORT = st.integers(1, 0xFFFF)
U32 = st.integers(0, 2**32 - 1) | st.sampled_from([0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])


def parse(data: bytes) -> tuple[int, Segment]:
    segment = Segment()
    return segment.parse(Memory(data), 0, len(data)), segment


def test_golden_octets() -> None:
    why, segment = parse(GOLDEN + b"payload")
    assert why == reason.ACCEPTED
    assert (segment.remote_port, segment.local_port) == (0x1234, 80)
    assert (segment.seq, segment.ack) == (0xDEADBEEF, 0x80000000)
    assert (segment.flags, segment.window) == (PSH | ACK, 0xFFFF)
    assert (segment.header_len, segment.payload_at, segment.payload_len) == (20, 20, 7)
    arena = Arena(22)
    assert emit_tcp(arena, 1, 0x1234, 80, 0xDEADBEEF, 0x80000000, PSH | ACK, 0xFFFF, 0) == 20
    assert arena.octets() == b"\0" + GOLDEN + b"\0"


def test_a_new_segment_is_empty() -> None:
    segment = Segment()
    assert segment.memory.size == 0
    assert (segment.length(), segment.window_shift, segment.has_timestamp) == (0, -1, False)
    segment.remote_low, segment.gso_size, segment.checksum_good = 5, 6, True
    assert (segment.remote_low, segment.gso_size, segment.checksum_good) == (5, 6, True)


@given(PORT, PORT, U32, U32, st.integers(0, 255), st.integers(0, 0xFFFF), st.binary(max_size=99))
def test_emit_and_parse_agree_with_scapy(
    source_port: int,
    destination_port: int,
    seq: int,
    ack: int,
    flags: int,
    window: int,
    payload: bytes,
) -> None:
    packet = IP(src="10.0.2.1", dst="10.0.2.2") / TCP(
        sport=source_port, dport=destination_port, seq=seq, ack=ack, flags=flags, window=window
    )
    data = bytes(packet / payload)[20:]
    why, segment = parse(data)
    assert why == reason.ACCEPTED
    got = (segment.remote_port, segment.local_port, segment.seq, segment.ack)
    assert got == (source_port, destination_port, seq, ack)
    assert (segment.flags, segment.window) == (flags, window)
    assert segment.memory.octets(segment.payload_at, segment.payload_len) == payload
    pseudo = pseudo_sum_v4(SOURCE, DESTINATION, 6)
    assert verify_checksum(segment, pseudo)

    arena = Arena(len(data))
    emit_tcp(arena, 0, source_port, destination_port, seq, ack, flags, window, 0)
    arena.store(20, payload)
    checksum = finish(pseudo + len(data) + sum_octets(arena, 0, len(data)))
    arena.store(TCP_CHECKSUM_AT, checksum.to_bytes(2, "big"))
    assert arena.octets() == data


@pytest.mark.parametrize("length", range(20))
def test_a_short_segment(length: int) -> None:
    assert Segment().parse(Memory(GOLDEN), 0, length) == reason.TCP_SHORT


@pytest.mark.parametrize("offset", range(16))
def test_each_data_offset(offset: int) -> None:
    data = GOLDEN[:12] + bytes([offset << 4]) + GOLDEN[13:] + bytes(20)
    why, segment = parse(data)
    if 5 <= offset <= 10:
        assert why == reason.ACCEPTED
        assert (segment.header_len, segment.payload_len) == (offset * 4, 40 - offset * 4)
    else:
        assert why == reason.TCP_BAD_DATA_OFFSET


def test_reserved_bits_and_the_urgent_pointer_are_nobodys_business() -> None:
    plain = parse(GOLDEN + b"data")[1]
    for reserved in range(16):
        for urgent in (0, 1, 4, 5, 0xFFFF):
            head = GOLDEN[:12] + bytes([0x50 | reserved, URG | ACK]) + GOLDEN[14:18]
            why, segment = parse(head + urgent.to_bytes(2, "big") + b"data")
            assert why == reason.ACCEPTED
            assert (segment.payload_at, segment.payload_len) == (20, 4)
            assert (segment.seq, segment.ack) == (plain.seq, plain.ack)


@pytest.mark.parametrize("at", [0, 2])
def test_port_0_belongs_to_nobody(at: int) -> None:
    assert parse(GOLDEN[:at] + b"\0\0" + GOLDEN[at + 2 :])[0] == reason.TCP_BAD_PORT


@pytest.mark.parametrize("flags", range(256))
def test_every_flag_octet_and_its_length(flags: int) -> None:
    data = GOLDEN[:13] + bytes([flags]) + GOLDEN[14:] + b"abc"
    why, segment = parse(data)
    assert why == reason.ACCEPTED
    assert segment.flags == flags
    assert segment.length() == 3 + bool(flags & SYN) + bool(flags & FIN)


def test_the_flags_are_the_headers() -> None:
    # RFC 9293, 3.1: from the right
    assert [1 << i for i in range(8)] == [FIN, SYN, RST, PSH, ACK, URG, ECE, CWR]


def test_the_pieces_of_an_earlier_segment_are_gone() -> None:
    packet = TCP(flags="S", options=[("MSS", 1460), ("Timestamp", (1, 2)), ("WScale", 7)])
    syn = bytes(IP(dst="10.0.2.2") / packet)[20:]
    segment = Segment()
    segment.parse(Memory(syn), 0, len(syn))
    assert (segment.mss, segment.window_shift, segment.has_timestamp) == (1460, 7, True)
    segment.parse(Memory(GOLDEN), 0, len(GOLDEN))
    assert (segment.mss, segment.window_shift, segment.has_timestamp) == (0, -1, False)


@given(st.binary(max_size=50), st.integers(0, 7), U32, U32)
def test_the_checksum_at_any_place(payload: bytes, at: int, source: int, destination: int) -> None:
    packet = IP(
        src=str(ipaddress.IPv4Address(source)), dst=str(ipaddress.IPv4Address(destination))
    ) / TCP(flags="PA")
    data = bytes(packet / payload)[20:]
    segment = Segment()
    segment.parse(Memory(bytes(at) + data + b"behind"), at, len(data))
    assert verify_checksum(segment, pseudo_sum_v4(source, destination, 6))


def test_each_bit_is_under_the_checksum() -> None:
    data = bytes(IP(src="10.0.2.1", dst="10.0.2.2") / TCP(flags="PA") / b"payload")[20:]
    pseudo = pseudo_sum_v4(SOURCE, DESTINATION, 6)
    for bit in range(len(data) * 8):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 0x80 >> (bit % 8)
        why, segment = parse(bytes(flipped))
        assert why == reason.TCP_BAD_DATA_OFFSET or not verify_checksum(segment, pseudo)


def test_a_segment_of_64_kib() -> None:
    data = GOLDEN + bytes(65535)
    why, segment = parse(data)
    assert why == reason.ACCEPTED
    assert segment.payload_len == segment.length() == 65535
    assert not verify_checksum(segment, 0)


def test_emit_asserts_options_that_no_header_has() -> None:
    for options_len in (-4, 1, 2, 3, 41, 44):
        with pytest.raises(AssertionError):
            emit_tcp(Arena(80), 0, 1, 2, 3, 4, ACK, 5, options_len)
    arena = Arena(20)
    for options_len in range(0, 41, 4):
        assert emit_tcp(arena, 0, 1, 2, 3, 4, ACK, 5, options_len) == TCP_HEADER_LEN
        assert arena.octets(12, 1)[0] == (20 + options_len) // 4 << 4


@given(st.binary(max_size=80))
def test_parse_never_raises(data: bytes) -> None:
    why, segment = parse(data)
    if why == reason.ACCEPTED:
        assert segment.payload_at + segment.payload_len == len(data)
        verify_checksum(segment, 0)
    parse(GOLDEN[:12] + b"\xf0" + data)
