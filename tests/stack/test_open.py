"""OPEN: which local address and port, and that one OPEN disturbs no other (RFC 9293 3.9.1.1)."""

from __future__ import annotations

from typing import Any

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from corten.endpoint.error import CortenError
from corten.endpoint.handler import Handler
from tests.stack.link import OURS, PEER, Link

TWO = ["10.0.0.2/24", "10.0.0.3/24", "10.9.0.2/16"]
NEIGHBOURS = {"10.0.0.1": PEER, "10.9.0.1": PEER}


class Told(Handler):
    """Remembers how it went."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def on_open(self, connection: Any) -> None:
        self.events.append("open")

    def on_close(self, connection: Any, error: Exception | None) -> None:
        self.events.append(f"close {error!r}")


def segment(flags: str, sport: int, dport: int, seq: int, ack: int = 0,
            dst: str = "10.0.0.2", src: str = "10.0.0.1") -> Packet:  # fmt: skip
    ip = IP(src=src, dst=dst)
    return (
        Ether(src=PEER, dst=OURS)
        / ip
        / TCP(sport=sport, dport=dport, flags=flags, seq=seq, ack=ack, window=8000)
    )


def established(link: Link, port: int, local: int = 80) -> tuple[Packet, Told]:
    """A passive open, complete; the SYN-ACK and the handler."""
    told = Told()
    link.stack.listen(local, lambda: told)
    (answer,) = link.breath(segment("S", port, local, 100))
    link.breath(segment("A", port, local, 101, answer[TCP].seq + 1))
    assert told.events == ["open"]
    return answer, told


def end(link: Link) -> None:
    for connection in link.stack.connections():
        connection.abort()
    link.breath(after=400 * 10**9)
    assert link.stack.leaks() == []


@pytest.mark.requirement("MUST-41")
def test_a_passive_open_disturbs_no_connection() -> None:
    link = Link()
    answer, told = established(link, 4000)
    link.stack.listen(81, Told)
    with pytest.raises(CortenError, match="in use"):
        link.stack.listen(80, Told)
    link.stack.listen(82, Told, address="10.0.0.2")
    (connection,) = link.stack.connections()
    sent = connection.info()["snd_nxt"]
    connection.send(b"still here")
    (data,) = link.breath()
    assert bytes(data[TCP].payload) == b"still here"
    assert data[TCP].seq == sent == answer[TCP].seq + 1
    assert told.events == ["open"]
    end(link)


@pytest.mark.requirement("MUST-42")
def test_listen_on_a_port_that_is_being_opened_from() -> None:
    """A connection in SYN-SENT, and one in SYN-RECEIVED, with the listener's port."""
    link = Link()
    opening = Told()
    link.stack.connect("10.0.0.1", 9000, lambda: opening, source=(None, 7777))
    (syn,) = link.breath()
    assert syn[TCP].sport == 7777
    first = Told()
    listener = link.stack.listen(7777, lambda: first)
    (half,) = link.breath(segment("S", 5000, 7777, 50))
    assert half[TCP].flags == "SA"
    listener.close()
    second = Told()
    link.stack.listen(7777, lambda: second)
    (whole,) = link.breath(segment("S", 5001, 7777, 60))
    link.breath(segment("A", 5001, 7777, 61, whole[TCP].seq + 1))
    assert second.events == ["open"]
    link.breath(segment("SA", 9000, 7777, 900, syn[TCP].seq + 1))
    assert opening.events == ["open"]
    end(link)


@pytest.mark.requirement("MUST-43")
def test_the_local_address_can_be_said() -> None:
    link = Link(addresses=TWO, neighbours=NEIGHBOURS)
    link.stack.connect("10.0.0.1", 9000, Told, source=("10.0.0.3", None))
    (syn,) = link.breath()
    assert syn[IP].src == "10.0.0.3"
    with pytest.raises(CortenError, match="not an address of this stack"):
        link.stack.connect("10.0.0.1", 9000, Told, source=("10.0.0.9", None))
    told = Told()
    link.stack.listen(80, lambda: told, address="10.0.0.3")
    assert link.breath(segment("S", 4000, 80, 1))[0][TCP].flags == "RA"  # to 10.0.0.2
    assert link.breath(segment("S", 4000, 80, 1, dst="10.0.0.3"))[0][TCP].flags == "SA"
    end(link)


@pytest.mark.requirement("MUST-44")
@pytest.mark.parametrize(("remote", "local"), [("10.0.0.1", "10.0.0.2"), ("10.9.0.1", "10.9.0.2")])
def test_without_one_ip_is_asked(remote: str, local: str) -> None:
    link = Link(addresses=TWO, neighbours=NEIGHBOURS)
    link.stack.connect(remote, 9000, Told)
    (syn,) = link.breath()
    assert (syn[IP].src, syn[IP].dst) == (local, remote)
    end(link)


@pytest.mark.requirement("MUST-45")
def test_a_passive_open_keeps_the_address_it_was_called_by() -> None:
    link = Link(addresses=TWO, neighbours=NEIGHBOURS)
    told = Told()
    link.stack.listen(80, lambda: told)
    (answer,) = link.breath(segment("S", 4000, 80, 1, dst="10.0.0.3"))
    assert answer[IP].src == "10.0.0.3"
    link.breath(segment("A", 4000, 80, 2, answer[TCP].seq + 1, dst="10.0.0.3"))
    (connection,) = link.stack.connections()
    connection.send(b"from where you called")
    (data,) = link.breath()
    assert data[IP].src == "10.0.0.3"
    connection.close()
    (fin,) = link.breath()
    assert fin[IP].src == "10.0.0.3" and "F" in str(fin[TCP].flags)
    end(link)
