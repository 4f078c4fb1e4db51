"""ICMP errors about a connection: what is believed, and what follows (RFC 5461, RFC 5927)."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from corten.sim.script import HERE, HERE_MAC, THERE_MAC, Trace, pattern
from tests.tcp.test_segment_arrives import count

ROUTER = "10.0.0.254"


def error(t: Trace, type: int = 3, code: int = 1, seq: int = 0, **fields: object) -> None:
    """An ICMP error that quotes a segment of the current flow."""
    quote = IP(src=HERE, dst="10.0.0.2", len=int(str(fields.get("length", 1500)))) / TCP(
        sport=t.flow.stack_port, dport=t.flow.port, seq=((t.flow.iss or 0) + seq) % (1 << 32)
    )
    cut = bytes(quote)[: int(str(fields.get("cut", 28)))]
    head: Packet = Ether(src=THERE_MAC, dst=HERE_MAC) / IP(src=ROUTER, dst=HERE)
    t.inject(bytes(head / ICMP(type=type, code=code, nexthopmtu=fields.get("mtu", 0)) / cut))


@pytest.mark.requirement("RFC 9293 MUST-56", "RFC 9293 SHLD-25")
@pytest.mark.parametrize(("type", "code"), [(3, 0), (3, 1), (3, 5), (11, 0), (12, 0)])
def test_a_soft_error_ends_nothing(type: int, code: int) -> None:
    t = Trace(check=False).syn_sent()
    error(t, type, code)
    assert t.app.events == [] and count(t, "icmp_errors_in") == 1
    t.finish()


@pytest.mark.parametrize("code", [2, 3, 13])
def test_once_established_nothing_is_hard(code: int) -> None:
    t = Trace(check=False).established()
    t.app.send(b"x")
    t.expect(0, ".", data=1)
    error(t, code=code, seq=1)
    assert t.app.events == ["open"] and count(t, "icmp_errors_in") == 1
    t.finish()


@pytest.mark.requirement("RFC 9293 MUST-54")
@pytest.mark.parametrize("seq", [0, 2, 5000, -1])
def test_a_quote_outside_what_is_outstanding_is_a_guess(seq: int) -> None:
    t = Trace(check=False).established()
    t.app.send(b"x")
    t.expect(0, ".", data=1)
    error(t, code=3, seq=seq)
    assert count(t, "icmp_errors_in") == 0 and count(t, "icmp_bad_quote") == 1
    t.finish()


def test_quotes_that_lead_nowhere() -> None:
    t = Trace(check=False).syn_sent()
    for cut in (0, 19, 27):
        error(t, code=3, cut=cut)
    port, t.flow.port = t.flow.port, 9
    error(t, code=3)
    t.flow.port = port
    assert count(t, "icmp_bad_quote") == 4 and t.app.events == []
    t.finish()


@pytest.mark.requirement("RFC 9293 MUST-55")
def test_source_quench_asks_for_nothing() -> None:
    t = Trace(check=False).syn_sent()
    error(t, type=4, code=0)
    assert count(t, "icmp_unknown_type") == 1 and count(t, "icmp_errors_in") == 0
    t.finish()


@pytest.mark.requirement("RFC 1191 6.3", "RFC 1191 6.4")
def test_fragmentation_needed_makes_segments_smaller() -> None:
    t = Trace(check=False).established()
    t.app.send(pattern(1, 2000))
    t.expect(0, ".", seq=1, data=1460)
    t.expect(0, "P.", data=540)
    error(t, code=4, seq=1, mtu=1000)
    t.expect(0, ".", seq=1, data=960)
    t.expect(0, ".", seq=961, data=960)
    t.expect(0, "P.", seq=1921, data=80)
    assert t.app.connection.info()["mss"] == 960
    assert count(t, "retransmission_timeouts") == 0
    error(t, code=4, seq=1, mtu=1200)  # never larger again
    error(t, code=4, seq=1, mtu=100)  # nor absurdly small
    assert t.app.connection.info()["mss"] == 960
    t.send(0, ".", seq=1, ack=2001)
    # a new connection on the same path knows it already, until it is time to try again
    t.use(41_000).stack_port = 80
    t.established(ts=True)
    assert t.app.connection.info()["mss"] == 948
    t.advance(601_000)
    t.use(42_000)
    t.established()
    assert t.app.connection.info()["mss"] == 1460
    t.finish()


def test_fragmentation_needed_about_a_syn() -> None:
    t = Trace(check=False).syn_sent()
    error(t, code=4, mtu=1000, length=1500)
    t.send(0, "S.", seq=0, ack=1, mss=1460)
    t.expect(0, ".", seq=1, ack=1)
    assert t.app.connection.info()["mss"] == 960
    t.finish()
