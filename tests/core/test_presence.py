"""The filter never denies a flow that is open."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.core.chance import Chance
from corten.core.presence import Presence

hashes = st.integers(0, 2**64 - 1)
few = st.integers(0, 40).map(lambda n: n * 0x9E37_79B9_7F4A_7C15 & 2**64 - 1)


@given(st.lists(st.tuples(st.booleans(), few), max_size=60))
def test_no_open_flow_is_denied(script: list[tuple[bool, int]]) -> None:
    """The reader looks at the same memory through an object of its own."""
    memory = bytearray(16)
    writer, reader = Presence(memory), Presence(memory)
    open_flows: Counter[int] = Counter()
    for opening, hash in script:
        if opening:
            writer.opened(hash)
            open_flows[hash] += 1
        elif open_flows[hash]:
            writer.closed(hash)
            open_flows[hash] -= 1
        assert all(reader.may_own(h) for h, count in open_flows.items() if count)
    for hash, count in open_flows.items():
        for _ in range(count):
            writer.closed(hash)
    assert not any(memory), "nothing is left of flows that are gone"


def test_strangers_are_seldom_taken_for_ones_own() -> None:
    chance = Chance(1)
    presence = Presence(bytearray(1 << 16))
    for _ in range(4000):  # as a quarter of a million in a filter of the usual length
        presence.opened(chance.next64())
    wrong = sum(presence.may_own(chance.next64()) for _ in range(20000))
    assert 20 < wrong < 200  # one octet a flow: 1180


@given(hashes)
def test_a_full_bucket_sticks(hash: int) -> None:
    presence = Presence(bytearray(64))
    for _ in range(300):
        presence.opened(hash)
    for _ in range(300):
        presence.closed(hash)
    assert presence.may_own(hash)
    presence.clear()
    assert not presence.may_own(hash)
    presence.closed(hash)  # one that was opened before `clear`
    assert not presence.may_own(hash)


def test_two_hundred_and_fifty_four_do_not_stick() -> None:
    presence, hash = Presence(bytearray(64)), 0x0102_0300_0000_0000  # three octets, not one
    for _ in range(254):
        presence.opened(hash)
    for _ in range(254):
        presence.closed(hash)
    assert not presence.may_own(hash)


def test_the_length_is_a_power_of_two() -> None:
    for length in (0, 3, 48):
        with pytest.raises(ValueError, match="power of two"):
            Presence(bytearray(length))
