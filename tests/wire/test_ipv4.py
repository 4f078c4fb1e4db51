"""IPv4 headers: against scapy, one reason for each malformed row, and options that never loop."""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP

from corten.core.arena import Arena, Memory, checksum_of
from corten.wire import reason
from corten.wire.ipv4 import IPV4_LEN, PROTOCOL_TCP, Ipv4, emit_ipv4

SOURCE, DESTINATION = 0x0A000201, 0x0A000202
# RFC 791: 45 00, 28 octets, id 1, DF, TTL 64, TCP, 10.0.2.1 -> 10.0.2.2
GOLDEN = bytes.fromhex("4500 001c 0001 4000 4006 22d9 0a000201 0a000202")
HOST = st.integers(0x01000000, 0x7EFFFFFF) | st.integers(0x80000000, 0xDFFFFFFF)


def packet(
    first: int = 0x45,
    total_len: int | None = None,
    fragment: int = 0x4000,
    source: str = "10.0.2.1",
    options: bytes = b"",
    payload: bytes = b"12345678",
    checksum: int | None = None,
) -> bytes:
    """A packet that is right but for what is given; its IHL covers the options."""
    if options and first == 0x45:
        options += bytes(-len(options) % 4)
        first = 0x40 | (5 + len(options) // 4)
    if total_len is None:
        total_len = 20 + len(options) + len(payload)
    addresses = ipaddress.IPv4Address(source).packed + DESTINATION.to_bytes(4, "big")
    fixed = struct.pack(">BBHHHBBH", first, 0, total_len, 1, fragment, 64, 6, 0) + addresses
    whole = fixed + options
    header = whole[: max(20, (first & 15) * 4)]
    right = checksum_of(header) if checksum is None else checksum
    return whole[:10] + right.to_bytes(2, "big") + whole[12:] + payload


def parse(data: bytes, verify: bool = True) -> tuple[int, Ipv4]:
    ip = Ipv4()
    return ip.parse(Memory(data), 0, len(data), verify), ip


def test_golden_octets() -> None:
    why, ip = parse(GOLDEN + b"12345678")
    assert why == reason.ACCEPTED
    assert (ip.source, ip.destination, ip.protocol) == (SOURCE, DESTINATION, PROTOCOL_TCP)
    assert (ip.ttl, ip.tos, ip.identification) == (64, 0, 1)
    assert (ip.header_len, ip.total_len, ip.payload_at, ip.payload_len) == (20, 28, 20, 8)
    assert ip.dont_fragment
    assert not ip.is_fragment
    arena = Arena(24)
    assert emit_ipv4(arena, 2, SOURCE, DESTINATION, 6, 8, 64, 0, 1, True) == IPV4_LEN
    assert arena.octets() == b"\0\0" + GOLDEN + b"\0\0"
    assert packet(payload=b"12345678")[:20] == GOLDEN


@given(
    HOST,
    HOST,
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0, 0xFFFF),
    st.booleans(),
    st.binary(max_size=40),
)
def test_emit_and_parse_agree_with_scapy(
    source: int,
    destination: int,
    protocol: int,
    ttl: int,
    tos: int,
    identification: int,
    dont_fragment: bool,
    payload: bytes,
) -> None:
    data = bytes(
        IP(
            src=str(ipaddress.IPv4Address(source)),
            dst=str(ipaddress.IPv4Address(destination)),
            proto=protocol,
            ttl=ttl,
            tos=tos,
            id=identification,
            flags="DF" if dont_fragment else 0,
        )
        / payload
    )
    arena = Arena(IPV4_LEN)
    emit_ipv4(
        arena,
        0,
        source,
        destination,
        protocol,
        len(payload),
        ttl,
        tos,
        identification,
        dont_fragment,
    )
    assert arena.octets() == data[:20]
    why, ip = parse(data)
    assert why == reason.ACCEPTED
    assert (ip.source, ip.destination, ip.protocol) == (source, destination, protocol)
    assert (ip.ttl, ip.tos, ip.identification) == (ttl, tos, identification)
    assert ip.dont_fragment == dont_fragment
    assert data[ip.payload_at : ip.payload_at + ip.payload_len] == payload


def test_emit_masks_what_is_too_wide_and_asserts_what_cannot_be() -> None:
    arena = Arena(IPV4_LEN)
    emit_ipv4(arena, 0, SOURCE, DESTINATION, 6, 8, 64, 0, 0x10001, True)
    assert arena.octets() == GOLDEN
    emit_ipv4(arena, 0, SOURCE, DESTINATION, 6, 65515, 64, 0, 1, True)
    for payload_len in (-1, 65516):
        with pytest.raises(AssertionError):
            emit_ipv4(arena, 0, SOURCE, DESTINATION, 6, payload_len, 64, 0, 1, True)


@pytest.mark.parametrize("length", range(20))
def test_a_short_packet(length: int) -> None:
    assert Ipv4().parse(Memory(GOLDEN), 0, length) == reason.IPV4_SHORT


@pytest.mark.parametrize(
    ("why", "data"),
    [
        *[(reason.IPV4_BAD_VERSION, packet(first=v << 4 | 5)) for v in range(16) if v != 4],
        *[(reason.IPV4_BAD_HEADER_LEN, packet(first=0x40 | ihl)) for ihl in (0, 1, 4, 8, 15)],
        *[(reason.IPV4_BAD_TOTAL_LEN, packet(total_len=n)) for n in (0, 19, 29, 0xFFFF)],
        (reason.IPV4_BAD_TOTAL_LEN, packet(options=b"\1" * 4, total_len=20)),
        *[(reason.IPV4_BAD_CHECKSUM, packet(checksum=n)) for n in (0, 0xFFFF, 0x22D8)],
        *[
            (reason.IPV4_BAD_SOURCE, packet(source=source))
            for source in ("0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "240.0.0.1")
        ],
        (reason.IPV4_BAD_SOURCE, packet(source="255.255.255.255")),
        (reason.IPV4_FRAGMENT, packet(fragment=0x2000)),
        (reason.IPV4_FRAGMENT, packet(fragment=0x0001)),
        (reason.IPV4_FRAGMENT, packet(fragment=0x5FFF)),
        *[(reason.IPV4_SOURCE_ROUTE, packet(options=bytes([k, 3, 4, 0]))) for k in (131, 137)],
        (reason.IPV4_SOURCE_ROUTE, packet(options=b"\1\1\1\x83")),
        (reason.IPV4_SOURCE_ROUTE, packet(options=bytes([7, 3, 4, 131, 7, 4, 0, 0]))),
        (reason.IPV4_BAD_OPTION, packet(options=b"\7\0\0\0")),
        (reason.IPV4_BAD_OPTION, packet(options=b"\7\1\0\0")),
        (reason.IPV4_BAD_OPTION, packet(options=b"\7\5\4\0")),
        (reason.IPV4_BAD_OPTION, packet(options=b"\7\xff\4\0")),
        (reason.IPV4_BAD_OPTION, packet(options=b"\1\1\1\7")),
    ],
)
def test_each_malformed_packet_has_its_reason(why: int, data: bytes) -> None:
    assert parse(data)[0] == why


@pytest.mark.parametrize(
    "data",
    [
        packet(fragment=0x0000),
        packet(fragment=0x8000),  # the reserved bit is nobody's business
        packet(payload=b""),
        packet(options=b"\0" * 40),
        packet(options=b"\1" * 40),
        packet(options=b"\0\x83\7\xff"),  # junk behind the end of the list
        packet(options=bytes([7, 7, 0, 0, 0, 0, 0, 1])),  # record route with a pointer of 0
        packet(options=bytes([68, 4, 255, 15])),  # a timestamp with a pointer far away
        packet(options=bytes([255, 40]) + bytes(38)),
        packet(options=bytes([148, 4, 0, 0])),  # router alert
    ],
)
def test_what_is_odd_and_still_fine(data: bytes) -> None:
    why, ip = parse(data)
    assert why == reason.ACCEPTED
    assert ip.payload_at + ip.payload_len == len(data)


def test_padding_is_never_payload() -> None:
    data = packet(payload=b"abc")
    why, ip = parse(data + b"PADDING")
    assert why == reason.ACCEPTED
    assert (ip.payload_at, ip.payload_len) == (20, 3)


def test_a_checksum_may_be_somebody_elses_business() -> None:
    assert parse(packet(checksum=0), verify=False)[0] == reason.ACCEPTED


def test_each_bit_of_a_header_is_under_the_checksum() -> None:
    data = packet()
    for bit in range(160):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 0x80 >> (bit % 8)
        assert parse(bytes(flipped))[0] != reason.ACCEPTED


def test_a_fragment_says_where_it_lies() -> None:
    why, ip = parse(packet(fragment=0x2000 | 185, payload=bytes(16)))
    assert why == reason.IPV4_FRAGMENT
    assert ip.is_fragment
    assert ip.more_fragments
    assert (ip.fragment_at, ip.payload_len) == (1480, 16)
    assert not parse(packet())[1].is_fragment


@pytest.mark.parametrize("kind", range(256))
def test_no_option_loops_or_raises(kind: int) -> None:
    room = 40
    for at in range(0, room, 3):
        for length in (0, 1, 2, 3, 4, room - at, room - at + 1, 255):
            options = (b"\1" * at + bytes([kind, length]) + b"\1" * room)[:room]
            assert parse(packet(options=options))[0] in (
                reason.ACCEPTED,
                reason.IPV4_BAD_OPTION,
                reason.IPV4_SOURCE_ROUTE,
            )


# -- quotes in ICMP errors --------------------------------------------------------------------


def test_a_quote_may_be_cut_behind_its_header() -> None:
    ip = Ipv4()
    sent = packet(payload=bytes(1000))
    assert ip.parse_quote(Memory(sent), 0, 28) == reason.ACCEPTED
    assert (ip.total_len, ip.payload_at, ip.payload_len) == (1020, 20, 8)
    assert ip.parse_quote(Memory(sent + b"more"), 0, 1024) == reason.ACCEPTED
    assert ip.payload_len == 1000


@pytest.mark.parametrize(
    "data",
    [packet()[:n] for n in range(20)]
    + [
        packet(options=b"\1" * 8)[:27],
        packet(first=0x44),
        packet(first=0x65),
        packet(total_len=19),
    ],
)
def test_a_bad_quote(data: bytes) -> None:
    assert Ipv4().parse_quote(Memory(data), 0, len(data)) == reason.ICMP_BAD_QUOTE


@given(st.binary(max_size=80), st.booleans())
def test_parse_never_raises(data: bytes, verify: bool) -> None:
    for octets in (data, b"\x45" + data, b"\x4f\0\0\x3c" + data):
        parse(octets, verify)
        Ipv4().parse_quote(Memory(octets), 0, len(octets))
