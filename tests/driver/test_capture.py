"""A recorded link: every frame, its direction, its instant, and why the stack dropped it."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path
from typing import Any

import pytest

from corten.core.chance import Chance
from corten.core.frame import CHECKSUM_GOOD, ReceiveBatch, TransmitBatch
from corten.driver.capture import Capture, remark
from corten.driver.driver import Driver
from corten.driver.fault import Fault, Faults
from corten.driver.pipe import Pipe
from corten.endpoint.error import CortenError
from corten.endpoint.handler import Handler
from corten.stack.stack import Stack
from corten.wire.pcapng import INBOUND, OUTBOUND, Packet, read
from corten.worker.breath import Breath

scapy = pytest.importorskip("scapy.all")
OURS, THEIRS = "02:00:00:00:00:02", "02:00:00:00:00:01"
ETHER = scapy.Ether(src=THEIRS, dst=OURS)
IP = scapy.IP(src="10.0.0.1", dst="10.0.0.2")
SYN = bytes(ETHER / IP / scapy.TCP(sport=1000, dport=80, seq=1, flags="S"))
BAD = bytes(ETHER / IP / scapy.TCP(sport=1000, dport=80, seq=1, flags="S", chksum=1))
STRANGER = bytes(scapy.Ether(src=THEIRS, dst="02:00:00:00:00:09") / IP / scapy.TCP())


class World:
    """A stack behind a recorded pipe, and a clock that the test moves."""

    def __init__(self, wrap: Any = lambda driver: driver, offload: bool = False) -> None:
        self.now = 1_000_000_000
        self.sent: list[bytes] = []
        self.file = io.BytesIO()
        self.pipe = Pipe(self.sent.append, offload=offload)
        self.capture = Capture(wrap(self.pipe), self.file, name="test", clock=lambda: self.now)
        self.stack = Stack(Chance(1), bytes(32), now=self.now)
        interface = self.stack.add_interface(
            "test",
            OURS,
            ["10.0.0.2/24"],
            offload_checksum=self.capture.offload_checksum,
            offload_segmentation=self.capture.offload_segmentation,
            neighbours={"10.0.0.1": THEIRS},
        )
        self.breath = Breath(self.stack)
        self.breath.add_wire(self.capture, interface)
        self.stack.listen(80, Handler)

    def breathe(self, by_ns: int = 1000) -> None:
        self.now += by_ns
        self.breath.breathe(self.now)

    def recorded(self) -> list[Packet]:
        return read(self.file.getvalue())


def test_both_directions_in_order() -> None:
    world = World()
    world.breathe()
    world.pipe.push(SYN)
    world.breathe()
    arp, syn, reply = world.recorded()
    assert (arp.direction, syn.direction, reply.direction) == (OUTBOUND, INBOUND, OUTBOUND)
    assert (syn.frame, reply.frame) == (SYN, world.sent[-1])
    assert (arp.time_ns, syn.time_ns, reply.time_ns) == (1000001000, 1000002000, 1000002000)
    assert (syn.comment, reply.comment) == ("", "")


def test_a_dropped_frame_says_why() -> None:
    world = World()
    for frame in (BAD, SYN, STRANGER, b"short"):
        world.pipe.push(frame)
    world.breathe()
    world.breathe()  # the reasons are written when the wire is used next, at the latest
    comments = [each.comment for each in world.recorded() if each.direction == INBOUND]
    assert comments == [
        "dropped: tcp_bad_checksum: checksum wrong",
        "",
        "dropped: ethernet_not_ours: for another station's address",
        "dropped: ethernet_short: a frame without a whole Ethernet header",
    ]


def test_closing_writes_what_still_waits() -> None:
    world = World()
    world.breathe()
    world.pipe.push(BAD)
    batch = world.capture.make_batch()
    assert world.capture.receive(batch) == 1
    before = len(world.recorded())
    batch.reasons[0] = 27
    world.capture.close()
    world.capture.close()
    assert len(world.recorded()) == before + 1
    assert world.recorded()[-1].comment.startswith("dropped: tcp_bad_checksum")


def test_a_reason_is_not_the_last_bursts() -> None:
    world = World()
    for frame in (BAD, SYN, BAD, SYN):
        world.pipe.push(frame)
        world.breathe()
    world.breathe()
    dropped = [bool(e.comment) for e in world.recorded() if e.direction == INBOUND]
    assert dropped == [True, False, True, False]


def test_another_batch_asks_for_no_reasons() -> None:
    """Whoever receives into a batch of his own has a record without comments."""
    world = World()
    world.pipe.push(BAD)
    batch = ReceiveBatch()
    world.capture.receive(batch)
    world.capture.settle()
    assert batch.reasons is None
    assert [each.comment for each in world.recorded()] == [""]


def test_undone_checksums_are_right_in_the_record() -> None:
    world = World(offload=True)
    undone = bytearray(SYN)
    undone[50:52] = b"\x12\x34"
    world.pipe.push(bytes(undone), CHECKSUM_GOOD)
    world.breathe()
    world.breathe()
    syn, reply = (each.frame for each in world.recorded() if each.frame[12:14] == b"\x08\x00")
    assert syn == SYN
    assert world.sent[-1] != reply
    assert bytes(scapy.Ether(reply)) == reply
    again = scapy.Ether(reply)
    del again[scapy.TCP].chksum
    assert bytes(again) == reply


def test_what_the_wire_promises_passes_through() -> None:
    capture = Capture(Pipe(offload=True), io.BytesIO())
    assert capture.offload_checksum
    assert capture.offload_segmentation
    assert not capture.has_deadlines
    assert capture.fileno() == -1
    assert capture.filenos() == []
    pushed: list[int] = []
    capture.wake_with(lambda: pushed.append(1))
    capture.inner.push(b"x")
    assert pushed == [1]
    assert capture.is_ready()
    outgoing = TransmitBatch()
    outgoing.append(b"to nowhere")
    assert capture.transmit(outgoing) == 0
    assert capture.transmit_dropped == 1


def test_around_faults_it_shows_what_the_stack_has_seen() -> None:
    world = World(lambda driver: Fault(driver, Chance(1), Faults(corrupt=1.0), Faults(drop=1.0)))
    world.pipe.push(SYN)
    for _ in range(3):
        world.breathe()
    inbound = [each for each in world.recorded() if each.direction == INBOUND]
    assert len(inbound) == 1
    assert inbound[0].frame != SYN
    assert any(each.direction == OUTBOUND for each in world.recorded())
    assert world.sent == []


def test_a_capture_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(CortenError, match="No such file"):
        Capture(Pipe(), tmp_path / "none" / "file")


def test_a_remark_on_what_was_no_drop() -> None:
    assert remark(0) == remark(-1) == remark(9999) == ""
    assert remark(47) == "handed_over: from the wire, and another worker's: given to it"
    assert remark(175).startswith("fragment_held: no drop")


@pytest.mark.e2e
@pytest.mark.parametrize("ethernet", [True, False])
def test_tshark_reads_it(tmp_path: Path, ethernet: bool) -> None:
    """What Wireshark makes of it: link type, direction, comment, nanoseconds, checksums."""
    path = tmp_path / "a.pcapng"
    sent: list[bytes] = []
    now = 1_700_000_000_123_456_789
    capture = Capture(Pipe(sent.append), path, ethernet, "link0", clock=lambda: now)
    batch = capture.make_batch()
    for frame in (SYN, BAD):
        capture.inner.push(frame if ethernet else frame[14:])
    capture.receive(batch)
    batch.reasons[1] = 27
    outgoing = TransmitBatch()
    outgoing.append(SYN if ethernet else SYN[14:])
    capture.transmit(outgoing)
    capture.close()
    names = ["frame.time_epoch", "frame.packet_flags_direction", "frame.comment"]
    names += ["frame.encap_type", "frame.interface_name", "tcp.checksum.status"]
    words = ["tshark", "-r", str(path), "-o", "tcp.check_checksum:TRUE", "-T", "fields"]
    words += [word for name in names for word in ("-e", name)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    kind = "1" if ethernet else "7"
    drop = "dropped: tcp_bad_checksum: checksum wrong"
    stamp = "1700000000.123456789"
    assert [line.split("\t") for line in done.stdout.splitlines()] == [
        [stamp, "0x00000001", "", kind, "link0", "1"],
        [stamp, "0x00000001", drop, kind, "link0", "0"],
        [stamp, "0x00000002", "", kind, "link0", "1"],
    ]


class Full(Driver):
    """A wire without room."""

    def __init__(self) -> None:
        super().__init__()
        self.congested = False

    def is_full(self) -> bool:
        return True

    def transmit(self, batch: TransmitBatch) -> int:
        self.congested = True
        return batch.count


def test_a_recorded_wire_says_that_it_is_full() -> None:
    """Or output would not wait for room where somebody looks on."""
    capture = Capture(Full(), io.BytesIO(), name="test", clock=lambda: 0)
    assert not capture.congested
    capture.transmit(TransmitBatch())
    assert capture.congested and capture.is_full()
