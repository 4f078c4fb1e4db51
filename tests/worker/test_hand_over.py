"""The hand-over matrix: whatever arrives at a worker that is not its owner has the effect that it
would have had at the owner, for every kind of packet; and what went over is what is counted."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from corten.endpoint.connection import Connection
from corten.endpoint.handler import Handler
from corten.endpoint.ping import PingHandler
from corten.ip.steering import Steering
from tests.udp.bench import Kept
from tests.worker.test_exchange import (
    CLIENT,
    CLIENT_MAC,
    SERVER,
    SERVER_MAC,
    Caller,
    House,
    connected,
    is_tcp,
)

OWNER, OTHER = 0, 1
FIN, SYN, RST, ACK = 1, 2, 4, 16


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    yield made
    made.close()


def flags_of(frame: bytes) -> int:
    return frame[47] & 0x3F


def server_side(house: House, worker: int = OWNER) -> Connection:
    (found,) = house.workers[worker].stack.connections()
    return found


def again(house: House, wanted: int, worker: int = OTHER) -> None:
    """The client's last segment with these flags once more, at another worker."""
    frame = [f for f in house.sent if is_tcp(f) and flags_of(f) & ~8 == wanted][-1]
    house.wires[worker].push(frame)


def handed(house: House) -> tuple[int, int]:
    workers = range(len(house.workers))
    return (
        sum(house.counter(i, "handed_out") for i in workers),
        sum(house.counter(i, "handed_in") for i in workers),
    )


def error_about(quoted: bytes, type: int, code: int, mtu: int = 0) -> bytes:
    """A router's ICMP error about a packet that a worker sent."""
    icmp = ICMP(type=type, code=code, nexthopmtu=mtu) if mtu else ICMP(type=type, code=code)
    frame = (
        Ether(dst=SERVER_MAC, src=CLIENT_MAC)
        / IP(src=CLIENT, dst=SERVER)
        / icmp
        / Raw(quoted[14 : 14 + 28])
    )
    return bytes(frame)


# -- TCP, by the owner's state ------------------------------------------------------------------


def test_a_syn_again_reaches_who_answered_the_first(house: House) -> None:
    connected(house)
    again(house, SYN)
    house.turn()
    assert len(house.workers[OWNER].stack.connections()) == 1
    assert house.workers[OTHER].stack.connections() == []
    assert house.counter(OTHER, "syns_in") == 0
    assert handed(house) == (1, 1)


def test_the_answer_to_a_workers_own_syn_reaches_it(house: House) -> None:
    house.client.stack.listen(9, Handler)
    caller = Caller()
    house.route = OTHER
    house.workers[OWNER].stack.connect(CLIENT, 9, lambda: caller)
    house.turn()
    assert caller.is_open
    assert handed(house)[0] >= 1


def test_a_reset_reaches_the_owner(house: House) -> None:
    connection, _ = connected(house)
    house.route = OTHER
    connection.abort()
    house.turn()
    assert house.workers[OWNER].stack.connections() == []


def test_what_is_for_time_wait_reaches_it(house: House) -> None:
    connected(house)
    server_side(house).close()
    house.turn()
    assert house.workers[OWNER].stack.host.time_wait_live == 1
    said = len(house.seen[OWNER])
    again(house, FIN | ACK)
    house.turn()
    assert flags_of(house.seen[OWNER][-1]) == ACK and len(house.seen[OWNER]) == said + 1
    assert house.counter(OTHER, "resets_out") == 0


def test_a_syn_that_reopens_time_wait_begins_at_its_owner(house: House) -> None:
    connection, _ = connected(house)
    port = connection.local[1]
    server_side(house).close()
    house.turn()
    house.now += 2_000_000_000
    house.route = OTHER
    caller = Caller()
    house.client.stack.connect(SERVER, 7, lambda: caller, source=(None, port))
    house.turn()
    assert caller.is_open
    assert len(house.workers[OWNER].stack.connections()) == 1
    assert house.workers[OWNER].stack.host.time_wait_live == 0


def test_any_worker_judges_a_cookie() -> None:
    house = House(settings={"syn_cookies": "always"})
    caller = Caller()
    connection = house.client.stack.connect(SERVER, 7, lambda: caller)
    house.client.breathe(house.now)
    house.workers[OWNER].breathe(house.now)
    house.route = OTHER  # the acknowledgement takes another queue
    house.turn()
    assert caller.is_open
    assert server_side(house, OTHER).info()["state"] == "ESTABLISHED"
    house.route = OWNER
    connection.send(b"and what follows is handed over")
    house.turn()
    assert caller.got == b"and what follows is handed over"
    house.close()


# -- ICMP errors: judged by the owner ------------------------------------------------------------


def in_flight(house: House) -> bytes:
    """A segment of the owner's that nobody has acknowledged."""
    connected(house)
    server_side(house).send(bytes(1400))
    house.workers[OWNER].breathe(house.now)
    return house.seen[OWNER][-1]


def test_a_path_mtu_reaches_the_owner(house: House) -> None:
    house.wires[OTHER].push(error_about(in_flight(house), 3, 4, 1000))
    house.workers[OTHER].breathe(house.now)
    house.workers[OWNER].breathe(house.now)
    assert house.counter(OWNER, "path_mtu_lowered") == 1
    assert house.counter(OTHER, "handed_over") == 1


def test_an_error_about_what_is_not_in_flight_is_the_owners_to_refuse(house: House) -> None:
    frame = bytearray(in_flight(house))
    frame[38] ^= 0x40  # another sequence number
    house.wires[OTHER].push(error_about(bytes(frame), 3, 4, 1000))
    house.workers[OTHER].breathe(house.now)
    house.workers[OWNER].breathe(house.now)
    assert house.counter(OWNER, "path_mtu_lowered") == 0
    assert house.counter(OTHER, "handed_over") == 1


def test_an_error_about_nobodys_is_refused_where_it_arrives(house: House) -> None:
    frame = bytearray(in_flight(house))
    frame[34:36] = b"\x12\x34"  # another port of ours
    house.wires[OTHER].push(error_about(bytes(frame), 3, 4, 1000))
    house.turn()
    assert house.counter(OTHER, "icmp_bad_quote") == 1
    assert handed(house) == (0, 0)


def test_an_echo_reply_reaches_who_asked(house: House) -> None:
    class Asker(PingHandler):
        replies = 0

        def on_reply(self, *arguments: object) -> None:
            self.replies += 1

    asker = Asker()
    house.route = OTHER
    house.workers[OWNER].stack.ping(CLIENT, asker).send(1, b"are you there")
    house.turn()
    assert asker.replies == 1
    assert handed(house)[0] == 1


# -- a filter that is wrong ----------------------------------------------------------------------


def deceive(house: House, worker: int) -> None:
    """Let a worker's filter say yes to everything."""
    view = house.shared.presence(worker)
    view[:] = b"\x01" * len(view)


def test_a_connection_begins_where_it_arrived_though_a_filter_is_wrong() -> None:
    house = House(workers=3)
    deceive(house, 0)
    deceive(house, 2)
    house.route = 1
    connection, caller = connected(house)
    assert caller.is_open
    assert [len(worker.stack.connections()) for worker in house.workers] == [0, 1, 0]
    assert handed(house) == (3, 3), "to both, and back"
    connection.send(bytes(20000))
    house.turn(20)
    assert len(caller.got) == 20000
    assert handed(house) == (3, 3), "what follows is at home"
    house.close()


def test_a_cookies_connection_too() -> None:
    house = House(settings={"syn_cookies": "always"})
    deceive(house, 0)
    house.route = 1
    _, caller = connected(house)
    assert caller.is_open
    assert [len(worker.stack.connections()) for worker in house.workers] == [0, 1]
    house.close()


def test_what_nobody_listens_for_is_refused_once(house: House) -> None:
    deceive(house, 0)
    house.route = 1
    _, caller = connected(house, port=99)
    assert isinstance(caller.error, ConnectionRefusedError)
    resets = [f for seen in house.seen for f in seen if is_tcp(f) and flags_of(f) & RST]
    assert len(resets) == 1


# -- a wire that changes its mind ----------------------------------------------------------------


class Turning(House):
    """Every few frames the client's packets take another queue: the set of queues changes under
    load, over and over."""

    def steer(self, frame: bytes) -> None:
        if len(self.sent) % 5 == 0:
            self.route = (self.route + 1) % len(self.workers)
        super().steer(frame)


@pytest.mark.parametrize("workers", [2, 5])
def test_connections_outlive_a_wire_that_changes_under_load(workers: int) -> None:
    house = Turning(workers=workers)
    data = bytes(range(256)) * 400
    callers = [Caller() for _ in range(12)]
    for caller in callers:
        connection = house.client.stack.connect(SERVER, 7, lambda caller=caller: caller)
        house.turn()
        connection.send(data)
    house.turn(400)
    assert all(caller.got == data and caller.error is None for caller in callers)
    lives = [len(worker.stack.connections()) for worker in house.workers]
    assert sum(lives) == 12 and min(lives) > 0
    out, into = handed(house)
    assert out == into > 0
    assert sum(house.counter(i, "resets_out") for i in range(workers)) == 0
    house.close()


# -- what is counted -----------------------------------------------------------------------------


def test_a_frame_is_counted_where_it_arrived_and_when_it_is_handed_over(house: House) -> None:
    connection, _ = connected(house)
    frames = [house.counter(i, "frames_in") for i in (0, 1)]
    house.route = OTHER
    before = len(house.sent)
    connection.send(b"three segments or so" * 200)
    house.turn(10)
    arrived = len(house.sent) - before
    assert house.counter(OTHER, "frames_in") == frames[1] + arrived
    assert house.counter(OWNER, "frames_in") == frames[0]
    assert handed(house) == (arrived, arrived)


def test_what_a_full_ring_loses_is_not_counted_as_handed_over() -> None:
    house = House(ring_len=4096)
    connection, _ = connected(house)
    house.route = OTHER
    connection.send(bytes(14000))
    house.client.breathe(house.now)
    house.workers[OTHER].breathe(house.now)
    lost, over = house.counter(OTHER, "hand_over_full"), house.counter(OTHER, "handed_over")
    assert lost > 0
    assert house.counter(OTHER, "handed_out") == over - lost
    house.close()


def test_news_are_no_frames_of_anybodys(house: House) -> None:
    endpoint = house.client.stack.bind(0, Kept())
    endpoint.send(b"?", ("10.0.0.77", 9))  # an ARP request: all are told who asks
    house.turn()
    assert any(frame[12:14] == b"\x08\x06" for frame in house.sent)
    assert handed(house) == (0, 0)


# -- fragments, where the wire makes them meet ----------------------------------------------------


@pytest.mark.parametrize("gathers", [False, True])
def test_fragments_that_the_wire_gathers_stay(gathers: bool) -> None:
    house = House()
    kept = [Kept(echo=True), Kept(echo=True)]
    for worker, handler in zip(house.workers, kept, strict=True):
        worker.stack.interfaces[0].steering = Steering(0, gathers)
        worker.stack.bind(7, handler)
    endpoint = house.client.stack.bind(0, Kept())
    for route in (0, 1):
        house.route = route
        for _ in range(4):
            endpoint.send(bytes(5000), (SERVER, 7))
            house.turn(8)
    assert sum(len(handler.got) for handler in kept) == 8
    assert (handed(house)[0] == 0) == gathers
    house.close()
