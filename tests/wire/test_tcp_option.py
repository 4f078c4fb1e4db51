"""TCP options: layouts against scapy, illegal lengths, and a walk that always ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import TCP

from corten.core.arena import Arena, Memory
from corten.wire import reason
from corten.wire.tcp import ACK, FIN, RST, SYN, Segment
from corten.wire.tcp_option import (
    TcpOptions,
    emit_sack_header,
    emit_syn_options,
    emit_timestamp,
    parse_options,
)

U32 = st.integers(0, 2**32 - 1)
TIMESTAMPS = bytes.fromhex("080a 00000001 fffffffe")
ROOM = 40


def segment_of(options: bytes, flags: int = SYN) -> Segment:
    """The parse of a segment with these options, padded by zeros."""
    options += bytes(-len(options) % 4)
    head = bytes.fromhex("00010002 00000003 00000004")
    head += bytes([(20 + len(options)) << 2, flags]) + bytes(6)
    segment = Segment()
    data = head + options + b"payload"
    assert segment.parse(Memory(data), 0, len(data)) == reason.ACCEPTED
    assert segment.memory.octets(segment.payload_at, segment.payload_len) == b"payload"
    return segment


def facts(options: TcpOptions) -> dict[str, int]:
    names = "mss window_shift sack_permitted has_timestamp ts_value ts_echo sack_count"
    return {name: int(getattr(options, name)) for name in names.split()}


NOTHING = facts(TcpOptions())


def said(**values: int) -> dict[str, int]:
    return {**NOTHING, **values}


def test_a_segment_without_options_said_nothing() -> None:
    assert facts(segment_of(b"")) == said(window_shift=-1, mss=0)


@pytest.mark.parametrize("flags", [SYN, SYN | ACK, ACK, ACK | FIN, RST, 0])
def test_the_usual_layout_of_timestamps(flags: int) -> None:
    got = facts(segment_of(b"\1\1" + TIMESTAMPS, flags))
    assert got == said(has_timestamp=1, ts_value=1, ts_echo=0xFFFFFFFE)


@pytest.mark.parametrize("shift", range(4))
def test_options_need_no_alignment(shift: int) -> None:
    """MUST-64."""
    options = b"\1" * shift + b"\2\4\5\xb4" + b"\3\3\7" + b"\4\2" + TIMESTAMPS
    want = said(mss=1460, window_shift=7, sack_permitted=1)
    assert facts(segment_of(options)) == {
        **want,
        "has_timestamp": 1,
        "ts_value": 1,
        "ts_echo": 0xFFFFFFFE,
    }


@pytest.mark.parametrize(
    "options",
    [
        [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (5, 6)), ("NOP", None), ("WScale", 7)],
        [("MSS", 1400), ("WScale", 0), ("SAckOK", b""), ("Timestamp", (5, 6)), ("EOL", None)],
        [
            ("Timestamp", (5, 6)),
            ("NOP", None),
            ("NOP", None),
            ("WScale", 5),
            ("NOP", None),
            ("MSS", 640),
        ],
        [("SAckOK", b""), ("Timestamp", (5, 6)), ("WScale", 10), ("EOL", None)],
        [("MSS", 265), ("SAckOK", b""), ("Timestamp", (5, 6))],
        [("WScale", 10), ("NOP", None), ("MSS", 1460), ("Timestamp", (5, 6)), ("SAckOK", b"")],
    ],
)
def test_the_layouts_of_other_systems(options: list[tuple[str, object]]) -> None:
    """nmap's probes among them."""
    data = bytes(TCP(sport=1, dport=2, flags="S", options=options))
    given_options = dict(options)
    segment = Segment()
    assert segment.parse(Memory(data), 0, len(data)) == reason.ACCEPTED
    assert segment.mss == given_options.get("MSS", 0)
    assert segment.window_shift == given_options.get("WScale", -1)
    assert segment.sack_permitted == ("SAckOK" in given_options)
    assert (segment.ts_value, segment.ts_echo) == (5, 6)


def test_what_counts_on_a_syn_only() -> None:
    """MUST-65; RFC 7323, 2.2; RFC 2018, 2."""
    options = b"\2\4\5\xb4" + b"\3\3\7" + b"\4\2"
    assert facts(segment_of(options, ACK)) == NOTHING
    assert facts(segment_of(options, SYN | ACK)) == said(mss=1460, window_shift=7, sack_permitted=1)


@pytest.mark.parametrize(("shift", "want"), [(0, 0), (7, 7), (14, 14), (15, 14), (255, 14)])
def test_a_window_shift_is_at_most_14(shift: int, want: int) -> None:
    """RFC 7323, 2.3."""
    assert segment_of(bytes([3, 3, shift])).window_shift == want


@pytest.mark.parametrize("mss", [0, 1, 27, 48, 535, 0xFFFF])
def test_any_mss_is_passed_on(mss: int) -> None:
    assert segment_of(b"\2\4" + mss.to_bytes(2, "big")).mss == mss


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_sack_blocks_are_read_where_they_lie(count: int) -> None:
    edges = [0xFFFFFF00 + 16 * i for i in range(2 * count)]
    edges = [edge & 0xFFFFFFFF for edge in edges]
    data = b"".join(edge.to_bytes(4, "big") for edge in edges)
    segment = segment_of(b"\1\1\5" + bytes([2 + 8 * count]) + data, ACK)
    assert segment.sack_count == count
    assert segment.memory.octets(segment.sack_at, 8 * count) == data


def test_timestamps_and_sack_blocks_together() -> None:
    blocks = bytes(range(24))
    segment = segment_of(b"\1\1" + TIMESTAMPS + b"\1\1\5\x1a" + blocks, ACK)
    assert segment.has_timestamp
    assert segment.sack_count == 3
    assert segment.memory.octets(segment.sack_at, 24) == blocks


def test_of_an_option_given_twice_the_last_counts() -> None:
    assert segment_of(b"\2\4\0\1" + b"\2\4\0\2").mss == 2
    assert segment_of(b"\3\3\1" + b"\3\3\2").window_shift == 2
    assert segment_of(TIMESTAMPS + b"\x08\x0a" + bytes(8)).ts_echo == 0


def test_junk_behind_the_end_is_not_read() -> None:
    assert facts(segment_of(b"\0\2\4\5\xb4" + TIMESTAMPS)) == NOTHING


def test_a_header_of_nops() -> None:
    assert facts(segment_of(b"\1" * 40)) == NOTHING


@pytest.mark.parametrize(
    "bad",
    [
        bytes([kind, length])
        for kind, right in ((2, 4), (3, 3), (4, 2), (8, 10))
        for length in (0, 1, 2, 3, 4, 5, 8, 9, 11, 12, 20)
        if length != right
    ]
    + [bytes([5, length]) for length in (0, 1, 2, 3, 9, 11, 17, 19)]
    + [bytes([99, length]) for length in (0, 1, 41, 255)],
)
def test_an_illegal_length_ends_the_walk_and_keeps_what_came_before(bad: bytes) -> None:
    """MUST-7."""
    before = b"\2\4\5\xb4"
    options = before + bad + bytes([3] * (ROOM - 4 - len(bad)))
    assert facts(segment_of(options)) == said(mss=1460)


@pytest.mark.parametrize("kind", [2, 3, 4, 5, 8, 99])
def test_a_kind_without_a_length_in_the_last_octet(kind: int) -> None:
    assert facts(segment_of(b"\3\3\5" + b"\1" * 36 + bytes([kind]))) == said(window_shift=5)


@pytest.mark.parametrize("kind", [6, 7, 9, 14, 19, 29, 30, 34, 69, 172, 253, 254, 255])
def test_unknown_options_are_skipped_by_their_length(kind: int) -> None:
    """MUST-6; MD5, AO, TFO, MPTCP, AccECN and experiments among them."""
    for length in range(2, 37):
        options = bytes([kind, length]) + b"\2" * (length - 2) + b"\2\4\5\xb4"
        assert facts(segment_of(options)) == said(mss=1460)


@pytest.mark.parametrize("kind", range(256))
def test_every_kind_with_every_interesting_length_at_every_place(kind: int) -> None:
    for flags in (SYN, ACK):
        for at in range(ROOM):
            rest = ROOM - at
            for length in (0, 1, 2, 3, 4, rest, rest + 1, 255):
                options = (b"\1" * at + bytes([kind, length]) + b"\xaa" * ROOM)[:ROOM]
                segment = segment_of(options, flags)
                assert -1 <= segment.window_shift <= 14
                assert 0 <= segment.sack_count <= 4
                end = segment.sack_at + 8 * segment.sack_count
                assert end <= segment.payload_at


@given(st.binary(min_size=0, max_size=40), st.booleans())
def test_parse_never_raises_and_stays_inside(data: bytes, is_syn: bool) -> None:
    options = TcpOptions()
    memory = Memory(b"\1\1" + data + bytes.fromhex("0204ffff"))
    parse_options(options, memory, 2, len(data), is_syn)
    assert options.mss == 0 or is_syn
    assert options.sack_at + 8 * options.sack_count <= 2 + len(data)


# -- emit -------------------------------------------------------------------------------------


def scapy_options(options: list[tuple[str, object]]) -> bytes:
    return bytes(TCP(options=options))[20:]


@given(U32, U32)
def test_emitted_timestamps(value: int, echo: int) -> None:
    arena = Arena(14)
    assert emit_timestamp(arena, 1, value, echo) == 12
    want = scapy_options([("NOP", None), ("NOP", None), ("Timestamp", (value, echo))])
    assert arena.octets() == b"\0" + want + b"\0"


@given(st.integers(0, 0xFFFF), st.integers(-1, 14), st.booleans(), st.booleans(), U32, U32)
def test_emitted_syn_options_are_read_back(
    mss: int, shift: int, sack: bool, timestamp: bool, value: int, echo: int
) -> None:
    arena = Arena(ROOM)
    length = emit_syn_options(arena, 0, mss, shift, sack, timestamp, value, echo)
    assert length % 4 == 0
    assert length <= 24
    assert arena.octets(length) == bytes(ROOM - length)
    options = TcpOptions()
    parse_options(options, arena, 0, length, True)
    assert facts(options) == {
        "mss": mss,
        "window_shift": shift,
        "sack_permitted": sack,
        "has_timestamp": timestamp,
        "ts_value": value if timestamp else 0,
        "ts_echo": echo if timestamp else 0,
        "sack_count": 0,
    }


def test_emitted_syn_options_lie_as_linux_lays_them() -> None:
    arena = Arena(20)
    assert emit_syn_options(arena, 0, 1460, 7, True, True, 5, 6) == 20
    want = [("MSS", 1460), ("SAckOK", b""), ("Timestamp", (5, 6)), ("NOP", None), ("WScale", 7)]
    assert arena.octets() == scapy_options(want)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_emitted_sack_head(count: int) -> None:
    edges = tuple(range(1, 2 * count + 1))
    arena = Arena(4 + 8 * count)
    assert emit_sack_header(arena, 0, count) == 4
    arena.store(4, b"".join(edge.to_bytes(4, "big") for edge in edges))
    want = scapy_options([("NOP", None), ("NOP", None), ("SAck", edges)])
    assert arena.octets() == want


@pytest.mark.parametrize("count", [-1, 0, 5])
def test_a_sack_option_has_one_to_four_blocks(count: int) -> None:
    with pytest.raises(AssertionError):
        emit_sack_header(Arena(60), 0, count)
