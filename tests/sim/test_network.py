"""The network itself, with stacks that only push frames about."""

from __future__ import annotations

from typing import Any

import pytest

from corten.core.frame import ReceiveBatch, TransmitBatch
from corten.sim import Network, SimulationFailure, Weather, delay, drop, duplicate, flip, swap
from corten.sim.host import NEVER, Host
from corten.sim.link import Link

MS = 1_000_000


class Interface:
    def __init__(self, mac: str) -> None:
        self.mac = bytes.fromhex(mac.replace(":", ""))
        self.outgoing = TransmitBatch()


class Pusher:
    """Sends queued (time, payload) frames to everybody, and keeps what it gets."""

    def __init__(self) -> None:
        self.queue: list[tuple[int, bytes]] = []
        self.got: list[tuple[int, bytes]] = []
        self.bursts: list[int] = []
        self.interface: Any = None

    def add_interface(self, name: str, mac: str, addresses: list[str], **options: Any) -> Interface:
        self.interface = Interface(mac)
        return self.interface

    def receive(self, now: int, interface: Interface, batch: ReceiveBatch) -> None:
        self.bursts.append(batch.count)
        for i in range(batch.count):
            self.got.append((now, batch.frame(i)[14:]))

    def expire(self, now: int) -> None: ...
    def deliver(self, now: int) -> None: ...
    def release(self, now: int) -> None: ...

    def transmit(self, now: int) -> bool:
        while self.queue and self.queue[0][0] <= now:
            payload = self.queue.pop(0)[1]
            frame = b"\xff" * 6 + self.interface.mac + b"\x88\xb5" + payload
            self.interface.outgoing.append(frame)
        return False

    def next_deadline(self) -> int:
        return self.queue[0][0] if self.queue else NEVER

    def leaks(self) -> list[str]:
        return ["a frame"] if self.queue else []


def pushers(**link: Any) -> tuple[Network, Pusher, Pusher]:
    network = Network(seed=7)
    wire = network.link(**link)
    stacks = [Pusher(), Pusher()]
    for name, stack, address in zip("ab", stacks, ("10.0.0.1/24", "10.0.0.2/24"), strict=True):
        network.host(name, stack=stack).attach(wire, address)
    return network, stacks[0], stacks[1]


def push(count: int, gap_ns: int = MS, **link: Any) -> list[tuple[int, bytes]]:
    """What arrives of `count` numbered frames."""
    network, a, b = pushers(**link)
    a.queue = [(i * gap_ns, bytes([i]) * 86) for i in range(count)]
    network.hosts["a"].wake(0)
    network.run()
    return b.got


def numbers(got: list[tuple[int, bytes]]) -> list[int]:
    return [frame[0] for _, frame in got]


def test_delay() -> None:
    assert push(2, delay_ms=3) == [(3 * MS, b"\0" * 86), (4 * MS, b"\1" * 86)]


def test_rate_spaces_frames() -> None:
    # 100 octets at 1 Mbit/s take 0.8 ms
    times = [when for when, _ in push(3, gap_ns=0, delay_ms=0, rate=1_000_000)]
    assert times == [800_000, 1_600_000, 2_400_000]


def test_queue_is_bounded() -> None:
    assert numbers(push(9, gap_ns=0, rate=1_000_000, queue_len=350)) == [0, 1, 2]


def test_drop() -> None:
    assert numbers(push(5, faults=drop(1, 3))) == [0, 2, 4]


def test_duplicate() -> None:
    assert numbers(push(3, faults=duplicate(1))) == [0, 1, 1, 2]


def test_swap() -> None:
    assert numbers(push(4, faults=swap(1))) == [0, 2, 1, 3]


def test_swap_of_the_last() -> None:
    assert push(2, faults=swap(1))[-1] == (202 * MS + 1, b"\1" * 86)


def test_flip() -> None:
    got = push(2, faults=flip(1, 14 * 8 + 7))
    assert got[1][1] == b"\0" + b"\1" * 85


def test_late() -> None:
    assert numbers(push(3, faults=delay(0, 5 * MS))) == [1, 2, 0]


def test_weather_is_the_seeds() -> None:
    weather = Weather(loss=0.2, duplication=0.2, reordering=0.3, corruption=0.1)
    first = push(200, weather=weather)
    assert first == push(200, weather=weather)
    assert len(set(numbers(first))) < 190
    assert numbers(first) != sorted(numbers(first))


def test_weather_clears() -> None:
    assert numbers(push(9, weather=Weather(loss=1.0, until_ns=5 * MS))) == [5, 6, 7, 8]


def test_frames_of_one_instant_are_one_burst() -> None:
    network, a, b = pushers()
    a.queue = [(0, b"x" * 60)] * 5
    network.hosts["a"].wake(0)
    network.run()
    assert b.bursts == [5]


def test_quantum_gathers_bursts() -> None:
    network, a, b = pushers(delay_ms=0.1)
    network.hosts["b"].quantum_ns = 10 * MS
    a.queue = [(i * MS, b"x" * 60) for i in range(20)]
    network.hosts["a"].wake(0)
    network.run()
    assert b.bursts == [10, 10]


def test_large_bursts_are_divided() -> None:
    network, a, b = pushers()
    a.queue = [(0, b"x" * 60)] * 200
    network.hosts["a"].wake(0)
    network.run()
    assert b.bursts == [128, 72]


def test_link_down() -> None:
    network, a, b = pushers()
    network.links[0].is_up = False
    a.queue = [(0, b"x" * 60)]
    network.hosts["a"].wake(0)
    network.run()
    assert b.got == []
    assert network.links[0].lost == 1


def test_three_hosts_on_a_wire() -> None:
    network, a, _ = pushers()
    c = Pusher()
    network.host("c", stack=c).attach(network.links[0], "10.0.0.3/24")
    a.queue = [(0, b"x" * 60)]
    network.hosts["a"].wake(0)
    network.run()
    assert len(c.got) == 1


def test_failure_names_seed_and_packets() -> None:
    network, a, _ = pushers()
    a.queue = [(0, b"x" * 60)]
    network.hosts["a"].wake(0)
    with pytest.raises(SimulationFailure) as caught:
        network.run_until(lambda: False, within_ms=10)
    assert "Network(seed=7)" in str(caught.value)
    assert "#0" in str(caught.value)


def test_endless_events_fail() -> None:
    network, _, _ = pushers()

    def again(now: int) -> None:
        network.at(now + 1, again)

    network.at(0, again)
    with pytest.raises(SimulationFailure, match="100 events"):
        network.run(max_events=100)


def test_an_exception_in_a_stack_is_a_failure() -> None:
    network, _, b = pushers()

    def explode(now: int) -> None:
        raise KeyError("gone")

    b.expire = explode  # type: ignore[method-assign]
    network.hosts["b"].wake(5)
    with pytest.raises(SimulationFailure, match="KeyError"):
        network.run()


def test_after_and_leaks() -> None:
    network, a, b = pushers()
    network.after(5, lambda: a.queue.append((5 * MS, b"x" * 60)))
    assert network.leaks() == []
    network.run()
    assert b.got == [(6 * MS, b"x" * 60)]
    a.queue.append((10**15, b""))
    assert network.leaks() == ["a: a frame"]


def test_types() -> None:
    network, _, _ = pushers()
    assert isinstance(network.links[0], Link)
    assert isinstance(network.hosts["a"], Host)
