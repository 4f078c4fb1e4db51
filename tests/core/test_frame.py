"""Bursts of frames: slices in order, bounds, and what is let go of."""

from __future__ import annotations

import gc
import weakref

import pytest

from corten.core.arena import Buffer
from corten.core.frame import (
    BATCH_FRAMES,
    BATCH_SLICES,
    FRAME_LEN_MAX,
    FRAME_SLICES,
    HEADER_LEN_MAX,
    ReceiveBatch,
    TransmitBatch,
)


def add_frame(batch: TransmitBatch, header: bytes, *slices: bytes) -> None:
    batch.headers.store(batch.begin(), header)
    for data in slices:
        batch.add_slice(Buffer(data), 0, len(data))
    batch.commit(len(header))


# -- received ---------------------------------------------------------------------------------


def test_received_frames_come_back_as_they_were() -> None:
    batch = ReceiveBatch(4096)
    frames = [bytes([i]) * i for i in range(1, 20)]
    for i, frame in enumerate(frames):
        assert batch.append(frame, i, 2 * i)
    assert batch.count == len(frames)
    assert [batch.frame(i) for i in range(batch.count)] == frames
    assert [batch.frame_flags[i] for i in range(3)] == [0, 1, 2]
    assert [batch.frame_gso[i] for i in range(3)] == [0, 2, 4]
    assert all(batch.frame_at[i] % 64 == 0 for i in range(batch.count))


def test_a_full_receive_arena_takes_no_more() -> None:
    batch = ReceiveBatch(256)
    assert batch.append(bytes(100))
    assert not batch.append(bytes(129))
    assert batch.append(bytes(128))
    assert not batch.has_room(1)
    batch.clear()
    assert batch.count == 0
    assert batch.append(bytes(256))
    assert not batch.append(b"x")


def test_a_receive_batch_holds_so_many_frames() -> None:
    batch = ReceiveBatch(1 << 20)
    for _ in range(BATCH_FRAMES):
        assert batch.append(b"x")
    assert not batch.append(b"x")
    with pytest.raises(IndexError):
        batch.push(0, 1, 0, 0)


@pytest.mark.parametrize("i", [-1, 1, 2, BATCH_FRAMES])
def test_a_received_frame_that_is_not_there(i: int) -> None:
    batch = ReceiveBatch(256)
    batch.append(b"one")
    with pytest.raises(IndexError):
        batch.frame(i)


def test_a_frame_pushed_outside_raises_when_it_is_read() -> None:
    batch = ReceiveBatch(256)
    batch.push(250, 10, 0, 0)
    with pytest.raises(IndexError):
        batch.frame(0)


def test_a_receive_batch_over_foreign_memory() -> None:
    below = bytearray(256)
    batch = ReceiveBatch(0, below)
    batch.append(b"abc")
    assert below[:3] == b"abc"


# -- to send ----------------------------------------------------------------------------------


def test_a_frame_is_its_header_and_its_slices() -> None:
    batch = TransmitBatch()
    add_frame(batch, b"head", b"one", b"two")
    add_frame(batch, b"bare")
    assert batch.frame(0) == b"headonetwo"
    assert batch.frame(1) == b"bare"
    assert [batch.frame_len[i] for i in range(2)] == [10, 4]
    assert [batch.frame_header_len[i] for i in range(2)] == [4, 4]
    assert [batch.slice_count[i] for i in range(2)] == [2, 0]


def test_a_slice_outside_its_memory_raises() -> None:
    batch = TransmitBatch()
    batch.begin()
    buffer = Buffer(bytes(10))
    for at, length in ((-1, 1), (0, 11), (11, 0), (5, -1), (5, 6)):
        with pytest.raises(IndexError):
            batch.add_slice(buffer, at, length)
    assert batch.slices == 0


def test_a_frame_takes_no_more_slices_than_a_driver_can_gather() -> None:
    batch = TransmitBatch()
    batch.begin()
    buffer = Buffer(b"x")
    for _ in range(FRAME_SLICES):
        batch.add_slice(buffer, 0, 1)
    with pytest.raises(AssertionError):
        batch.add_slice(buffer, 0, 1)


def test_what_is_left_to_do_belongs_to_its_frame_only() -> None:
    batch = TransmitBatch()
    batch.begin()
    batch.needs_checksum(34, 16)
    batch.needs_segmentation(1, 1448)
    batch.commit(54)
    add_frame(batch, b"next")
    assert (batch.checksum_start[0], batch.checksum_offset[0]) == (34, 16)
    assert (batch.gso_type[0], batch.gso_size[0]) == (1, 1448)
    assert (batch.checksum_start[1], batch.gso_type[1]) == (0, 0)


def test_room_ends_with_frames() -> None:
    batch = TransmitBatch()
    for _ in range(BATCH_FRAMES):
        assert batch.has_room()
        add_frame(batch, bytes(HEADER_LEN_MAX))
    assert not batch.has_room()
    assert not batch.append(b"x")
    batch.clear()
    assert batch.has_room()


def test_room_ends_with_slices() -> None:
    batch = TransmitBatch()
    data = [b"x"] * FRAME_SLICES
    for _ in range(BATCH_SLICES // FRAME_SLICES):
        assert batch.has_room()
        add_frame(batch, b"h", *data)
    assert not batch.has_room()


def test_append_takes_the_largest_frame_whole() -> None:
    batch = TransmitBatch()
    data = bytes(range(256)) * (FRAME_LEN_MAX // 256)
    assert batch.append(data)
    assert batch.frame(0) == data
    assert batch.append(data)  # the headers' arena has this much
    assert not batch.append(data)
    assert batch.count == 2


def test_take_back_returns_the_last_frame_and_its_room() -> None:
    batch = TransmitBatch()
    add_frame(batch, b"first", b"A")
    used, slices = batch.header_used, batch.slices
    add_frame(batch, b"second", b"B", b"C")
    assert batch.take_back() == b"secondBC"
    assert (batch.count, batch.header_used, batch.slices) == (1, used, slices)
    assert batch.frame(0) == b"firstA"
    assert batch.take_back() == b"firstA"
    with pytest.raises(IndexError):
        batch.take_back()


def test_an_abandoned_frame_leaves_no_trace_in_the_next() -> None:
    batch = TransmitBatch()
    batch.begin()
    batch.add_slice(Buffer(b"abandoned"), 0, 9)
    add_frame(batch, b"next", b"one")
    assert batch.frame(0) == b"nextone"


class Owner(bytearray):
    """Octets that can be watched."""


@pytest.mark.parametrize("way", ["clear", "take_back"])
def test_slices_are_held_until_the_frame_is_gone(way: str) -> None:
    owner = Owner(b"payload")
    alive = weakref.ref(owner)
    batch = TransmitBatch()
    batch.begin()
    batch.add_slice(Buffer(memoryview(owner).toreadonly()), 0, 7)
    batch.commit(0)
    del owner
    gc.collect()
    assert alive() is not None
    assert batch.frame(0) == b"payload"
    getattr(batch, way)()
    gc.collect()
    assert alive() is None


@pytest.mark.parametrize("i", [-1, 1])
def test_a_frame_to_send_that_is_not_there(i: int) -> None:
    batch = TransmitBatch()
    batch.append(b"one")
    with pytest.raises(IndexError):
        batch.frame(i)
