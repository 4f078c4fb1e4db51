"""A link of Python objects: bounded, in order, and complete."""

from __future__ import annotations

import pytest

from corten.core.frame import CHECKSUM_GOOD, ReceiveBatch, TransmitBatch
from corten.driver.pipe import Pipe


def batch_of(*frames: bytes) -> TransmitBatch:
    batch = TransmitBatch()
    for frame in frames:
        assert batch.append(frame)
    return batch


def frames_of(batch: ReceiveBatch) -> list[bytes]:
    return [batch.frame(i) for i in range(batch.count)]


def test_what_one_end_sends_the_other_receives_in_order() -> None:
    one, two = Pipe.pair()
    assert one.transmit(batch_of(b"first", b"second")) == 2
    batch = ReceiveBatch()
    assert two.receive(batch) == 2
    assert frames_of(batch) == [b"first", b"second"]
    assert (one.transmitted, two.received) == (2, 2)
    assert two.receive(batch) == 0


def test_both_directions_are_apart() -> None:
    one, two = Pipe.pair()
    one.transmit(batch_of(b"there"))
    two.transmit(batch_of(b"back"))
    batch = ReceiveBatch()
    one.receive(batch)
    assert frames_of(batch) == [b"back"]


def test_a_full_queue_drops_and_counts() -> None:
    one, two = Pipe.pair(limit=2)
    assert one.transmit(batch_of(b"a", b"b", b"c")) == 2
    assert one.transmit_dropped == 1
    assert two.receive_dropped == 1
    assert two.waiting() == 2


def test_a_batch_without_room_leaves_the_rest_for_later() -> None:
    pipe = Pipe()
    for _ in range(3):
        assert pipe.push(b"x" * 100)
    batch = ReceiveBatch(arena_len=256)
    assert pipe.receive(batch) == 2
    batch.clear()
    assert pipe.receive(batch) == 1


def test_a_callable_gets_each_frame() -> None:
    sent: list[bytes] = []
    pipe = Pipe(send=sent.append)
    assert pipe.transmit(batch_of(b"a", b"b")) == 2
    assert sent == [b"a", b"b"]
    assert not pipe.offload_checksum


def test_wake_is_called_once_while_frames_wait() -> None:
    calls: list[int] = []
    pipe = Pipe(wake=lambda: calls.append(1))
    pipe.push(b"a")
    pipe.push(b"b")
    assert len(calls) == 1
    pipe.receive(ReceiveBatch())
    pipe.push(b"c")
    assert len(calls) == 2


def test_a_pipe_to_nowhere_drops() -> None:
    pipe = Pipe()
    assert pipe.transmit(batch_of(b"a")) == 0
    assert pipe.transmit_dropped == 1


def test_flags_and_size_come_along() -> None:
    pipe = Pipe()
    pipe.push(b"super", CHECKSUM_GOOD, 1448)
    batch = ReceiveBatch()
    pipe.receive(batch)
    assert (batch.frame_flags[0], batch.frame_gso[0]) == (CHECKSUM_GOOD, 1448)


def test_closed_it_takes_nothing() -> None:
    one, two = Pipe.pair()
    two.close()
    two.close()
    assert one.transmit(batch_of(b"a")) == 0
    assert not two.push(b"b")
    assert two.fileno() == -1


def test_an_unbounded_frame_is_refused_by_the_batch_not_by_a_crash() -> None:
    pipe = Pipe()
    pipe.push(b"x" * 4096)
    assert pipe.receive(ReceiveBatch(arena_len=1024)) == 0
    with pytest.raises(IndexError):
        ReceiveBatch().frame(0)
