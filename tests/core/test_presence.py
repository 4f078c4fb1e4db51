"""The filter never denies a flow that is open."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.core.presence import Presence

hashes = st.integers(0, 2**64 - 1)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 40)), max_size=60))
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
        buckets = {h % 16 for h, count in open_flows.items() if count}
        assert all(reader.may_own(h) == (h % 16 in buckets) for h in range(41))


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
    presence = Presence(bytearray(64))
    for _ in range(254):
        presence.opened(7)
    for _ in range(254):
        presence.closed(7)
    assert not presence.may_own(7)


def test_the_length_is_a_power_of_two() -> None:
    for length in (0, 3, 48):
        with pytest.raises(ValueError, match="power of two"):
            Presence(bytearray(length))
