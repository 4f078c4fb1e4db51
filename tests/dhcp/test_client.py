"""The DHCP client against a server of a few lines, under virtual time (RFC 2131)."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from corten.core.chance import Chance
from corten.dhcp.client import (
    BOUND,
    INIT,
    REBINDING,
    RENEWING,
    REQUESTING,
    SELECTING,
    STOPPED,
    DhcpClient,
)
from corten.dhcp.lease import Lease
from corten.wire.dhcp import (
    ACK,
    CLASSLESS_ROUTES,
    DECLINE,
    DISCOVER,
    INTERFACE_MTU,
    LEASE_TIME,
    MESSAGE_TYPE,
    NAK,
    NAME_SERVERS,
    OFFER,
    RELEASE,
    REPLY_OP,
    REQUEST,
    REQUESTED_ADDRESS,
    ROUTER,
    SERVER_ID,
    SUBNET_MASK,
    T1,
    T2,
    DhcpMessage,
    emit_dhcp,
    parse_dhcp,
)
from tests.dns.loop import FakeLoop

MAC = 0x0200_0000_0001
SERVER, OFFERED = 0x0A00_0001, 0x0A00_0032


def four(number: int) -> bytes:
    return number.to_bytes(4, "big")


class Case:
    """A client, and a server that answers `answers` times (None: always)."""

    def __init__(self, answers: int | None = None, seconds: int = 3600, **changes: Any) -> None:
        self.loop = FakeLoop()
        self.answers, self.seconds = answers, seconds
        self.options: dict[int, bytes] = {
            SUBNET_MASK: four(0xFFFF_FF00),
            ROUTER: four(SERVER),
            NAME_SERVERS: four(SERVER) + four(0x0808_0808),
        }
        self.kinds = {DISCOVER: OFFER, REQUEST: ACK}
        self.sent: list[tuple[float, DhcpMessage, str | None]] = []
        self.leases: list[Lease] = []
        self.lost: list[Lease] = []
        self.client = DhcpClient(
            self.loop,
            Chance(3),
            MAC,
            self.transmit,
            self.leases.append,
            self.lost.append,
            **changes,
        )

    def transmit(self, octets: bytes, server: str | None) -> None:
        message = parse_dhcp(octets)
        self.sent.append((self.loop.now, message, server))
        kind = self.kinds.get(message.kind)
        if kind is None or self.answers == 0:
            return
        if self.answers is not None:
            self.answers -= 1
        self.loop.call_later(0.01, self.client.receive, self.reply(message, kind))

    def reply(self, asked: DhcpMessage, kind: int, **changes: Any) -> bytes:
        address = changes.get("yiaddr", asked.ciaddr or OFFERED)
        reply = DhcpMessage(REPLY_OP, asked.xid, MAC, yiaddr=address)
        reply.options = {
            MESSAGE_TYPE: bytes([kind]),
            SERVER_ID: four(SERVER),
            LEASE_TIME: four(self.seconds),
            **self.options,
        }
        return emit_dhcp(reply)

    def until(self, instant: float) -> Case:
        self.loop.run(instant)
        self.loop.now = instant
        return self

    def asked(self) -> list[int]:
        return [message.kind for _, message, _ in self.sent]

    def bound(self) -> Case:
        self.client.start()
        self.until(2.0)
        assert self.client.state == BOUND
        return self


@pytest.mark.requirement("RFC 2131 3.1")
def test_discover_offer_request_ack() -> None:
    case = Case().bound()
    assert case.asked() == [DISCOVER, REQUEST]
    (_, discover, _), (_, request, to) = case.sent
    assert discover.broadcast
    assert to is None
    assert request.xid == discover.xid
    assert request.address(SERVER_ID) == SERVER
    assert request.address(REQUESTED_ADDRESS) == OFFERED
    assert request.ciaddr == 0
    lease = case.leases[0]
    assert lease.network == "10.0.0.50/24"
    assert lease.gateway == "10.0.0.1"
    assert lease.name_servers == ("10.0.0.1", "8.8.8.8")
    assert (lease.renew_s, lease.rebind_s, lease.expires_s) == (1800, 3150, 3600)


@pytest.mark.requirement("RFC 2131 4.1")
def test_silence_backs_off() -> None:
    case = Case(answers=0)
    case.client.start()
    case.until(200.0)
    times = [at for at, _, _ in case.sent]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    for gap, middle in zip(gaps, (4, 8, 16, 32, 64), strict=False):
        assert middle - 1 <= gap <= middle + 1
    assert case.client.state == SELECTING


def test_an_offer_without_an_ack_begins_again() -> None:
    case = Case()
    case.kinds = {DISCOVER: OFFER}
    case.client.start()
    case.until(70.0)
    assert case.asked()[:6] == [DISCOVER, REQUEST, REQUEST, REQUEST, REQUEST, DISCOVER]
    assert not case.leases


@pytest.mark.requirement("RFC 2131 4.4.5")
def test_renews_by_unicast_at_t1() -> None:
    case = Case().bound()
    case.until(1900.0)
    at, message, to = case.sent[2]
    assert (message.kind, message.ciaddr, to) == (REQUEST, OFFERED, "10.0.0.1")
    assert not message.options.keys() & {SERVER_ID, REQUESTED_ADDRESS}
    assert 1800 <= at <= 1803
    assert case.client.state == BOUND
    assert not case.lost
    assert len(case.leases) == 2


@pytest.mark.requirement("RFC 2131 4.4.5")
def test_rebinds_and_expires_when_nobody_answers() -> None:
    case = Case(answers=2).bound()
    case.until(3000.0)
    assert case.client.state == RENEWING
    assert {to for _, _, to in case.sent[2:]} == {"10.0.0.1"}
    case.until(3500.0)
    assert case.client.state == REBINDING
    assert case.sent[-1][2] is None
    gaps = [b[0] - a[0] for a, b in itertools.pairwise(case.sent[2:])]
    assert min(gaps) >= 1
    assert not case.lost
    case.until(3700.0)
    assert [lease.address for lease in case.lost] == ["10.0.0.50"]
    assert case.client.state == SELECTING
    assert case.sent[-1][1].kind == DISCOVER


def test_rebinding_takes_an_answer_from_anybody() -> None:
    case = Case(answers=2).bound()
    case.until(3400.0)
    case.answers = None
    case.until(3590.0)
    assert case.client.state == BOUND
    assert not case.lost


@pytest.mark.requirement("RFC 2131 3.1.5")
def test_nak_begins_again() -> None:
    case = Case().bound()
    case.kinds[REQUEST] = NAK
    case.until(1810.0)
    assert [lease.address for lease in case.lost] == ["10.0.0.50"]
    asked = case.asked()
    assert asked[2:4] == [REQUEST, DISCOVER]


def test_a_flood_of_naks_costs_little() -> None:
    case = Case()
    case.kinds[REQUEST] = NAK
    case.client.start()
    case.until(600.0)
    assert len(case.sent) < 40


def test_renewal_with_another_address_loses_the_first() -> None:
    case = Case().bound()
    case.kinds = {}
    case.until(1801.0)
    renewal = case.sent[-1][1]
    case.client.receive(case.reply(renewal, ACK, yiaddr=OFFERED + 1))
    assert [lease.address for lease in case.lost] == ["10.0.0.50"]
    assert case.leases[-1].address == "10.0.0.51"


@pytest.mark.requirement("RFC 2131 3.1.5")
def test_a_conflict_is_declined() -> None:
    case = Case().bound()
    case.client.conflict()
    assert case.sent[-1][1].kind == DECLINE
    assert case.sent[-1][1].address(REQUESTED_ADDRESS) == OFFERED
    assert len(case.lost) == 1
    declined_at = case.loop.now
    case.until(30.0)
    assert case.sent[3][1].kind == DISCOVER
    assert case.sent[3][0] >= declined_at + 10


def test_stop_releases() -> None:
    case = Case().bound()
    case.client.stop()
    assert (case.sent[-1][1].kind, case.sent[-1][2]) == (RELEASE, "10.0.0.1")
    assert case.sent[-1][1].ciaddr == OFFERED
    case.until(10_000.0)
    assert case.client.state == STOPPED
    assert len(case.sent) == 3


def test_other_transactions_and_stations_are_ignored() -> None:
    case = Case(answers=0)
    case.client.start()
    case.until(1.5)
    asked = case.sent[0][1]
    for change in ("xid", "mac", "op"):
        reply = parse_dhcp(case.reply(asked, OFFER))
        setattr(reply, change, getattr(reply, change) ^ 3)
        assert not case.client.receive(emit_dhcp(reply))
    assert case.client.state == SELECTING
    assert case.client.receive(case.reply(asked, OFFER))
    assert case.client.state == REQUESTING
    assert not case.client.receive(case.reply(asked, OFFER))


BAD = {
    "no lease time": {LEASE_TIME: b""},
    "lease of nothing": {LEASE_TIME: four(0)},
    "lease of a second": {LEASE_TIME: four(1)},
    "mask with a hole": {SUBNET_MASK: four(0xFF00_FF00)},
    "no server": {SERVER_ID: b""},
    "server is broadcast": {SERVER_ID: four(0xFFFF_FFFF)},
}


@pytest.mark.parametrize("options", BAD.values(), ids=BAD.keys())
def test_senseless_leases_are_ignored(options: dict[int, bytes]) -> None:
    case = Case()
    case.options.update(options)
    case.client.start()
    case.until(100.0)
    assert not case.leases
    assert case.client.state == SELECTING


@pytest.mark.parametrize(
    "address", [0, 0xFFFF_FFFF, 0xE000_0001, 0x0A00_00FF, 0x0A00_0000, 0x7F000001]
)
def test_senseless_addresses_are_ignored(address: int) -> None:
    case = Case(answers=0)
    case.client.start()
    case.until(1.5)
    assert not case.client.receive(case.reply(case.sent[0][1], OFFER, yiaddr=address))


@pytest.mark.parametrize(
    ("options", "times"),
    [
        ({T1: four(100), T2: four(200)}, (100, 200)),
        ({T1: four(200), T2: four(100)}, (1800, 3150)),
        ({T1: four(0), T2: four(9)}, (1800, 3150)),
        ({T2: four(9999)}, (1800, 3150)),
    ],
)
def test_times(options: dict[int, bytes], times: tuple[int, int]) -> None:
    case = Case()
    case.options.update(options)
    case.bound()
    assert (case.leases[0].renew_s, case.leases[0].rebind_s) == times


def test_for_ever() -> None:
    case = Case(seconds=0xFFFF_FFFF).bound()
    case.until(10.0**9)
    assert len(case.sent) == 2


@pytest.mark.requirement("RFC 3442")
def test_classless_routes_instead_of_the_router() -> None:
    case = Case()
    case.options[CLASSLESS_ROUTES] = bytes([0, 10, 0, 0, 9]) + bytes([16, 10, 7, 10, 0, 0, 8])
    lease = case.bound().leases[0]
    assert lease.gateway == "10.0.0.9"
    assert lease.routes == (("10.7.0.0/16", "10.0.0.8"),)


@pytest.mark.parametrize(("mtu", "found"), [(1400, 1400), (100, 0)])
def test_mtu(mtu: int, found: int) -> None:
    case = Case()
    case.options[INTERFACE_MTU] = mtu.to_bytes(2, "big")
    assert case.bound().leases[0].mtu == found


def test_a_follower_takes_what_it_overhears() -> None:
    leader = Case().bound()
    follower = Case(leads=False)
    follower.client.start()
    follower.until(2.0)
    assert follower.client.state == INIT
    asked = leader.sent[1][1]
    assert follower.client.receive(leader.reply(asked, ACK))
    assert follower.leases[0].address == "10.0.0.50"
    follower.until(1805.0)
    assert not follower.sent
    leader.until(1805.0)
    follower.client.receive(leader.reply(leader.sent[2][1], ACK))
    follower.until(4000.0)
    assert not follower.sent, "the leader's renewal was heard"
    follower.until(5300.0)
    assert follower.sent, "nobody renews any more: it asks itself"
    assert follower.client.state == BOUND


def test_a_follower_that_hears_nothing_asks() -> None:
    follower = Case(leads=False)
    follower.client.start()
    follower.until(8.0)
    assert follower.client.state == BOUND


def test_a_successor_goes_on_with_the_lease_and_asks_nobody() -> None:
    before = Case().bound()
    after = Case()
    after.until(1000.0)
    after.client.resume(before.leases[0], before.client.leased)
    assert after.leases == before.leases
    assert after.client.state == BOUND
    after.until(1799.0 + before.client.leased)
    assert after.sent == []
    after.until(1802.0 + before.client.leased)
    assert [message.kind for _, message, _ in after.sent] == [REQUEST]


def test_a_lease_that_was_over_is_asked_for_again() -> None:
    before = Case().bound()
    after = Case()
    after.until(4000.0)
    after.client.resume(before.leases[0], before.client.leased)
    assert after.leases == []
    after.until(4002.0)
    assert after.asked() == [DISCOVER, REQUEST]
    assert after.sent[0][1].address(REQUESTED_ADDRESS) == OFFERED


def test_an_offer_to_a_fellow_is_for_the_station_though_not_for_this_client() -> None:
    """It may reach the queue of a worker that has not asked, which passes it to whoever has."""
    case = Case(leads=False)
    asked = DhcpMessage(REPLY_OP, 77, MAC)
    offer = case.reply(asked, OFFER)
    assert case.client.is_for(offer)
    assert not case.client.receive(offer)
    other = DhcpMessage(REPLY_OP, 77, MAC + 1, yiaddr=OFFERED)
    other.options = {MESSAGE_TYPE: bytes([OFFER])}
    assert not case.client.is_for(emit_dhcp(other))
    assert not case.client.is_for(b"nonsense")
    case.client.stop()
    assert not case.client.is_for(offer)
