"""Two workers' stacks in one process: what reaches the wrong one gets to the right one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from corten.core.arena import Memory
from corten.core.chance import Chance
from corten.core.counter import Counters
from corten.core.frame import ReceiveBatch
from corten.core.ring import ByteRing
from corten.driver.pipe import Pipe
from corten.endpoint.connection import Connection
from corten.endpoint.handler import Handler
from corten.ip.teaching import taught
from corten.stack.stack import Stack
from corten.wire.reason import counter_names
from corten.worker.breath import Breath
from corten.worker.exchange import WorkerExchange
from corten.worker.shared import SharedMemory

SECRET = bytes(range(32))
SERVER, CLIENT = "10.0.0.2", "10.0.0.1"
SERVER_MAC, CLIENT_MAC = "02:00:00:00:00:02", "02:00:00:00:00:01"
MS = 1_000_000


class Echo(Handler):
    def on_data(self, connection: Connection, data: bytes) -> None:
        connection.send(data)


class Caller(Handler):
    def __init__(self) -> None:
        self.got = b""
        self.is_open = False
        self.error: Exception | None = None

    def on_open(self, connection: Connection) -> None:
        self.is_open = True

    def on_data(self, connection: Connection, data: bytes) -> None:
        self.got += data

    def on_close(self, connection: Connection, error: Exception | None) -> None:
        self.error = error


class House:
    """Workers of one address, a client, and a wire that the test steers: `route` says which worker
    gets what the client sends."""

    def __init__(
        self, ring_len: int = 1 << 18, workers: int = 2, settings: dict[str, object] | None = None
    ) -> None:
        self.shared = SharedMemory(workers, 4096, ring_len)
        self.wakes = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(workers)]
        self.settings = settings or {}
        self.route = 0
        self.sent: list[bytes] = []
        self.now = 1_000 * MS
        self.wires = [Pipe() for _ in range(workers)]
        self.seen: list[list[bytes]] = [[] for _ in range(workers)]
        self.workers = [self.worker(i) for i in range(workers)]
        self.client_wire = Pipe(send=self.steer)
        self.client = Breath(Stack(Chance(9), bytes(32), now=self.now))
        interface = self.client.stack.add_interface(
            "c", CLIENT_MAC, [f"{CLIENT}/24"], neighbours={SERVER: SERVER_MAC}
        )
        self.client.add_wire(self.client_wire, interface)

    def worker(self, i: int) -> Breath:
        """Worker i, from the beginning."""
        counters = Counters(counter_names(), self.shared.counters(i))
        exchange = WorkerExchange(self.shared, i, self.wakes, counters)
        stack = Stack(Chance(i), SECRET, None, exchange, counters, now=self.now)
        interface = stack.add_interface("s", SERVER_MAC, [f"{SERVER}/24"], leader=i == 0)
        stack.listen(7, Echo, **self.settings)
        breath = Breath(stack, exchange)
        wire = Pipe(send=self.hear(i))
        breath.add_wire(wire, interface)
        self.wires[i] = wire
        return breath

    def steer(self, frame: bytes) -> None:
        self.sent.append(frame)
        self.wires[self.route].push(frame)

    def hear(self, i: int) -> Callable[[bytes], object]:
        """What worker i sends goes to the client, and into the record."""

        def pass_on(frame: bytes) -> None:
            self.seen[i].append(frame)
            self.client_wire.push(frame)

        return pass_on

    def turn(self, times: int = 6) -> None:
        """Everybody breathes, so often, a millisecond apart."""
        for _ in range(times):
            self.now += MS
            for breath in (self.client, *self.workers):
                breath.breathe(self.now)

    def counter(self, i: int, name: str) -> int:
        return self.workers[i].stack.counters.snapshot()[name]

    def close(self) -> None:
        for fd in self.wakes:
            os.close(fd)
        self.shared.close()


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    yield made
    made.close()


def connected(house: House, port: int = 7) -> tuple[Connection, Caller]:
    caller = Caller()
    connection = house.client.stack.connect(SERVER, port, lambda: caller)
    house.turn()
    return connection, caller


def test_a_segment_at_the_wrong_worker_reaches_its_owner(house: House) -> None:
    connection, caller = connected(house)
    assert caller.is_open
    house.route = 1
    connection.send(b"to the owner")
    house.turn()
    assert caller.got == b"to the owner"
    assert house.counter(1, "handed_over") >= 1
    assert house.counter(0, "handed_in") >= 1
    assert house.counter(1, "tcp_no_connection") == 0
    assert not any(is_tcp(frame) for frame in house.seen[1])


def test_a_super_segments_worth_goes_over_too(house: House) -> None:
    connection, caller = connected(house)
    house.route = 1
    data = bytes(range(256)) * 2000
    connection.send(data)
    house.turn(60)
    assert caller.got == data


def test_a_connection_is_closed_from_the_wrong_side(house: House) -> None:
    connection, caller = connected(house)
    house.route = 1
    connection.close()
    house.turn()
    house.route = 0
    house.turn()
    assert caller.error is None
    assert house.workers[0].stack.connections() == []


def test_what_nobody_owns_is_refused_by_whom_it_reached(house: House) -> None:
    _, caller = connected(house, port=99)
    assert isinstance(caller.error, ConnectionRefusedError)
    house.route = 1
    _, caller = connected(house, port=99)
    assert isinstance(caller.error, ConnectionRefusedError)


def test_a_new_connection_stays_where_it_arrived(house: House) -> None:
    for route in (0, 1):
        house.route = route
        _, caller = connected(house)
        assert caller.is_open
        assert len(house.workers[route].stack.connections()) == 1


def test_a_closed_connection_is_looked_for_no_more(house: House) -> None:
    connection, _ = connected(house)
    connection.abort()
    house.turn()
    house.route = 1
    before = house.counter(1, "handed_over")
    stray = house.client.stack.connect(SERVER, 99, Caller)
    house.turn()
    assert stray is not None
    assert house.counter(1, "handed_over") == before


def test_a_dead_workers_successor_begins_without_flows(house: House) -> None:
    connection, caller = connected(house)
    house.workers[0] = house.worker(0)  # the old one is gone without a word
    exchange = house.workers[0].exchange
    assert exchange is not None
    exchange.clear()
    house.route = 1
    connection.send(b"anybody?")
    house.turn()
    assert isinstance(caller.error, ConnectionResetError)


def test_arp_news_reach_the_other_worker(house: House) -> None:
    house.wires[0].push(arp_request())
    house.turn(2)
    house.workers[1].stack.connect(CLIENT, 9, Caller)
    house.turn(1)
    kinds = [frame[12:14] for frame in house.seen[1]]
    assert kinds == [b"\x08\x00"], "worker 1 knows the address: it need not ask"
    replies = [f for seen in house.seen for f in seen if f[12:14] == b"\x08\x06" and f[21] == 2]
    assert len(replies) == 1, "one answer, from whom the request reached"


def test_a_full_ring_drops_and_counts() -> None:
    house = House(ring_len=4096)
    connection, caller = connected(house)
    house.route = 1
    connection.send(bytes(14000))
    house.client.breathe(house.now)
    house.workers[1].breathe(house.now)
    assert house.counter(1, "hand_over_full") > 0
    assert house.counter(1, "tcp_no_connection") == 0
    house.route = 0
    house.turn(400)
    assert len(caller.got) == 14000
    house.close()


def test_the_target_is_woken_once_a_breath(house: House) -> None:
    connection, _ = connected(house)
    house.route = 1
    for fd in house.wakes:
        with suppress(BlockingIOError):
            os.eventfd_read(fd)
    connection.send(b"x" * 5000)
    house.client.breathe(house.now)
    house.workers[1].breathe(house.now)
    assert os.eventfd_read(house.wakes[0]) == 1
    with pytest.raises(BlockingIOError):
        os.eventfd_read(house.wakes[1])


def test_what_a_ring_says_of_an_interface_is_checked(house: House) -> None:
    """So is what is still on its way when a link is removed."""
    house.turn()
    before = house.counter(1, "handed_in")
    ByteRing(house.shared.ring(0, 1)).put(99 << 8, 1, Memory(bytes(60)), 0, 60)
    house.turn(1)
    assert house.counter(1, "handed_in") == before
    assert house.counter(1, "hand_over_stale") == 1


def test_the_share_is_of_frames_from_the_wire(house: House) -> None:
    """However often a frame is passed on, it is counted once, where it came in."""
    connection, caller = connected(house)
    received = [house.counter(i, "frames_in") for i in range(2)]
    given = house.counter(1, "handed_over")
    house.route = 1
    for _ in range(10):
        connection.send(b"abc")
        house.turn()
    assert len(caller.got) == 30
    arrived = house.counter(1, "frames_in") - received[1]
    assert house.counter(1, "handed_over") - given == arrived > 0
    assert house.counter(0, "frames_in") == received[0]
    assert house.counter(0, "handed_in") >= arrived
    # what a filter let through by mistake goes on to nobody, and is no frame of worker 0's wire
    worker = house.workers[0]
    worker.stack.receive(house.now, worker.wires[0].interface, batch_of(b"x"), 2)
    assert house.counter(0, "handed_over") == 0
    assert house.counter(0, "frames_in") == received[0]


def batch_of(frame: bytes) -> ReceiveBatch:
    batch = ReceiveBatch()
    assert batch.append(frame)
    return batch


# -- a worker that is about to be restarted ---------------------------------------------------


def leave(house: House, i: int) -> None:
    exchange = house.workers[i].exchange
    assert exchange is not None
    exchange.is_leaving = True


def test_who_leaves_gives_new_connections_to_the_others(house: House) -> None:
    mine, first = connected(house)
    leave(house, 0)
    for _ in range(5):
        _, caller = connected(house)
        assert caller.is_open
    assert [len(worker.stack.connections()) for worker in house.workers] == [1, 5]
    mine.send(b"as before")
    house.turn()
    assert first.got == b"as before"
    assert house.counter(0, "tcp_no_connection") == 0


def test_who_leaves_still_says_that_nobody_listens(house: House) -> None:
    leave(house, 0)
    _, caller = connected(house, port=99)
    assert isinstance(caller.error, ConnectionRefusedError)


def test_when_all_leave_a_syn_finds_the_successor(house: House) -> None:
    """Nobody refuses it; when it comes again somebody is there."""
    leave(house, 0)
    leave(house, 1)
    _, caller = connected(house)
    assert not caller.is_open and caller.error is None
    assert house.counter(0, "worker_leaving") + house.counter(1, "worker_leaving") >= 1
    house.workers[0] = house.worker(0)
    house.turn(1500)
    assert caller.is_open


def test_a_successor_is_taught_by_a_fellow(house: House) -> None:
    house.wires[1].push(arp_request())
    house.turn(2)
    house.workers[0] = house.worker(0)
    exchange = house.workers[1].exchange
    assert exchange is not None
    for message in taught(house.workers[1].wires[0].interface):
        exchange.teach(0, 0, message)
    exchange.end_breath()
    handed = house.counter(0, "handed_in")
    asked = house.counter(0, "arp_requests_out")
    house.route = 0
    _, caller = connected(house)
    assert caller.is_open
    assert house.counter(0, "arp_requests_out") == asked
    assert house.counter(0, "handed_in") == handed, "what is taught is no frame"


def test_too_many_workers_are_refused() -> None:
    shared = SharedMemory(65, 16, 256)
    with pytest.raises(ValueError, match="at most 64"):
        WorkerExchange(shared, 0, [], Counters(counter_names()))
    shared.close()


def is_tcp(frame: bytes) -> bool:
    return frame[12:14] == b"\x08\x00" and frame[23] == 6


def arp_request() -> bytes:
    """The client asks for the server's address."""
    sender = bytes.fromhex(CLIENT_MAC.replace(":", ""))
    return (
        b"\xff" * 6
        + sender
        + bytes.fromhex("08060001080006040001")
        + sender
        + bytes([10, 0, 0, 1])
        + bytes(6)
        + bytes([10, 0, 0, 2])
    )


def test_two_workers_never_open_the_same_sockets(house: House) -> None:
    opened = [
        {worker.stack.connect(CLIENT, 9, Handler).local[1] for _ in range(600)}
        for worker in house.workers
    ]
    assert [len(ports) for ports in opened] == [600, 600]
    assert not opened[0] & opened[1], "the replies of one would reach the other"
