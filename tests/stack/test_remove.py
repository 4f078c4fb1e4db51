"""Links and addresses taken away while in use: what ends, who is told, and that nothing is left."""

from __future__ import annotations

import errno
from typing import Any

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.l2 import ARP, Ether

from corten.core.frame import ReceiveBatch
from corten.endpoint.datagram import DatagramHandler
from corten.endpoint.error import CortenError
from corten.endpoint.handler import Handler
from corten.endpoint.ping import PingHandler
from corten.sim.script import THERE, THERE_MAC, Trace
from corten.sim.script import pattern as octets
from tests.malformed import frames
from tests.stack.link import OURS, PEER, Link


def remove(t: Trace, why: str = "no longer wanted") -> None:
    """Both steps, as a worker takes them: what the first has to say leaves with its breath."""
    t.network.checker.is_on = False  # it does not expect a stack to give up a link
    stack, interface = t.host.stack, t.port.interface
    stack.leave(interface, why)
    t.breathe()
    stack.remove_interface(interface, why)
    interface.outgoing.clear()
    t.host.ports.clear()
    t.breathe()


def leaks(t: Trace) -> list[str]:
    return list(t.host.stack.leaks())


STATES = (
    "syn_received",
    "syn_sent",
    "established",
    "close_wait",
    "last_ack",
    "fin_wait_1",
    "fin_wait_2",
    "closing",
)


@pytest.mark.parametrize("state", STATES)
def test_in_every_state_the_connection_ends_and_the_peer_is_told(state: str) -> None:
    t = Trace(check=False)
    getattr(t, state)()
    remove(t)
    said = t.heard()
    assert [segment.flags & 4 != 0 for segment in said] == ([] if state == "syn_sent" else [True])
    if state != "syn_received":  # its handler is made when it is established
        error = t.app.error
        assert isinstance(error, OSError)
        assert error.errno == errno.ENODEV
        assert str(error).endswith("link stack0 was removed: no longer wanted")
    assert leaks(t) == []
    assert t.host.stack.next_deadline() > t.network.now + 10**12


def test_time_wait_goes_with_the_link() -> None:
    t = Trace(check=False).time_wait()
    remove(t)
    assert t.heard() == []
    assert leaks(t) == []


def test_data_in_flight_and_data_received_are_let_go() -> None:
    t = Trace(check=False).established()
    t.app.pause()
    t.send(0, "P.", seq=1, ack=1, data=octets(1, 1000))
    t.send(0, "P.", seq=2001, ack=1, data=octets(2001, 500))
    t.app.send(octets(1, 50_000))
    t.heard()
    remove(t)
    assert t.app.is_closed
    assert leaks(t) == []


def test_many_more_resets_than_a_batch_holds() -> None:
    t = Trace(check=False)
    for port in range(2000, 2400):
        t.use(port).stack_port = 80
        t.established()
    remove(t)
    assert len(t.heard()) == 400
    assert leaks(t) == []


def test_the_listener_stays_and_serves_what_is_added() -> None:
    t = Trace(check=False).established()
    remove(t)
    t.heard()
    known = {THERE: THERE_MAC}
    t.port = t.host.attach(t.link, f"{t.here}/24", "02:00:00:00:00:01", neighbours=known)
    assert t.port.interface.index == 1, "the number of a removed link is not used again soon"
    t.breathe()
    t.use(4000).stack_port = 80
    t.established()
    t.app.send(b"hello")
    t.expect(None, "P.", seq=1, ack=1, data=b"hello")
    t.finish()


def test_connections_over_other_links_go_on() -> None:
    t = Trace(check=False).established()
    other = t.network.link(delay_ms=0)
    port = t.host.attach(other, "10.7.0.1/24", "02:00:00:00:00:77")
    t.host.stack.leave(port.interface)
    t.breathe()
    t.host.ports.remove(port)
    t.host.stack.remove_interface(port.interface)
    t.app.send(b"still here")
    t.expect(None, "P.", seq=1, ack=1, data=b"still here")
    t.finish()


def test_a_removed_address_ends_its_connections_and_nobody_elses() -> None:
    t = Trace(check=False).established()
    stack = t.host.stack
    stack.add_address(t.port.interface, "10.0.0.99/24")
    t.breathe()
    stack.remove_address(t.port.interface, "10.0.0.99")
    t.breathe()
    t.advance(2)
    assert not t.app.is_closed
    stack.remove_address(t.port.interface, t.here, "asked for")
    t.breathe()
    t.advance(2)
    assert t.app.is_closed
    assert "address 10.0.0.1 given up: asked for" in str(t.app.error)
    assert leaks(t) == []


# -- what is no connection -------------------------------------------------------------------


def gone(link: Link) -> None:
    """The only link is removed; its stack goes on without."""
    link.stack.leave(link.interface, "unplugged")
    link.breath()
    link.stack.remove_interface(link.interface, "unplugged")
    link.interface.outgoing.clear()
    deliver(link)


def deliver(link: Link) -> None:
    for _ in range(2):
        link.now += 10**6
        link.stack.expire(link.now)
        link.stack.deliver(link.now)
        link.stack.release(link.now)
        assert not link.stack.transmit(link.now)


class Heard(DatagramHandler):
    def __init__(self) -> None:
        self.error: Any = None
        self.closed = False

    def on_close(self, endpoint: Any, error: Exception | None) -> None:
        self.error, self.closed = error, True


def test_endpoints_with_a_peer_end_and_others_stay() -> None:
    link = Link()
    fixed, free = Heard(), Heard()
    endpoint = link.stack.bind(0, fixed, peer=("10.0.0.1", 9))
    bound = link.stack.bind(5000, free)
    endpoint.send(b"x")
    link.breath()
    gone(link)
    assert fixed.closed and fixed.error.errno == errno.ENODEV
    assert not free.closed
    assert not bound.send(b"y", ("10.0.0.1", 9)), "there is no way any more"
    assert link.stack.leaks() == []
    assert link.stack.next_deadline() > link.now + 10**12


def test_what_waits_for_a_station_or_for_room_is_dropped() -> None:
    link = Link(resolve=True)
    endpoint = link.stack.bind(5000, Heard())
    closed: list[Any] = []

    class Caller(Handler):
        def on_close(self, connection: Any, error: Any) -> None:
            closed.append(error)

    link.stack.connect("10.0.0.1", 80, Caller)
    for _ in range(300):
        endpoint.send(b"z" * 100, ("10.0.0.7", 9))
    (*_, last) = link.breath()
    assert ARP in last
    gone(link)
    assert [error.errno for error in closed] == [errno.ENODEV]
    assert link.stack.leaks() == []
    assert link.count("neighbour_unreachable") > 0


def test_fragments_are_forgotten() -> None:
    link = Link()
    (first, *_) = fragment(IP(src="10.0.0.1", dst="10.0.0.2") / UDP() / (b"f" * 3000), 1000)
    link.breath(Ether(src=PEER, dst=OURS) / first)
    assert len(link.stack.fragments) == 1
    gone(link)
    assert link.stack.leaks() == []


def test_a_ping_hears_that_no_answer_will_come() -> None:
    link = Link()
    told: list[Any] = []

    class Pinger(PingHandler):
        def on_error(self, ping: Any, sequence: int, error: OSError) -> None:
            told.append((sequence, error.errno))

    ping = link.stack.ping("10.0.0.1", Pinger())
    ping.send(3, b"abc")
    (request,) = link.breath()
    assert ICMP in request
    gone(link)
    assert told == [(3, errno.ENODEV)]
    with pytest.raises(CortenError, match="closed"):
        ping.send(4, b"abc")


def test_nothing_is_taken_in_between() -> None:
    link = Link()
    link.stack.listen(80, Handler)
    link.stack.leave(link.interface, "unplugged")
    syn = Ether(src=PEER, dst=OURS) / IP(src="10.0.0.1", dst="10.0.0.2") / TCP(dport=80, flags="S")
    assert link.breath(syn) == []
    assert link.count("ipv4_not_ours") == 1
    gone(link)
    assert link.stack.leaks() == []


def test_ipv6_takes_leave_of_its_groups() -> None:
    link = Link(addresses=["10.0.0.2/24", "fd00::2/64"], slaac=True, shows_groups=True)
    link.breath(after=5 * 10**9)
    link.stack.leave(link.interface, "unplugged")
    said = link.breath() + link.breath(after=2 * 10**6)
    assert said, "a report says that nobody listens any more"
    assert not link.interface.addresses and link.interface.slaac is None
    gone(link)
    assert link.stack.leaks() == []


def test_a_frame_of_a_link_that_is_gone_harms_nothing() -> None:
    """A driver's last burst, after the link was removed."""
    link = Link()
    gone(link)
    batch = ReceiveBatch()
    batch.append(bytes(frames.tcp(4000, 80, 1, 0, 2)))
    link.stack.receive(link.now, link.interface, batch)
    deliver(link)
    assert link.stack.leaks() == []


def test_numbers_of_links_come_back_last() -> None:
    link = Link()
    stack = link.stack
    for turn in range(1, 600):
        made = stack.add_interface("more", "02:00:00:00:00:09", ["10.9.0.2/24"])
        assert made.index == (turn if turn < 255 else (turn - 255) % 254 + 1)
        stack.remove_interface(made)
    assert [each.index for each in stack.interfaces] == [0]


def test_too_many_links() -> None:
    link = Link()
    for i in range(254):
        link.stack.add_interface(f"t{i}", "02:00:00:00:00:09", [f"10.9.{i}.2/24"])
    with pytest.raises(CortenError, match="more than 255 links"):
        link.stack.add_interface("one", "02:00:00:00:00:09", ["10.10.0.2/24"])
