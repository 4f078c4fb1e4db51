"""Reassembly through a whole stack: an echo request in pieces is answered when, and only when, all
of them have come (RFC 791 3.2, RFC 1122 3.3.2, RFC 5722, RFC 815)."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from tests.stack.link import OURS, PEER, SECOND, Link
from tests.udp.bench import HERE, THERE, Kept, udp

DATA = bytes(i * 11 & 255 for i in range(65507))


def piece(body: bytes, at: int, more: bool, **ip: object) -> Packet:
    """Octets at.. of an IP payload, as a frame."""
    values: dict[str, object] = {"src": THERE, "dst": HERE, "proto": 17, "id": 7}
    header = IP(**{**values, **ip}, frag=at // 8, flags=int(more))
    return Ether(src=PEER, dst=OURS) / header / Raw(body)


def payload(size: int, dport: int = 7) -> bytes:
    """A whole UDP datagram of `size` octets of data."""
    return bytes(udp(DATA[:size], dport=dport)[IP].payload)


def pieces(whole: bytes, size: int, **ip: object) -> list[Packet]:
    return [
        piece(whole[at : at + size], at, at + size < len(whole), **ip)
        for at in range(0, len(whole), size)
    ]


def bound(**options: object) -> tuple[Link, Kept]:
    link, kept = Link(**options), Kept()
    link.stack.bind(7, kept)
    return link, kept


def got(kept: Kept) -> list[bytes]:
    return [data for data, _ in kept.got]


@pytest.mark.requirement("RFC 815 3")
@pytest.mark.requirement("RFC 1122 3.3.2 reassembly")
@pytest.mark.parametrize("order", ["forwards", "backwards", "shuffled"])
def test_pieces_in_any_order_make_the_datagram(order: str) -> None:
    link, kept = bound()
    frames = pieces(payload(3000), 1000)
    if order == "backwards":
        frames.reverse()
    elif order == "shuffled":
        random.Random(1).shuffle(frames)
    for frame in frames:
        assert got(kept) == []
        assert link.breath(frame) == []
    assert got(kept) == [DATA[:3000]]
    assert link.count("reassembled") == 1 and link.count("fragment_held") == len(frames) - 1
    assert link.stack.leaks() == []


def test_the_longest_datagram_there_is() -> None:
    link, kept = bound()
    frames = pieces(payload(65507), 1480)
    assert len(frames) == 45
    link.breath(*frames)
    assert got(kept) == [DATA]
    assert link.stack.leaks() == []


def test_in_packets_of_576_too() -> None:
    link, kept = bound()
    link.breath(*pieces(payload(65507), 552))
    assert got(kept) == [DATA]


@pytest.mark.requirement("RFC 8200 4.5 duplicates")
def test_a_piece_that_comes_twice_is_ignored() -> None:
    link, kept = bound()
    first, second, third = pieces(payload(3000), 1008)
    link.breath(first, first, third, second, first)
    assert got(kept) == [DATA[:3000]]
    assert len(link.stack.fragments) == 1  # the last of them began anew


OVERLAPS = {
    "left": (992, 1000),
    "right": (1000, 1016),
    "inside": (1008, 8),
    "around": (992, 1032),
    "identical, other data": (1000, 1000),
    "first again, longer": (0, 1008),
    "first again, shorter": (0, 992),
}


@pytest.mark.requirement("RFC 5722 4")
@pytest.mark.parametrize("name", OVERLAPS)
def test_any_overlap_drops_the_whole_datagram_silently(name: str) -> None:
    at, length = OVERLAPS[name]
    link, kept = bound()
    frames = pieces(payload(2992), 1000)
    bad = piece(bytes(length), at, True)
    assert link.breath(*frames[:2], bad, *frames[2:]) == []
    assert link.breath(*frames) == []  # nor those that are yet to come
    assert got(kept) == []
    assert link.count("fragment_overlap") >= 1
    assert link.breath(after=61 * SECOND) == []  # and no time exceeded
    assert link.stack.leaks() == []
    link.breath(*frames)
    assert got(kept) == [DATA[:2992]]


def test_teardrop() -> None:
    link, kept = bound()
    link.breath(piece(bytes(36), 0, True), piece(bytes(4), 24, False))
    assert got(kept) == [] and link.count("fragment_bad_length") == 1
    link.breath(piece(bytes(40), 0, True, id=8), piece(bytes(4), 24, False, id=8))
    assert link.count("fragment_overlap") == 1


def test_two_ends_that_differ() -> None:
    link, kept = bound()
    whole = payload(992)
    link.breath(
        piece(whole[504:], 504, False),
        piece(whole[504:800], 504, False),
        piece(whole[:504], 0, True),
    )
    assert got(kept) == []
    link.breath(piece(bytes(16), 800, True, id=8), piece(bytes(8), 504, False, id=8))
    assert link.count("fragment_overlap") >= 2


@pytest.mark.parametrize(
    ("length", "more", "counted"),
    [
        (0, True, "fragment_bad_length"),
        (7, True, "fragment_bad_length"),
        (1001, True, "fragment_bad_length"),
    ],
)
def test_lengths_that_cannot_be(length: int, more: bool, counted: str) -> None:
    link, _ = bound()
    assert link.breath(piece(bytes(length), 0, more)) == []
    assert link.count(counted) == 1
    assert len(link.stack.fragments) == 0


def test_a_last_piece_without_octets() -> None:
    link, _ = bound()
    link.breath(piece(b"", 8, False))
    assert link.count("fragment_bad_length") == 1


@pytest.mark.requirement("RFC 791 total length")
def test_beyond_the_longest_packet() -> None:
    """The ping of death: 8191 * 8 + length passes 65,535."""
    link, _ = bound()
    assert link.breath(piece(bytes(1000), 65528, False), piece(bytes(8), 65528, True)) == []
    assert link.count("fragment_too_long") == 2
    link.breath(piece(bytes(7), 65528, False))  # with the header one more than there may be
    assert link.count("fragment_too_long") == 3
    assert len(link.stack.fragments) == 0


@pytest.mark.requirement("RFC 1858 3")
@pytest.mark.requirement("RFC 3128")
def test_a_tcp_header_that_is_split() -> None:
    link, _ = bound()
    frames = [piece(bytes(8), 0, True, proto=6), piece(bytes(20), 8, False, proto=6)]
    assert link.breath(*frames) == []
    assert link.count("fragment_tiny") == 2
    assert len(link.stack.fragments) == 0


@pytest.mark.requirement("RFC 1122 3.3.2 timeout")
@pytest.mark.requirement("RFC 792 time exceeded")
def test_time_exceeded_if_fragment_zero_came_and_only_then() -> None:
    link, kept = bound()
    first, second, *_ = pieces(payload(3000), 1000)
    link.breath(second)
    assert link.breath(first, after=59 * SECOND) == []  # the time does not begin anew
    (error,) = link.breath(after=2 * SECOND)
    assert (error[ICMP].type, error[ICMP].code) == (11, 1)
    quote = bytes(error[ICMP].payload)
    assert quote == bytes(first[IP])[: len(quote)] and len(quote) >= 28
    assert link.stack.leaks() == []
    link.breath(second)
    assert link.breath(after=61 * SECOND) == []
    assert link.count("fragments_timed_out") == 2
    assert got(kept) == [] and link.stack.leaks() == []


def test_time_exceeded_is_not_sent_to_whom_no_error_is() -> None:
    link, _ = bound()
    frame = piece(payload(3000)[:1000], 0, True, dst="10.0.0.255")
    frame.dst = "ff:ff:ff:ff:ff:ff"
    error = piece(bytes(ICMP(type=3)) + bytes(992), 0, True, proto=1)
    link.breath(frame, error)
    assert link.breath(after=61 * SECOND) == []
    link.breath(piece(bytes(ICMP()) + bytes(992), 0, True, proto=1))
    (told,) = link.breath(after=61 * SECOND)  # an echo request is no error
    assert told[ICMP].type == 11


def test_what_names_a_datagram() -> None:
    """The same number from somebody else, or of another protocol, is another datagram."""
    link, kept = bound()
    mine = pieces(payload(1992), 1000)
    others = pieces(bytes(udp(bytes(1992), src="10.0.0.9")[IP].payload), 1000, src="10.0.0.9")
    link.breath(mine[0], others[1], piece(bytes(1000), 1000, False, proto=253))
    assert got(kept) == []
    link.breath(mine[1], others[0])
    assert got(kept) == [DATA[:1992], bytes(1992)]


def test_congestion_seen_by_one_piece_is_the_datagrams() -> None:
    """RFC 3168 5.3: CE of one fragment marks the whole; CE beside not-ECT drops it."""
    link, kept = bound()
    whole = payload(1992)
    link.breath(piece(whole[:1000], 0, True, tos=2), piece(whole[1000:], 1000, False, tos=3))
    assert got(kept) == [DATA[:1992]]
    link.breath(
        piece(whole[:1000], 0, True, tos=0, id=8), piece(whole[1000:], 1000, False, tos=3, id=8)
    )
    assert len(kept.got) == 1 and link.count("fragment_bad_ecn") == 1


def test_a_source_route_in_a_fragment_is_refused_as_in_any_packet() -> None:
    from scapy.layers.inet import IPOption

    link, _ = bound()
    options = IPOption(b"\x83\x07\x04\x0a\x00\x00\x09\x00")
    link.breath(piece(payload(1992)[:1000], 0, True, options=options))
    assert link.count("ipv4_source_route") == 1 and len(link.stack.fragments) == 0


# -- bounds ---------------------------------------------------------------------------------


def test_one_source_holds_so_many_and_its_oldest_gives_way() -> None:
    link, kept = bound()
    for number in range(200):
        link.breath(piece(payload(1992)[:1000], 0, True, id=number))
    assert len(link.stack.fragments) == 64
    assert link.count("fragments_given_up") == 136
    link.breath(piece(payload(1992)[1000:], 1000, False, id=199))
    assert got(kept) == [DATA[:1992]]
    link.breath(piece(payload(1992)[1000:], 1000, False, id=100))
    assert len(kept.got) == 1


def test_all_sources_together_hold_so_many() -> None:
    link, _ = bound(addresses=["10.0.0.2/8"])
    for number in range(1500):
        source = f"10.1.{number >> 8}.{number & 255}"
        link.breath(piece(bytes(8), 0, True, src=source))
    assert len(link.stack.fragments) == 1024
    assert link.stack.fragments.octets <= 4 << 20


def test_octets_are_bounded_for_a_source_and_for_all() -> None:
    link, _ = bound(addresses=["10.0.0.2/8"])
    for source in range(1, 7):
        for number in range(30):
            frames = pieces(bytes(40000), 1480, src=f"10.2.0.{source}", id=number)
            link.breath(*frames[:-1])
            assert link.stack.fragments.octets <= 4 << 20
        assert link.stack.fragments.octets <= source * (1 << 20)
    link.breath(after=61 * SECOND)
    assert link.stack.fragments.octets == 0
    assert link.stack.leaks() == []


@pytest.mark.requirement("CVE-2018-5391 FragmentSmack")
def test_pieces_of_eight_octets_backwards_are_given_up_early() -> None:
    link, kept = bound()
    whole = payload(65504)
    frames = pieces(whole, 8)[::-1]
    for at in range(0, len(frames), 200):
        link.breath(*frames[at : at + 200])
    assert got(kept) == []
    assert len(link.stack.fragments) == 1
    assert link.stack.fragments.octets < 2000  # its name, so that the rest is dropped
    link.breath(after=61 * SECOND)
    assert link.stack.leaks() == []


def test_rose_first_last_and_tiny() -> None:
    """First and last of the longest datagram cost what they hold, not what they promise."""
    link, _ = bound()
    for number in range(64):
        link.breath(piece(bytes(8), 0, True, id=number), piece(bytes(4), 65504, False, id=number))
    assert link.stack.fragments.octets < 64 * 1500


# -- against an oracle ----------------------------------------------------------------------

Cut = tuple[int, int, bool]


@st.composite
def cuts(draw: st.DrawFn) -> tuple[int, list[Cut]]:
    """A datagram's length in units of 8, and its pieces; sometimes some are wrong."""
    units = draw(st.integers(2, 12))
    edges = sorted(draw(st.sets(st.integers(1, units - 1), max_size=6)) | {0, units})
    good = [(a, b, b < units) for a, b in itertools.pairwise(edges)]
    wrong = draw(
        st.lists(
            st.tuples(st.integers(0, units), st.integers(1, 4), st.booleans()).map(
                lambda t: (t[0], t[0] + t[1], t[2])
            ),
            max_size=1,
        )
    )
    return units, draw(st.permutations(good * draw(st.integers(1, 2)) + wrong))


def oracle(units: int, arrived: list[Cut]) -> int:
    """How many datagrams a host that keeps every octet apart puts together: straight from the
    rules, with sets."""
    done = 0
    held: dict[tuple[int, int], bool] = {}
    spoilt = False
    for start, end, more in arrived:
        if spoilt or (start == 0 and not more):
            continue  # the second is no fragment at all
        ends = {e for (_, e), m in held.items() if not m}
        octets = {u for s, e in held for u in range(s, e)}
        last = max((e for _, e in held), default=0)
        if (more and ends and end >= min(ends)) or (
            not more and ((ends and end not in ends) or last > end)
        ):
            spoilt = True
        elif (start, end) in held:
            continue
        elif octets & set(range(start, end)):
            spoilt = True
        else:
            held[start, end] = more
            octets |= set(range(start, end))
            ends = {e for (_, e), m in held.items() if not m}
            if ends and octets == set(range(min(ends))):
                done += 1
                held = {}
    return done


@settings(max_examples=300, deadline=None)
@given(cuts())
def test_as_the_oracle_has_it(case: tuple[int, list[Cut]]) -> None:
    units, arrived = case
    link = Link()
    whole = DATA[: 16 * 8]
    for start, end, more in arrived:
        link.breath(piece(whole[start * 8 : end * 8], start * 8, more, proto=253))
    assert link.count("reassembled") == oracle(units, arrived)
    link.breath(after=61 * SECOND)
    assert link.stack.leaks() == []
