"""Time to live and DSCP are settable for TCP: by connection, listener and stack."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether

from corten.endpoint.error import CortenError
from corten.endpoint.handler import Handler
from tests.stack.link import OURS, PEER, Link

THERE, HERE = "10.0.0.1", "10.0.0.2"


def checked(frame: Ether) -> IP:
    """The IP header, its checksum right."""
    ip = IP(bytes(frame[IP]))
    good = ip.chksum
    del ip.chksum
    assert IP(bytes(ip)).chksum == good
    return ip


@pytest.mark.requirement("MUST-48", "MUST-49", "SHLD-22")
def test_of_a_connection() -> None:
    link = Link()
    link.stack.connect(THERE, 80, Handler, ttl=7, dscp=46)
    link.stack.connect(THERE, 80, Handler)
    first, second = (checked(frame) for frame in link.breath())
    assert (first.ttl, first.tos) == (7, 46 << 2)
    assert (second.ttl, second.tos) == (64, 0)


@pytest.mark.requirement("MUST-48", "MUST-49")
def test_of_a_listener() -> None:
    link = Link()
    link.stack.listen(80, Handler, ttl=255, dscp=8)
    syn = Ether(src=PEER, dst=OURS) / IP(src=THERE, dst=HERE) / TCP(sport=5, dport=80, flags="S")
    (answer,) = link.breath(syn)
    ip = checked(answer)
    assert (ip.ttl, ip.tos, str(ip[TCP].flags)) == (255, 8 << 2, "SA")


@pytest.mark.requirement("MUST-48", "MUST-49")
def test_over_ipv6() -> None:
    link = Link(addresses=["2001:db8::2/64"], neighbours={"2001:db8::1": PEER})
    link.stack.connect("2001:db8::1", 80, Handler, ttl=7, dscp=46)
    (frame,) = link.breath()
    assert (frame[IPv6].hlim, frame[IPv6].tc) == (7, 46 << 2)


def test_values_that_cannot_be() -> None:
    link = Link()
    for wrong in ({"ttl": 0}, {"ttl": 256}, {"dscp": 64}, {"dscp": -1}):
        with pytest.raises(CortenError):
            link.stack.connect(THERE, 80, Handler, **wrong)
