"""A capture played again: the same frames, their spacing, and a stack that does the same."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from corten.core.chance import Chance
from corten.core.clock import NEVER
from corten.core.frame import ReceiveBatch, TransmitBatch
from corten.driver.capture import Capture
from corten.driver.device import Wanted
from corten.driver.fault import Fault, Faults
from corten.driver.kind import open_device, open_queue
from corten.driver.pipe import Pipe
from corten.driver.replay import Replay, packets_of
from corten.endpoint.error import CortenError
from corten.endpoint.handler import Handler
from corten.stack.stack import Stack
from corten.wire.pcapng import ETHERNET, INBOUND, OUTBOUND, RAW, Packet, packet, read, start
from corten.worker.breath import Breath

SECOND = 1_000_000_000
MAC = bytes.fromhex("020000000002")
OTHER = bytes.fromhex("020000000001")


def frame(number: int) -> bytes:
    return MAC + OTHER + b"\x08\x00" + number.to_bytes(2, "big") * 25


def received(replay: Replay, now: int) -> list[bytes]:
    replay.advance(now)
    batch = ReceiveBatch()
    replay.receive(batch)
    return [batch.frame(i) for i in range(batch.count)]


def test_frames_come_at_their_spacing() -> None:
    replay = Replay([Packet(500 + at, frame(i)) for i, at in enumerate((0, 10, 10, 25))])
    assert replay.has_deadlines
    assert received(replay, 1000) == [frame(0)]
    assert replay.next_deadline() == 1010
    assert received(replay, 1009) == []
    assert received(replay, 1010) == [frame(1), frame(2)]
    assert not replay.is_over()
    assert received(replay, 5000) == [frame(3)]
    assert replay.is_over()
    assert replay.next_deadline() == NEVER
    assert received(replay, 9999) == []


def test_a_clock_set_back_or_far_ahead_is_no_long_wait() -> None:
    times = (10, 5, 6, 10**30)
    replay = Replay([Packet(at, frame(i)) for i, at in enumerate(times)])
    assert received(replay, 100) == [frame(0), frame(1)]
    assert received(replay, 101) == [frame(2)]
    assert replay.next_deadline() == 101 + 3600 * SECOND


def test_fast_there_is_no_waiting_and_a_burst_is_bounded() -> None:
    replay = Replay([Packet(i * SECOND, frame(i)) for i in range(300)], fast=True)
    assert received(replay, 0) == [frame(i) for i in range(256)]
    assert replay.next_deadline() == 0
    assert received(replay, 0) == [frame(i) for i in range(256, 300)]
    assert replay.received == 300


def test_a_frame_that_fits_nowhere_is_counted() -> None:
    replay = Replay([Packet(0, bytes(70000)), Packet(0, b"fits")], fast=True)
    assert received(replay, 0) == [b"fits"]
    assert replay.receive_dropped == 1


def test_what_the_stack_sends_is_kept_where_asked() -> None:
    for sent in (None, []):
        replay = Replay([], sent=sent)
        batch = TransmitBatch()
        batch.append(b"one")
        assert replay.transmit(batch) == 1
        assert sent in (None, [b"one"])
    assert replay.fileno() == -1
    replay.close()
    replay.close()


def capture_of(path: Path, *packets: tuple[int, bytes, int], link_type: int = ETHERNET) -> str:
    path.write_bytes(start(link_type) + b"".join(packet(*each) for each in packets))
    return str(path)


def test_only_what_came_in_is_played(tmp_path: Path) -> None:
    name = capture_of(tmp_path / "a", (1, b"in", INBOUND), (2, b"out", OUTBOUND), (3, b"any", 0))
    assert [each.frame for each in packets_of(name)] == [b"in", b"any"]


@pytest.mark.parametrize(
    ("packets", "mac"),
    [
        ([(1, frame(1), INBOUND)], "02:00:00:00:00:02"),
        ([(1, b"\xff" * 6 + frame(1)[6:], 0), (1, frame(1), 0)], "02:00:00:00:00:02"),
        ([(1, b"\2" * 20, 0), (2, OTHER + MAC + bytes(9), OUTBOUND)], "02:00:00:00:00:02"),
        ([(1, b"short", INBOUND)], ""),
    ],
)
def test_a_file_as_a_device(
    tmp_path: Path, packets: list[tuple[int, bytes, int]], mac: str
) -> None:
    name = capture_of(tmp_path / "a", *packets)
    device = open_device(Wanted("replay", name, options={"speed": "fast"}))
    assert (device.mac, device.mtu) == (mac, 1500)
    driver = open_queue(device.queue(0))
    assert received(driver, 0) == [f for _, f, way in packets if way != OUTBOUND]  # type: ignore[arg-type]
    device.close()


def test_what_cannot_be_played_is_one_line(tmp_path: Path) -> None:
    good = capture_of(tmp_path / "good", (1, frame(1), INBOUND))
    bare = capture_of(tmp_path / "bare", (1, frame(1)[14:], INBOUND), link_type=RAW)
    cut = tmp_path / "cut"
    cut.write_bytes(Path(good).read_bytes()[:-3])
    for name, queues, says in (
        (good, 2, "one worker"),
        (str(tmp_path / "none"), 1, "No such file"),
        (str(tmp_path), 1, "directory"),
        (bare, 1, "link type 101"),
        (str(cut), 1, "cut off"),
    ):
        with pytest.raises(CortenError, match=says) as caught:
            open_device(Wanted("replay", name, queues))
        assert "\n" not in str(caught.value)


class Echo(Handler):
    def on_data(self, connection: object, data: bytes) -> None:
        connection.send(data)  # type: ignore[attr-defined]


def serve(wire: object, file: io.BytesIO, until: int, feed: object = None) -> None:
    """A stack of a fixed seed on `wire`, breath by breath in virtual time."""
    clock = [0]
    capture = Capture(wire, file, clock=lambda: clock[0])
    stack = Stack(Chance(5), bytes(32))
    interface = stack.add_interface(
        "a", "02:00:00:00:00:02", ["10.0.0.2/24"], neighbours={"10.0.0.1": "02:00:00:00:00:01"}
    )
    breath = Breath(stack)
    breath.add_wire(capture, interface)
    stack.listen(80, Echo)
    while clock[0] < until:
        breath.breathe(clock[0])
        if feed is not None:
            feed(clock[0])  # type: ignore[operator]
        clock[0] += SECOND // 1000
    capture.close()


def test_a_stack_does_the_same_again(tmp_path: Path) -> None:
    """A conversation over a bad wire is recorded at one end; played to a fresh stack with the same
    seed, secret and clock, every frame and every drop reason comes again."""
    near, far = Pipe.pair()
    client = Stack(Chance(6), bytes(31) + b"\1")
    there = client.add_interface(
        "b", "02:00:00:00:00:01", ["10.0.0.1/24"], neighbours={"10.0.0.2": "02:00:00:00:00:02"}
    )
    breath = Breath(client)
    breath.add_wire(Fault(far, Chance(7), sending=Faults(drop=0.1, corrupt=0.2)), there)

    class Talker(Handler):
        def on_open(self, connection: object) -> None:
            connection.send(bytes(100_000))  # type: ignore[attr-defined]

    client.connect("10.0.0.2", 80, Talker)
    first, second = io.BytesIO(), io.BytesIO()
    serve(near, first, 10 * SECOND, breath.breathe)
    recorded = read(first.getvalue())
    reasons = [each.comment for each in recorded if each.comment]
    assert len(recorded) > 100
    assert sum("tcp_bad_checksum" in each for each in reasons) > 5
    path = tmp_path / "first.pcapng"
    path.write_bytes(first.getvalue())
    inbound = [each for each in recorded if each.direction == INBOUND]
    begun = Packet(0, b"\xff" * 14)  # the first frame sets the clock: put one at its beginning
    serve(Replay([begun, *packets_of(str(path))]), second, 10 * SECOND)
    again = [each for each in read(second.getvalue()) if each.frame != begun.frame]
    assert [e for e in again if e.direction == INBOUND] == inbound
    assert again == recorded
