"""pcapng: what is written is read back, other writers' files are, hostile ones are refused."""

from __future__ import annotations

import io
import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.wire.pcapng import (
    BLOCK_MAX,
    ETHERNET,
    INBOUND,
    OUTBOUND,
    RAW,
    Decoder,
    Packet,
    PcapngError,
    packet,
    read,
    start,
)

FRAME = bytes(range(60))
NOW = 1_700_000_000_123_456_789

# a file of two frames, octet by octet: a change of the format shows here
GOLDEN = bytes.fromhex(
    "0a0d0d0a" "2c000000" "4d3c2b1a" "01000000" "ffffffffffffffff"  # section
    "04000600" "436f7274656e0000" "00000000" "2c000000"  # shb_userappl Corten
    "01000000" "28000000" "01000000" "00000000"  # interface: Ethernet, all octets
    "02000400" "74617030" "09000100" "09000000" "00000000" "28000000"  # if_name, if_tsresol
    "06000000" "30000000" "00000000" "fe9c9717" "15cd853d" "02000000" "02000000" "abcd0000"
    "02000400" "02000000" "00000000" "30000000"  # epb_flags: outbound
    "06000000" "38000000" "00000000" "fe9c9717" "16cd853d" "01000000" "01000000" "ee000000"
    "01000200" "6e6f0000" "02000400" "01000000" "00000000" "38000000"  # opt_comment, inbound
)  # fmt: skip


def test_the_golden_file() -> None:
    made = start(ETHERNET, "tap0") + packet(NOW, b"\xab\xcd", OUTBOUND)
    made += packet(NOW + 1, b"\xee", INBOUND, "no")
    assert made == GOLDEN
    assert read(GOLDEN) == [
        Packet(NOW, b"\xab\xcd", ETHERNET, OUTBOUND, "", 2),
        Packet(NOW + 1, b"\xee", ETHERNET, INBOUND, "no", 1),
    ]


@given(
    st.sampled_from([ETHERNET, RAW]),
    st.lists(
        st.tuples(
            st.integers(0, 2**64 - 1),
            st.binary(max_size=2000),
            st.sampled_from([0, INBOUND, OUTBOUND]),
            st.text(max_size=50),
        ),
        max_size=5,
    ),
    st.integers(1, 400),
)
def test_what_is_written_is_read_in_any_portions(
    link_type: int, packets: list[tuple[int, bytes, int, str]], portion: int
) -> None:
    data = start(link_type, "a link") + b"".join(packet(*each) for each in packets)
    decoder = Decoder()
    found: list[Packet] = []
    for at in range(0, len(data), portion):
        found += decoder.feed(data[at : at + portion])
    decoder.end()
    assert found == [Packet(t, f, link_type, d, c, len(f)) for t, f, d, c in packets]


def test_scapy_reads_it() -> None:
    reader = pytest.importorskip("scapy.utils").RawPcapNgReader
    data = start(ETHERNET) + packet(NOW, FRAME, INBOUND, "dropped") + packet(NOW + 5, FRAME)
    found = list(reader(io.BytesIO(data)))
    assert [frame for frame, _ in found] == [FRAME, FRAME]
    meta = found[0][1]
    assert (meta.linktype, meta.wirelen) == (ETHERNET, 60)
    assert (meta.tshigh << 32) + meta.tslow == NOW
    assert meta.tsresol == 10**9


def block(order: str, kind: int, body: bytes) -> bytes:
    length = len(body) + 12
    return struct.pack(f"{order}II", kind, length) + body + struct.pack(f"{order}I", length)


def section(order: str, major: int = 1) -> bytes:
    body = struct.pack(f"{order}IHHq", 0x1A2B3C4D, major, 0, -1)
    return block(order, 0x0A0D0D0A, body)


def interface(order: str, link_type: int = 1, kept: int = 0, options: bytes = b"") -> bytes:
    return block(order, 1, struct.pack(f"{order}HHI", link_type, 0, kept) + options)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("resolution", "stamp", "time_ns"),
    [
        (b"", 1_000_001, 1_000_001_000),  # microseconds, where nothing is said
        (b"\x09", 7, 7),
        (b"\x00", 3, 3_000_000_000),
        (b"\x8a", 1536, 1_500_000_000),  # 2**-10 s
        (b"\x7f", 2**63, 0),
    ],
)
def test_other_writers_times(order: str, resolution: bytes, stamp: int, time_ns: int) -> None:
    options = b""
    if resolution:
        options = struct.pack(f"{order}HH", 9, 1) + resolution + bytes(3)
    body = struct.pack(f"{order}5I", 0, stamp >> 32, stamp & 0xFFFFFFFF, 2, 9) + b"ab\0\0"
    data = section(order) + interface(order, 1, 0, options) + block(order, 6, body)
    assert read(data) == [Packet(time_ns, b"ab", ETHERNET, 0, "", 9)]


def test_an_offset_of_time_is_added() -> None:
    options = struct.pack("<HHq", 14, 8, 100)
    body = struct.pack("<5I", 0, 0, 5, 0, 0)
    assert read(section("<") + interface("<", 1, 0, options) + block("<", 6, body))[0].time_ns == (
        100_000_005_000
    )


def test_sections_interfaces_simple_packets_and_strangers() -> None:
    simple = block("<", 3, struct.pack("<I", 6) + b"abcd")
    of_second = block(">", 6, struct.pack(">5I", 1, 0, 1, 1, 1) + b"x\0\0\0")
    stranger = block(">", 0x0BAD, b"whatever it is..")
    data = section("<") + interface("<", RAW, 4) + simple
    data += section(">") + interface(">", 1) + stranger + interface(">", 228) + of_second
    first, second = read(data)
    assert (first.frame, first.link_type, first.length) == (b"abcd", RAW, 6)
    assert (second.frame, second.link_type, second.time_ns) == (b"x", 228, 1000)


BODY = struct.pack("<5I", 0, 0, 0, 4, 4)
BEGIN = section("<") + interface("<")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b"\x0a\x0d", "cut off"),
        (b"hello, this is a text", "does not begin with a section"),
        (b"\xd4\xc3\xb2\xa1" + bytes(20), "editcap -F pcapng"),
        (interface("<"), "does not begin with a section"),
        (section("<", 2), "version 2"),
        (section("<")[:8] + b"\1\2\3\4" + section("<")[12:], "byte-order magic"),
        (BEGIN + b"\6\0\0\0" + bytes(8), "cannot have 0 octets"),
        (BEGIN + struct.pack("<II", 6, 33) + bytes(40), "cannot have 33 octets"),
        (BEGIN + struct.pack("<II", 6, 0xFFFFFFFC) + bytes(40), "are the limit"),
        (BEGIN + struct.pack("<II", 6, BLOCK_MAX + 4) + bytes(4), "are the limit"),
        (BEGIN + block("<", 6, BODY + b"abcd")[:-1], "cut off"),
        (BEGIN + block("<", 6, BODY + b"abcd")[:-4] + b"\1\0\0\0", "two lengths differ"),
        (BEGIN + block("<", 6, BODY[:-4]), "too short"),
        (BEGIN + block("<", 6, BODY), "a packet of 4 octets in a block that has 0"),
        (BEGIN + block("<", 3, b""), "too short"),
        (BEGIN + block("<", 3, struct.pack("<I", 5) + b"abcd"), "a packet of 5 octets"),
        (section("<") + block("<", 6, BODY + b"abcd"), "nobody has described"),
        (section("<") + block("<", 1, b"abcd"), "too short"),
        (section("<") + interface("<") * 1025, "more than 1024 interfaces"),
        (BEGIN + block("<", 6, BODY + b"abcd" + b"\1\0\xff\xff"), "an option of 65535"),
        (interface("<").join([section("<")] * 2)[:-20], "cut off"),
        (section("<")[:4] + struct.pack("<I", 20) + section("<")[8:16] + b"\x14\0\0\0", "short"),
    ],
)
def test_a_hostile_file_is_refused_with_a_reason(data: bytes, says: str) -> None:
    with pytest.raises(PcapngError, match=says) as caught:
        read(data)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_file_is_read_or_refused(seed: int) -> None:
    chance = random.Random(seed)
    whole = start(ETHERNET, "tap0")
    for i in range(20):
        whole += packet(NOW + i, chance.randbytes(chance.randrange(100)), INBOUND, "so" * i)
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        cut = bytes(data[: chance.randrange(len(data)) if chance.random() < 0.3 else len(data)])
        try:
            found = read(cut)
        except PcapngError:
            continue
        assert len(found) <= 20
        assert sum(len(each.frame) for each in found) < len(whole)


@given(st.binary(max_size=300))
def test_any_octets_are_refused_or_read(tail: bytes) -> None:
    for head in (b"", BEGIN, section(">")):
        try:
            read(head + tail)
        except PcapngError:
            continue


def test_a_block_of_nothing_but_options_takes_linear_time() -> None:
    options = b"\2\0\0\0" * (1 << 19)
    assert len(read(BEGIN + block("<", 6, BODY + b"abcd" + options))) == 1
