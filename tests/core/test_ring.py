"""The byte ring: against a queue, between processes, under SIGKILL, and with a corrupt memory."""

from __future__ import annotations

import mmap
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corten.core import ring as module
from corten.core.arena import Arena, Memory
from corten.core.chance import Chance
from corten.core.ring import ByteRing

COMPILED = not str(module.__file__).endswith(".py")
DATA_AT = 128
ROOM = 4096
Message = tuple[int, int, bytes]


def put(ring: ByteRing, message: Message) -> bool:
    """Put a message whose payload lies in the midst of other octets."""
    kind, tag, payload = message
    return ring.put(kind, tag, Memory(b"<<<" + payload + b">>>"), 3, len(payload))


def get(ring: ByteRing, room: int = ROOM) -> Message | None:
    """The next message; the octets around the target stay as they were."""
    target = Arena(room + 8)
    target.store(0, b"\xee" * (room + 8))
    length = ring.get(target, 4, room)
    if length < 0:
        assert target.octets() == b"\xee" * (room + 8)
        return None
    assert target.octets(0, 4) == b"\xee" * 4
    assert target.octets(4 + length) == b"\xee" * (room + 4 - length)
    return ring.kind, ring.tag, target.octets(4, length)


messages = st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1), st.binary(max_size=100))


@settings(max_examples=200)
@given(st.integers(32, 300), st.lists(st.one_of(st.none(), messages), max_size=60))
def test_it_is_a_bounded_queue(room: int, script: list[Message | None]) -> None:
    memory = bytearray(DATA_AT + room)
    writer, reader = ByteRing(memory), ByteRing(memory)
    queue: deque[Message] = deque()
    for step in script:
        used = sum(16 + (len(payload) + 15) // 16 * 16 for _, _, payload in queue)
        if step is None:
            assert get(reader) == (queue.popleft() if queue else None)
        else:
            before = bytes(memory)
            fits = used + 16 + (len(step[2]) + 15) // 16 * 16 <= room // 16 * 16
            assert put(writer, step) == fits
            if fits:
                queue.append(step)
            else:
                assert memory == before, "nothing is written"
        assert reader.is_empty() == (not queue)
    while queue:
        assert get(reader) == queue.popleft()
    assert get(reader) is None


def test_a_target_too_small_leaves_the_message() -> None:
    ring = ByteRing(bytearray(512))
    put(ring, (1, 2, b"a message"))
    with pytest.raises(ValueError, match="9 octets"):
        get(ring, 8)
    assert get(ring, 9) == (1, 2, b"a message")


def test_wrong_ranges_are_refused_and_nothing_is_written() -> None:
    memory = bytearray(512)
    ring = ByteRing(memory)
    source, target = Memory(b"12345678"), Arena(8)
    for at, length in ((0, 9), (1, 8), (-1, 2), (0, -1), (9, 0), (2**62, 2**62)):
        with pytest.raises(IndexError):
            ring.put(1, 1, source, at, length)
        with pytest.raises(IndexError):
            ring.get(target, at, length)
    assert memory == bytes(512)
    with pytest.raises(ValueError, match="a ring needs"):
        ByteRing(bytearray(DATA_AT + 31))


# what a hostile or broken other side may leave: anything, and things that are nearly right
corruptions = st.one_of(
    st.tuples(st.sampled_from([0, 64]), st.binary(min_size=8, max_size=8)),
    st.tuples(
        st.sampled_from([0, 64]),
        st.integers(-300, 300).map(lambda n: (n % 2**64).to_bytes(8, "little")),
    ),
    st.tuples(st.integers(DATA_AT, DATA_AT + 250), st.binary(min_size=1, max_size=6)),
)


@settings(max_examples=300)
@given(st.lists(messages, max_size=6), st.lists(corruptions, min_size=1, max_size=4))
def test_a_corrupt_ring_harms_nobody(
    before: list[Message], damage: list[tuple[int, bytes]]
) -> None:
    """Each call works or raises RuntimeError (ValueError: longer than the target); the octets
    around the ring and around the target are neither read nor written."""
    guarded = bytearray(b"\xaa" * 1024)
    ring_memory = memoryview(guarded)[256 : 256 + DATA_AT + 256]
    ring_memory[:] = bytes(len(ring_memory))
    ring = ByteRing(ring_memory)
    for message in before:
        put(ring, message)
    for at, octets in damage:
        ring_memory[at : at + len(octets)] = octets
    for _ in range(4):
        try:
            message_back = get(ring)
            if message_back is not None:
                assert len(message_back[2]) <= 256
            put(ring, (1, 2, b"x" * 40))
        except RuntimeError as error:
            assert "corrupt" in str(error)
    assert guarded[:256] == b"\xaa" * 256
    assert guarded[256 + DATA_AT + 256 :] == b"\xaa" * (1024 - 512 - DATA_AT)


def test_indices_that_cannot_be() -> None:
    """Further apart than the room, the wrong way round, or between two messages' places."""
    for read, write in ((0, 272), (0, 2**64 - 16), (16, 0), (8, 8), (0, 24), (1, 17)):
        memory = bytearray(DATA_AT + 256)
        ring = ByteRing(memory)
        memory[0:8] = read.to_bytes(8, sys.byteorder)
        memory[64:72] = write.to_bytes(8, sys.byteorder)
        before = bytes(memory)
        with pytest.raises(RuntimeError, match="indices"):
            get(ring)
        with pytest.raises(RuntimeError, match="indices"):
            put(ring, (1, 2, b""))
        assert memory == before


POOL = Chance(1).octets(2000)


def payload_of(i: int) -> bytes:
    """Up to 399 octets that look like no others, so that a misplaced one shows."""
    return POOL[i % 1601 : i % 1601 + i * 7 % 400]


def feed(memory: mmap.mmap, first: int, count: int) -> None:
    """The writer's process: messages `first` and on; when the ring is full, try again."""
    ring = ByteRing(memory)
    for i in range(first, first + count):
        while not put(ring, (i, i << 20, payload_of(i))):
            os.sched_yield()


@contextmanager
def feeder(memory: mmap.mmap, first: int, count: int) -> Iterator[int]:
    """A process that feeds; it is dead at the end, however that comes."""
    child = os.fork()
    if child == 0:
        try:
            feed(memory, first, count)
        finally:
            os._exit(0)
    try:
        yield child
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.mark.slow
def test_two_processes() -> None:
    count = 100_000 if COMPILED else 20_000
    with mmap.mmap(-1, DATA_AT + 4000) as memory, feeder(memory, 0, count):
        ring, target, received = ByteRing(memory), Arena(ROOM), 0
        while received < count:
            length = ring.get(target, 0, ROOM)
            if length < 0:
                os.sched_yield()
                continue
            assert (ring.kind, ring.tag) == (received, received << 20)
            assert target.octets(0, length) == payload_of(received)
            received += 1
        assert ring.is_empty()
        del ring


@pytest.mark.slow
def test_a_writer_killed_at_any_instant_leaves_whole_messages() -> None:
    """SIGKILL, then what is there is read and a successor goes on where the dead one was."""
    with mmap.mmap(-1, DATA_AT + 4000) as memory:
        ring, received = ByteRing(memory), 0
        for k in range(40):
            with feeder(memory, received, 10**9):
                end = time.monotonic() + 0.002 + k * 0.000_37
                while time.monotonic() < end:
                    received += _take(ring, received)
            while taken := _take(ring, received):
                received += taken
        assert received > 100
        del ring


def _take(ring: ByteRing, expected: int) -> int:
    message = get(ring)
    if message is None:
        return 0
    assert message == (expected, expected << 20, payload_of(expected))
    return 1
