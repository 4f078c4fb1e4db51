"""What came out of order, against a model that is a dict of octets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from corten.core.arena import Memory
from corten.tcp.reassembly import CHUNK_COST, Reassembly

WRAP = 1 << 32
ROOM = 1 << 20
segments = st.lists(st.tuples(st.integers(1, 60), st.integers(1, 20)), max_size=40)


def put(queue: Reassembly, seq: int, data: bytes, most: int = ROOM) -> bool:
    return bool(queue.add(seq % WRAP, Memory(data), 0, len(data), most))


def drain(queue: Reassembly, at: int) -> bytes:
    """Everything that continues the stream at `at`."""
    found = b""
    while (chunk := queue.take((at + len(found)) % WRAP)) is not None:
        found += chunk
    return found


@given(segments, st.sampled_from([1000, WRAP - 1, WRAP - 30, (1 << 31) - 30]))
def test_first_octets_win(arrivals: list[tuple[int, int]], origin: int) -> None:
    queue = Reassembly(origin)
    model: dict[int, int] = {}
    for i, (at, length) in enumerate(arrivals):
        assert put(queue, origin + at, bytes([i]) * length)
        for k in range(at, at + length):
            model.setdefault(k, i)
        covered = [queue.ranges.covers((origin + k) % WRAP) for k in range(100)]
        assert covered == [k in model for k in range(100)]
        assert queue.ranges.total == len(model)
    put(queue, origin, b"\xff")
    model.setdefault(0, 255)
    got = drain(queue, origin)
    run = 0
    while run in model:
        run += 1
    assert got == bytes(model[k] for k in range(run))
    left = sum(k >= run for k in model)
    assert queue.ranges.total == left
    assert bool(queue.is_empty()) == (left == 0)
    assert (queue.cost == 0) == (left == 0)


@given(segments, st.integers(CHUNK_COST + 20, 8 * CHUNK_COST))
def test_the_true_cost_is_bounded_and_the_nearest_stays(
    arrivals: list[tuple[int, int]], most: int
) -> None:
    queue = Reassembly(0)
    held: dict[int, int] = {}
    for i, (at, length) in enumerate(arrivals):
        put(queue, at, bytes([i]) * length, most)
        assert queue.cost <= most
        for k in range(at, at + length):
            held.setdefault(k, i)
        assert queue.ranges.total <= len(held)
    put(queue, 0, b"\xff", most)
    held[0] = 255
    got = drain(queue, 0)
    assert got[:1] == b"\xff"
    assert queue.ranges.total + len(got) <= len(held)


def test_sack_blocks_newest_first() -> None:
    queue = Reassembly(0)
    for at in (10, 30, 50, 70, 90):
        put(queue, at, b"x" * 10)
    assert queue.blocks(4) == [(90, 100), (70, 80), (50, 60), (30, 40)]
    put(queue, 20, b"x" * 10)
    assert queue.blocks(3) == [(10, 40), (90, 100), (70, 80)]
    assert queue.blocks(0) == []
    put(queue, 0, b"x" * 10)
    assert drain(queue, 0) == b"x" * 40
    assert queue.blocks(4) == [(90, 100), (70, 80), (50, 60)]


def test_the_first_early_fin_counts() -> None:
    queue = Reassembly(0)
    queue.note_fin(20)
    queue.note_fin(15)
    assert not queue.is_empty()
    assert not queue.take_fin(15)
    assert queue.take_fin(20)
    assert queue.is_empty()


def test_a_fin_that_text_has_passed_is_forgotten() -> None:
    queue = Reassembly(0)
    queue.note_fin(20)
    assert not queue.take_fin(21)
    assert queue.is_empty()


def test_it_counts_from_a_later_origin_before_32_bits_run_out() -> None:
    """A queue that is never empty while gigabytes pass by."""
    queue = Reassembly(0)
    step = 0x0800_0000
    put(queue, 1, b"a")
    for i in range(1, 80):
        put(queue, i * step + 1, b"a")  # the next hole's far side, before this one's is taken
        assert drain(queue, (i - 1) * step + 1) == b"a"
        assert queue.take((i * step - 5) % WRAP) is None
        assert queue.ranges.total == 1
    assert drain(queue, 79 * step + 1) == b"a"
    assert queue.is_empty()
