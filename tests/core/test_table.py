"""The flow table against a dict of lists, through growth and shrinking, with clashing hashes."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corten.core.chance import Chance
from corten.core.table import FlowTable

STEP = 8
U64 = 2**64 - 1


def found(table: FlowTable, hash: int) -> list[int]:
    """Every value that the table finds under a hash."""
    values = []
    position = table.first(hash)
    while position >= 0:
        values.append(table.value_at(position))
        position = table.next(hash, position)
    return sorted(values)


# few hashes, so that they meet: equal, equal in their low bits only, at an array's end
clashing = st.sampled_from([0, 1, 15, 16, 31, 2**32, 2**63, U64, U64 - 16, 0xABCD_0000_0000_000F])
steps = st.one_of(
    st.tuples(st.just("insert"), clashing, st.integers(0, 3)),
    st.tuples(st.just("remove"), clashing, st.integers(0, 3)),
    st.tuples(st.just("fill"), st.integers(0, 9), st.integers(1, 60)),
    st.tuples(st.just("empty"), st.integers(0, 9), st.integers(1, 60)),
)


@settings(max_examples=200)
@given(st.lists(steps, max_size=40))
def test_it_is_a_dict_of_lists(script: list[tuple[str, int, int]]) -> None:
    table = FlowTable()
    model: dict[int, list[int]] = defaultdict(list)

    def insert(hash: int, value: int) -> None:
        table.insert(hash, value)
        model[hash].append(value)

    def remove(hash: int, value: int) -> None:
        assert table.remove(hash, value) == (value in model[hash])
        if value in model[hash]:
            model[hash].remove(value)

    for what, a, b in script:
        if what == "insert":
            insert(a, b)
        elif what == "remove":
            remove(a, b)
        else:
            chance = Chance(a)
            for i in range(b):
                (insert if what == "fill" else remove)(chance.next64(), i)
        assert len(table) == sum(map(len, model.values()))
        for hash, values in model.items():
            assert found(table, hash) == sorted(values)
        assert found(table, 0x1234_5678) == []


@given(st.permutations(range(12)))
def test_removal_in_any_order_leaves_the_rest_reachable(order: list[int]) -> None:
    """All in one run of slots, which wraps around the end of the array."""
    table = FlowTable()
    hashes = [14, 15, 15 + 16, 14 + 16, 0, 1, 16, 30, 15, 2, 14, 31]
    for i, hash in enumerate(hashes):
        table.insert(hash, i)
    left = set(range(12))
    for i in order:
        assert table.remove(hashes[i], i)
        left.discard(i)
        for k in left:
            assert k in found(table, hashes[k])
        assert i not in found(table, hashes[i])
    assert len(table) == 0


def test_growth_moves_a_few_slots_a_change() -> None:
    """The old arrays stay beside the new ones for as many changes as that takes, not longer."""
    table, chance = FlowTable(), Chance(4)
    hashes: list[int] = []
    together = 0
    for i in range(20000):
        size_before = table.slots
        hashes.append(chance.next64())
        table.insert(hashes[-1], i)
        if table.slots > size_before:
            assert together == 0, "the last move had not ended"
            together = size_before
            changes = 0
        if together:
            changes += 1
            if table.slots == 2 * together:
                assert changes == max(1, together // STEP)
                together = 0
            for k in (0, i // 2, i - 1, i):
                assert found(table, hashes[k]) == [k]
        assert len(table) <= 0.75 * table.slots
    assert all(found(table, hash) == [i] for i, hash in enumerate(hashes))


def test_growth_goes_on_under_removals_and_shrinks_back() -> None:
    table, chance = FlowTable(100), Chance(6)
    smallest = table.slots
    hashes = [chance.next64() for _ in range(30000)]
    for i, hash in enumerate(hashes):
        table.insert(hash, i)
        if i % 3 == 2:
            assert table.remove(hashes[i - 1], i - 1)
    assert len(table) == 20000
    for i, hash in enumerate(hashes):
        assert table.remove(hash, i) == (i % 3 != 1)
    assert len(table) == 0
    assert all(table.first(hash) == -1 for hash in hashes)
    for _ in range(5000):  # each change moves on what is under way
        table.insert(1, 1)
        table.remove(1, 1)
    assert table.slots == smallest


def test_capacity_is_taken_without_growing() -> None:
    table, chance = FlowTable(1000), Chance(8)
    slots = table.slots
    assert slots >= 1000 / 0.75
    for i in range(1000):
        table.insert(chance.next64(), i)
    assert table.slots == slots


def test_values() -> None:
    table = FlowTable()
    for wrong in (-1, 2**31 - 1):
        with pytest.raises(ValueError, match="a value of 0 to"):
            table.insert(1, wrong)
    table.insert(1, 2**31 - 2)
    assert found(table, 1) == [2**31 - 2]
    with pytest.raises(IndexError):
        table.value_at((table.first(1) + 1) % 16)
    for outside in (-1, 16, 17, 10**9):
        with pytest.raises(IndexError):
            table.value_at(outside)
