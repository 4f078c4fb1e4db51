"""The rings' layout, and where a successor goes on, whenever its predecessor died."""

from __future__ import annotations

import random

import pytest

from corten.core.arena import Arena
from corten.driver.packet_ring import (
    SEND_REQUEST,
    SENDING,
    STATE_LEN,
    USER,
    WRONG_FORMAT,
    PacketRing,
)

AT, BLOCK_LEN, BLOCKS, SLOT_LEN = 64, 1024, 4, 320
SLOTS = 12  # three a block, and 64 octets of each that are no slot


def ring_of() -> PacketRing:
    return PacketRing(Arena(AT + BLOCK_LEN * BLOCKS), AT, BLOCK_LEN, BLOCKS, SLOT_LEN)


def statuses(ring: PacketRing) -> list[int]:
    return [ring.word(i) & 0xFFFFFFFF for i in range(ring.slots)]


def test_slots_lie_whole_in_their_blocks() -> None:
    ring = ring_of()
    assert ring.slots == SLOTS
    places = [ring.place(i) - AT for i in range(SLOTS)]
    assert places == [block * BLOCK_LEN + k * SLOT_LEN for block in range(BLOCKS) for k in range(3)]


@pytest.mark.parametrize("index", [-1, SLOTS, 1 << 40])
def test_there_is_no_other_slot(index: int) -> None:
    with pytest.raises(IndexError):
        ring_of().place(index)


@pytest.mark.parametrize(
    ("at", "block_len", "blocks", "slot_len", "error"),
    [
        (0, 1024, 5, 320, IndexError),  # more than there is
        (1024, 1024, 4, 320, IndexError),
        (0, 1024, 4, 2048, ValueError),  # no slot in a block
        (0, 1024, 4, 16, ValueError),  # no room for a header
        (0, 1024, 0, 320, ValueError),
        (0, 1024, 4, 324, ValueError),  # a word would not be aligned
        (4, 1024, 2, 320, ValueError),
    ],
)
def test_what_cannot_be_a_ring_is_refused(
    at: int, block_len: int, blocks: int, slot_len: int, error: type[Exception]
) -> None:
    with pytest.raises(error):
        PacketRing(Arena(4096), at, block_len, blocks, slot_len)


def test_positions_go_round() -> None:
    ring = ring_of()
    assert [ring.after(SLOTS - 1, 1), ring.after(0, -1), ring.after(5, -7)] == [0, 11, 10]


def test_a_word_is_status_and_length() -> None:
    ring = ring_of()
    ring.mark(7, SEND_REQUEST, 1514)
    assert ring.word(7) == 1514 << 32 | SEND_REQUEST
    assert ring.arena.octets(ring.place(7), 8) == bytes([1, 0, 0, 0, 0xEA, 5, 0, 0])


# -- receiving ------------------------------------------------------------------------------------


def give_back_until(ring: PacketRing, state: Arena, index: int, count: int, steps: int) -> None:
    """The stores of `give_back`, one after the other, as far as a process came that was killed."""
    if steps > 0:
        state.store(0, (index << 8 | count).to_bytes(8, "little"))
    for k in range(min(steps - 1, count)):
        ring.mark(ring.after(index, k - count), 0)
    if steps > count + 1:
        state.store(0, (index << 8).to_bytes(8, "little"))


@pytest.mark.parametrize(("index", "count"), [(5, 5), (2, 6), (0, 1), (4, 0)])
def test_given_back_in_order(index: int, count: int) -> None:
    one, two = ring_of(), ring_of()
    states = Arena(STATE_LEN), Arena(STATE_LEN)
    for ring in (one, two):
        for i in range(SLOTS):
            ring.mark(i, USER, 60)
    one.give_back(states[0], index, count)
    give_back_until(two, states[1], index, count, count + 2)
    assert statuses(one) == statuses(two)
    assert sum(statuses(one)) == SLOTS - count
    assert states[0].octets() == states[1].octets()
    assert one.resume_receive(states[0]) == index


@pytest.mark.parametrize("steps", range(7))
def test_a_reader_killed_while_it_gave_back(steps: int) -> None:
    """Five slots, from 10 round to 2: the successor begins at the first that is still ours."""
    ring, state = ring_of(), Arena(STATE_LEN)
    state.store(0, (10 << 8).to_bytes(8, "little"))
    for i in (10, 11, 0, 1, 2, 3):
        ring.mark(i, USER, 60)
    give_back_until(ring, state, 3, 5, steps)
    given = max(0, steps - 1)
    expected = ring.after(10, given) if given < 5 else 3
    assert ring.resume_receive(state) == expected


def test_a_state_that_cannot_be_is_some_slot_all_the_same() -> None:
    ring, state = ring_of(), Arena(STATE_LEN)
    for octets in (b"\xff" * 8, b"\x7f" * 8, b"\0\xff" * 4):
        state.store(0, octets)
        state.store(64, octets)
        assert 0 <= ring.resume_receive(state) < SLOTS
        assert 0 <= ring.resume_transmit(state) < SLOTS


@pytest.mark.parametrize("seed", range(20))
def test_readers_that_are_killed_miss_nothing(seed: int) -> None:
    """A kernel that fills and readers that die: each frame is seen, and the kernel never waits for
    a slot that nobody would give back."""
    chance = random.Random(seed)
    ring, state = ring_of(), Arena(STATE_LEN)
    content = [0] * SLOTS
    head = written = 0
    seen: set[int] = set()
    at = held = 0
    for _ in range(400):
        for _ in range(chance.randrange(SLOTS + 1)):
            if ring.word(head) & USER:
                break
            written += 1
            content[head] = written
            ring.mark(head, USER, 60)
            head = ring.after(head, 1)
        if chance.random() < 0.3:
            give_back_until(ring, state, at, held, chance.randrange(held + 3))
            at, held = ring.resume_receive(state), 0
        else:
            ring.give_back(state, at, held)
            held = 0
        while held < 5 and ring.word(at) & USER:
            seen.add(content[at])
            at = ring.after(at, 1)
            held += 1
    while held:
        ring.give_back(state, at, held)
        held = 0
        while held < 5 and ring.word(at) & USER:
            seen.add(content[at])
            at = ring.after(at, 1)
            held += 1
    assert seen == set(range(1, written + 1))
    assert written > 400
    assert at == head


# -- sending --------------------------------------------------------------------------------------


def test_one_slot_stays_free() -> None:
    ring, at = ring_of(), 0
    while ring.is_free(at):
        ring.mark(at, SEND_REQUEST, 60)
        at = ring.after(at, 1)
    assert at == SLOTS - 1
    assert statuses(ring) == [SEND_REQUEST] * (SLOTS - 1) + [0]


@pytest.mark.parametrize("status", [SEND_REQUEST, SENDING, WRONG_FORMAT])
def test_what_is_the_kernels_is_not_free(status: int) -> None:
    ring = ring_of()
    ring.mark(4, status)
    assert [i for i in range(SLOTS) if not ring.is_free(i)] == [3, 4]


@pytest.mark.parametrize("marked", range(SLOTS))
@pytest.mark.parametrize("saved", [0, 5, 11])
def test_a_writer_killed_between_its_marks_and_the_word_of_it(saved: int, marked: int) -> None:
    ring, state = ring_of(), Arena(STATE_LEN)
    ring.save_transmit(state, saved)
    for k in range(marked):
        ring.mark(ring.after(saved, k), SEND_REQUEST, 60)
    assert ring.resume_transmit(state) == ring.after(saved, marked)
    assert ring.first_unsent(ring.after(saved, marked)) == saved


def test_the_kernels_own_position() -> None:
    ring = ring_of()
    for i, status in ((9, SENDING), (10, WRONG_FORMAT), (11, SEND_REQUEST), (0, SEND_REQUEST)):
        ring.mark(i, status, 60)
    assert ring.first_unsent(1) == 10
    assert ring.first_unsent(9) == 9


def test_taken_back_frames_are_not_sent() -> None:
    ring, state = ring_of(), Arena(STATE_LEN)
    ring.mark(9, SENDING, 60)
    for i in (10, 11, 0):
        ring.mark(i, SEND_REQUEST, 60)
    assert ring.take_back(state, 10, 1) == 3
    assert statuses(ring) == [0] * 9 + [SENDING, 0, 0]
    assert ring.resume_transmit(state) == 10
    assert ring.take_back(state, 10, 10) == 0


@pytest.mark.parametrize("left", range(4))
def test_a_writer_killed_while_it_took_back(left: int) -> None:
    """The last mark goes first: what is left begins at the kernel's own position."""
    ring, state = ring_of(), Arena(STATE_LEN)
    ring.save_transmit(state, 10)
    for i in range(left):
        ring.mark(ring.after(10, i), SEND_REQUEST, 60)
    resumed = ring.resume_transmit(state)
    assert resumed == ring.after(10, left)
    assert ring.first_unsent(resumed) == 10
