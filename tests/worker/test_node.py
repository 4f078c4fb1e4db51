"""A stack within a program: packets through callables, Ethernet and bare, loops of all kinds."""

from __future__ import annotations

import asyncio
import select
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from corten.core.chance import Chance
from corten.driver.capture import Capture
from corten.driver.fault import Fault, Faults
from corten.driver.pipe import Pipe
from corten.endpoint.error import CortenError
from corten.endpoint.handler import Handler
from corten.wire.pcapng import RAW, read
from corten.worker.node import Node

ROOT = Path(__file__).parent.parent.parent


class Echo(Handler):
    def on_data(self, connection: Any, data: bytes) -> None:
        connection.send(data)


class Asker(Handler):
    """Sends `question`, keeps what comes back, and closes when it is all there."""

    def __init__(self, question: bytes) -> None:
        self.question = question
        self.answer = b""
        self.is_over = False
        self.error: Exception | None = None

    def on_open(self, connection: Any) -> None:
        connection.send(self.question)

    def on_data(self, connection: Any, data: bytes) -> None:
        self.answer += data
        if len(self.answer) == len(self.question):
            connection.close()
            self.is_over = True

    def on_close(self, connection: Any, error: Exception | None) -> None:
        self.error = error
        self.is_over = True


def pair(**options: Any) -> tuple[Node, Node]:
    """Two nodes, each the other's callable."""
    one, two = Node(), Node()
    near = Pipe(lambda packet: far.push(packet))
    far = Pipe(near.push)
    one.add(near, ["10.7.0.1/24", "fd00::1/64"], **options)
    two.add(far, ["10.7.0.2/24", "fd00::2/64"], **options)
    one.listen(7, Echo)
    return one, two


def drive(nodes: tuple[Node, ...], until: Any, seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, "nothing more happens"
        for node in nodes:
            node.turn()
        waits = [wait for node in nodes if (wait := node.patience()) is not None]
        select.select(nodes, [], [], min([*waits, 1.0]))


@pytest.mark.parametrize("ethernet", [True, False])
@pytest.mark.parametrize("address", ["10.7.0.1", "fd00::1"])
def test_a_conversation(ethernet: bool, address: str) -> None:
    one, two = pair(ethernet=ethernet)
    asker = Asker(bytes(300_000))
    two.connect(address, 7, lambda: asker)
    drive((one, two), lambda: asker.is_over)
    assert asker.answer == asker.question
    assert asker.error is None
    one.close()
    two.close()
    two.close()


def test_an_object_with_send_is_a_link() -> None:
    class Tunnel:
        def __init__(self) -> None:
            self.packets: list[bytes] = []

        def send(self, packet: bytes) -> None:
            self.packets.append(packet)

    tunnel = Tunnel()
    node = Node()
    link = node.add(tunnel, ["10.7.0.2/24"])
    node.connect("10.7.0.1", 80, lambda: Asker(b""))
    node.turn()
    assert tunnel.packets[0][0] == 0x45  # IP, and no link header
    assert isinstance(link, Pipe)
    node.close()


def test_what_send_raises_is_a_lost_frame(caplog: pytest.LogCaptureFixture) -> None:
    def broken(packet: bytes) -> None:
        raise OSError("the tunnel is down")

    node = Node()
    link = node.add(broken, ["10.7.0.2/24"])
    node.connect("10.7.0.1", 80, lambda: Asker(b""))
    node.turn()
    assert link.transmit_dropped == 1
    assert "the tunnel is down" in caplog.text
    node.close()


def test_several_links() -> None:
    sent: dict[str, list[bytes]] = {"a": [], "b": []}
    node = Node()
    node.add(sent["a"].append, ["10.7.0.2/24"])
    node.add(sent["b"].append, ["10.8.0.2/24"], gateway="10.8.0.1", mtu=1280)
    node.connect("10.7.0.1", 80, lambda: Asker(b""))
    node.connect("192.0.2.1", 80, lambda: Asker(b""))
    node.turn()
    assert [len(each) for each in sent.values()] == [1, 1]
    node.close()


def test_what_cannot_be_is_one_line() -> None:
    node = Node()
    with pytest.raises(CortenError, match="give it an address"):
        node.add(print, [])
    node.close()


def test_a_packet_wakes_and_a_timer_is_waited_for() -> None:
    node = Node()
    link = node.add(lambda packet: None, ["10.7.0.2/24"])
    while node.turn() and node.patience() == 0.0:
        pass
    called: list[float] = []
    node.call_later(0.05, lambda: called.append(time.monotonic()))
    begun = time.monotonic()
    wait = node.patience()
    assert wait is not None
    assert 0.0 < wait <= 0.05
    assert select.select([node], [], [], 0)[0] == []
    link.push(b"no packet")
    assert select.select([node], [], [], 0)[0] == [node]
    assert node.patience() == 0.0
    drive((node,), lambda: called)
    assert called[0] - begun >= 0.05
    node.close()


def test_outside_a_turn_the_clock_is_looked_at() -> None:
    """A timer set after a long pause counts from now, not from the last breath."""
    node = Node()
    node.turn()
    time.sleep(0.2)
    fired: list[int] = []
    node.call_later(0.15, fired.append, 1)
    node.turn()
    assert fired == []
    node.close()


def test_a_loop_of_its_own_in_a_thread() -> None:
    one, two = pair()
    threads = [threading.Thread(target=n.serve, kwargs={"signals": False}) for n in (one, two)]
    for thread in threads:
        thread.start()
    asker = Asker(bytes(100_000))
    two.call_soon_threadsafe(two.connect, "10.7.0.1", 7, lambda: asker)
    end = time.monotonic() + 20
    while not asker.is_over and time.monotonic() < end:
        time.sleep(0.005)
    for node, thread in zip((one, two), threads, strict=True):
        node.stop()
        thread.join(10)
        node.close()
    assert asker.answer == asker.question


def test_an_asyncio_loop() -> None:
    async def run() -> bytes:
        one, two = pair()
        loop = asyncio.get_running_loop()
        over = loop.create_future()

        class Last(Asker):
            def on_data(self, connection: Any, data: bytes) -> None:
                super().on_data(connection, data)
                if self.is_over:
                    over.set_result(self.answer)

        one.attach(loop)
        two.attach(loop)
        two.call_soon_threadsafe(two.connect, "10.7.0.1", 7, lambda: Last(bytes(50_000)))
        try:
            return await asyncio.wait_for(over, 20)
        finally:
            one.close()
            two.close()

    assert asyncio.run(run()) == bytes(50_000)


def test_drivers_around_drivers(tmp_path: Path) -> None:
    one, two = Node(), Node()
    near, far = Pipe.pair()
    faults = Faults(drop=0.05, corrupt=0.05, delay_ns=100_000)
    one.add(Capture(near, tmp_path / "a.pcapng", ethernet=False), ["10.7.0.1/24"])
    two.add(Fault(far, Chance(3), faults, faults), ["10.7.0.2/24"])
    one.listen(7, Echo)
    asker = Asker(bytes(200_000))
    two.connect("10.7.0.1", 7, lambda: asker)
    drive((one, two), lambda: asker.is_over, 60.0)
    assert asker.answer == asker.question
    one.close()
    two.close()
    recorded = read((tmp_path / "a.pcapng").read_bytes())
    assert {each.link_type for each in recorded} == {RAW}
    assert any("tcp_bad_checksum" in each.comment for each in recorded)


def test_the_example_runs(tmp_path: Path) -> None:
    for words in ([], [str(tmp_path / "a.pcapng")]):
        done = subprocess.run(
            [sys.executable, str(ROOT / "examples" / "tunnel.py"), *words],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
            env={"PYTHONPATH": str(ROOT)},
        )
        status, body, packets = done.stdout.splitlines()
        assert (status, body) == (
            "HTTP/1.1 200 OK",
            "Hello from the other end of the tunnel.",
        )
        assert int(packets.split()[0]) >= 6
    frames = [each.frame for each in read((tmp_path / "a.pcapng").read_bytes())]
    assert len(frames) >= 6
    assert any(b"Hello from the other end" in frame for frame in frames)


def test_a_link_with_a_prefix_of_its_own() -> None:
    one, two = Node(), Node()
    near = Pipe(lambda packet: far.push(packet))
    far = Pipe(near.push)
    one.add(near, ["10.7.0.1/24"], gateway="10.7.0.2")
    with pytest.raises(CortenError, match="overlaps"):
        two.add(Pipe(near.push), ["10.8.0.2/24"], prefixes=["10.9.0.0/16", "10.8.0.0/16"])
    assert two.stack.interfaces == []  # nothing is left of it
    two.add(far, ["10.7.0.2/24"], prefixes=["10.9.0.0/16"])
    two.listen(7, Echo)
    askers = [Asker(address.encode()) for address in ("10.9.0.0", "10.9.4.5", "10.9.255.255")]
    for asker in askers:
        one.connect(asker.question.decode(), 7, lambda asker=asker: asker)  # type: ignore[misc]
    while not all(asker.is_over for asker in askers):
        one.turn()
        two.turn()
    assert [asker.answer for asker in askers] == [asker.question for asker in askers]
    one.close()
    two.close()
