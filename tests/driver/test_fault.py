"""Faults from a seed: each kind alone, both directions, always the same for the same seed."""

from __future__ import annotations

import pytest

from corten.core.chance import Chance
from corten.core.clock import NEVER
from corten.core.frame import CHECKSUM_GOOD, ReceiveBatch, TransmitBatch
from corten.driver.fault import Fault, Faults
from corten.driver.pipe import Pipe

FRAMES = [bytes([i]) * 40 for i in range(200)]


def receive_all(fault: Fault, now: int) -> list[bytes]:
    fault.advance(now)
    batch = ReceiveBatch()
    fault.receive(batch)
    return [batch.frame(i) for i in range(batch.count)]


def pushed(faults: Faults, seed: int = 1) -> tuple[Fault, Pipe]:
    pipe = Pipe()
    for frame in FRAMES:
        pipe.push(frame, CHECKSUM_GOOD)
    return Fault(pipe, Chance(seed), receiving=faults), pipe


def test_without_faults_everything_passes_in_order() -> None:
    fault, _ = pushed(Faults())
    assert receive_all(fault, 0) == FRAMES
    assert fault.next_deadline() == NEVER


def test_drop_takes_about_its_share() -> None:
    fault, _ = pushed(Faults(drop=0.25))
    got = receive_all(fault, 0)
    assert 20 < len(FRAMES) - len(got) < 80
    assert fault.receiving.dropped == len(FRAMES) - len(got)
    assert got == [frame for frame in FRAMES if frame in got]


def test_drop_of_one_takes_everything() -> None:
    fault, _ = pushed(Faults(drop=1.0))
    assert receive_all(fault, 0) == []


def test_duplicate_follows_its_original() -> None:
    fault, _ = pushed(Faults(duplicate=1.0))
    assert receive_all(fault, 0)[:4] == [FRAMES[0], FRAMES[0], FRAMES[1], FRAMES[1]]
    assert fault.receiving.duplicated == len(FRAMES)


def test_corrupt_turns_one_bit_and_takes_the_flag() -> None:
    fault, _ = pushed(Faults(corrupt=1.0))
    batch = ReceiveBatch()
    fault.receive(batch)
    for i, frame in enumerate(FRAMES):
        changed = [a ^ b for a, b in zip(batch.frame(i), frame, strict=True) if a != b]
        assert len(changed) == 1
        assert changed[0].bit_count() == 1
        assert batch.frame_flags[i] == 0


def test_reorder_lets_others_overtake_and_loses_nothing() -> None:
    fault, _ = pushed(Faults(reorder=0.1, reorder_ns=1000))
    first = receive_all(fault, 0)
    assert 0 < len(first) < len(FRAMES)
    assert fault.next_deadline() == 1000
    assert receive_all(fault, 999) == []
    assert sorted(first + receive_all(fault, 1000)) == sorted(FRAMES)
    assert fault.receiving.reordered == len(FRAMES) - len(first)


def test_delay_holds_until_due() -> None:
    fault, _ = pushed(Faults(delay_ns=5000))
    assert receive_all(fault, 100) == []
    assert fault.next_deadline() == 5100
    assert receive_all(fault, 5100) == FRAMES


def test_jitter_stays_within_its_bound() -> None:
    fault, _ = pushed(Faults(delay_ns=1000, jitter_ns=500))
    assert receive_all(fault, 0) == []
    assert 1000 <= fault.next_deadline() <= 1500
    assert sorted(receive_all(fault, 1500)) == sorted(FRAMES)


def test_sending_has_faults_of_its_own() -> None:
    sent: list[bytes] = []
    fault = Fault(Pipe(send=sent.append), Chance(3), sending=Faults(delay_ns=10))
    batch = TransmitBatch()
    for frame in FRAMES[:3]:
        batch.append(frame)
    fault.advance(0)
    assert fault.transmit(batch) == 3
    assert sent == []
    receive_all(fault, 10)
    assert sent == FRAMES[:3]


def test_more_than_one_batch_is_due_at_once() -> None:
    sent: list[bytes] = []
    fault = Fault(Pipe(send=sent.append), Chance(3), sending=Faults(delay_ns=10))
    for _ in range(3):
        batch = TransmitBatch()
        for frame in FRAMES:
            batch.append(frame)
        fault.transmit(batch)
    receive_all(fault, 10)
    assert sent == FRAMES * 3


def test_the_same_seed_gives_the_same_faults() -> None:
    faults = Faults(drop=0.1, duplicate=0.1, corrupt=0.1, reorder=0.1, jitter_ns=100)

    def run(seed: int) -> list[bytes]:
        fault, _ = pushed(faults, seed)
        return receive_all(fault, 0) + receive_all(fault, 10**9)

    assert run(7) == run(7)
    assert run(7) != run(8)


def test_what_is_held_is_bounded() -> None:
    pipe = Pipe(limit=10000)
    fault = Fault(pipe, Chance(1), receiving=Faults(delay_ns=1))
    for _ in range(5000):
        pipe.push(b"x")
    while pipe.waiting():
        fault.receive(ReceiveBatch())
    assert fault.receiving.dropped == 5000 - 4096


def test_no_offload_is_promised() -> None:
    fault = Fault(Pipe(offload=True), Chance(1))
    assert not fault.offload_checksum
    assert not fault.offload_segmentation
    assert fault.fileno() == -1
    fault.close()


@pytest.mark.parametrize("wrong", [{"drop": 1.1}, {"corrupt": -0.1}, {"delay_ns": -1}])
def test_impossible_faults_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"chance|negative"):
        Faults(**wrong)  # type: ignore[arg-type]
