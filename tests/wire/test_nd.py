"""Neighbour discovery messages against scapy, and one reason for each malformed one."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_Redirect,
    ICMPv6ND_RS,
    ICMPv6NDOptDNSSL,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptMTU,
    ICMPv6NDOptPrefixInfo,
    ICMPv6NDOptRDNSS,
    ICMPv6NDOptRedirectedHdr,
    ICMPv6NDOptSrcLLAddr,
    ICMPv6NDOptUnknown,
    IPv6,
)
from scapy.packet import Packet

from corten.core.arena import Memory
from corten.wire.nd import (
    NdMessage,
    group_mac,
    is_link_local,
    is_solicited_node,
    solicited_node_low,
)
from corten.wire.reason import (
    ACCEPTED,
    ND_BAD_ADDRESS,
    ND_BAD_HOP_LIMIT,
    ND_BAD_ROUTER,
    ND_MALFORMED,
)

MAC = "02:00:00:00:00:07"
HOST = "2001:db8::7"
ROUTER = "fe80::1"
TARGET = "2001:db8::2"
GROUP = "ff02::1:ff00:2"


def number(address: str) -> tuple[int, int]:
    value = int(ipaddress.IPv6Address(address))
    return value >> 64, value & (1 << 64) - 1


def parse(
    message: Packet | bytes, source: str = HOST, to: str = TARGET, hop_limit: int = 255
) -> tuple[int, NdMessage]:
    """What is made of the message after 3 octets of something else, and before others."""
    data = (
        bytes(IPv6(src=source, dst=to) / message)[40:] if isinstance(message, Packet) else message
    )
    parsed = NdMessage()
    memory = Memory(b"\xff" * 3 + data + b"\xff" * 5)
    return parsed.parse(memory, 3, len(data), hop_limit, *number(source), *number(to)), parsed


@pytest.mark.requirement("RFC 4861 7.1.1")
def test_solicitation_agrees_with_scapy() -> None:
    reason, got = parse(ICMPv6ND_NS(tgt=TARGET) / ICMPv6NDOptSrcLLAddr(lladdr=MAC), to=GROUP)
    assert (reason, got.type, got.link_address) == (ACCEPTED, 135, 0x020000000007)
    assert (got.target_high, got.target_low, got.nonce) == (*number(TARGET), 0)


@pytest.mark.requirement("RFC 4861 7.1.2")
@pytest.mark.parametrize("flags", range(8))
def test_advertisement_agrees_with_scapy(flags: int) -> None:
    r, s, o = flags >> 2 & 1, flags >> 1 & 1, flags & 1
    option = ICMPv6NDOptDstLLAddr(lladdr=MAC)
    reason, got = parse(ICMPv6ND_NA(tgt=TARGET, R=r, S=s, O=o) / option)
    assert (reason, got.flags, got.link_address) == (ACCEPTED, flags << 5, 0x020000000007)
    reason, _ = parse(ICMPv6ND_NA(tgt=TARGET, R=r, S=s, O=o), to="ff02::1")
    assert reason == (ND_BAD_ADDRESS if s else ACCEPTED)


@pytest.mark.requirement("RFC 4861 6.1.2")
@pytest.mark.requirement("RFC 4191 2.2")
@given(
    st.integers(0, 255), st.integers(0, 65535), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)
)
def test_router_advertisement_agrees_with_scapy(
    hops: int, lifetime: int, reachable: int, retrans: int
) -> None:
    for preference, meaning in ((0, 0), (1, 1), (2, 0), (3, -1)):
        message = (
            ICMPv6ND_RA(
                chlim=hops,
                routerlifetime=lifetime,
                reachabletime=reachable,
                retranstimer=retrans,
                prf=preference,
            )
            / ICMPv6NDOptSrcLLAddr(lladdr=MAC)
            / ICMPv6NDOptMTU(mtu=1400)
        )
        reason, got = parse(message, ROUTER, "ff02::1")
        assert (reason, got.hop_limit, got.router_lifetime) == (ACCEPTED, hops, lifetime)
        assert (got.reachable_ms, got.retrans_ms, got.mtu) == (reachable, retrans, 1400)
        assert (got.preference, got.link_address) == (meaning, 0x020000000007)


@pytest.mark.requirement("RFC 8106 5.1")
def test_keeps_where_prefixes_and_name_servers_stand() -> None:
    message = (
        ICMPv6ND_RA()
        / ICMPv6NDOptPrefixInfo(prefix="2001:db8::", prefixlen=64)
        / ICMPv6NDOptRDNSS(dns=[HOST, TARGET], lifetime=60)
        / ICMPv6NDOptDNSSL(searchlist=["example.org"], lifetime=60)
        / ICMPv6NDOptPrefixInfo(prefix="2001:db8:1::", prefixlen=48)
    )
    reason, got = parse(message, ROUTER, "ff02::1")
    assert reason == ACCEPTED
    assert (got.prefixes, got.rdnss) == ([3 + 16, 3 + 16 + 32 + 40 + 24], [3 + 16 + 32])
    assert got.dnssl == [3 + 16 + 32 + 40]


def test_keeps_so_many_options_and_no_more() -> None:
    message: Packet = ICMPv6ND_RA()
    for i in range(40):
        message = message / ICMPv6NDOptPrefixInfo(prefix=f"2001:db8:{i:x}::", prefixlen=64)
    reason, got = parse(message, ROUTER, "ff02::1")
    assert (reason, len(got.prefixes)) == (ACCEPTED, 16)


@pytest.mark.requirement("RFC 4861 8.1")
def test_redirect_agrees_with_scapy() -> None:
    option = ICMPv6NDOptDstLLAddr(lladdr=MAC) / ICMPv6NDOptRedirectedHdr(pkt=b"x" * 48)
    reason, got = parse(ICMPv6ND_Redirect(tgt="fe80::2", dst=HOST) / option, ROUTER)
    assert (reason, got.link_address) == (ACCEPTED, 0x020000000007)
    assert (got.target_high, got.target_low) == number("fe80::2")
    assert (got.destination_high, got.destination_low) == number(HOST)


@pytest.mark.requirement("RFC 4861 8.1")
@pytest.mark.parametrize(
    ("target", "destination", "source", "reason"),
    [
        (HOST, HOST, ROUTER, ACCEPTED),
        (TARGET, HOST, ROUTER, ND_BAD_ADDRESS),
        ("fe80::2", "ff02::9", ROUTER, ND_BAD_ADDRESS),
        ("ff02::9", "ff02::9", ROUTER, ND_BAD_ADDRESS),
        ("fe80::2", HOST, HOST, ND_BAD_ROUTER),
    ],
)
def test_redirects_that_cannot_be(target: str, destination: str, source: str, reason: int) -> None:
    assert parse(ICMPv6ND_Redirect(tgt=target, dst=destination), source)[0] == reason


SOLICITATION = ICMPv6ND_NS(tgt=TARGET) / ICMPv6NDOptSrcLLAddr(lladdr=MAC)
MESSAGES = [
    (ICMPv6ND_RS(), HOST, "ff02::2", 8),
    (ICMPv6ND_RA(), ROUTER, "ff02::1", 16),
    (SOLICITATION, HOST, GROUP, 24),
    (ICMPv6ND_NA(tgt=TARGET), HOST, TARGET, 24),
    (ICMPv6ND_Redirect(tgt="fe80::2", dst=HOST), ROUTER, TARGET, 40),
]


@pytest.mark.requirement("RFC 4861 7.1.1")
@pytest.mark.parametrize(("message", "source", "to", "length"), MESSAGES)
def test_malformed(message: Packet, source: str, to: str, length: int) -> None:
    octets = bytes(IPv6(src=source, dst=to) / message)[40:]
    for hop_limit in (0, 1, 64, 254):
        assert parse(octets, source, to, hop_limit)[0] == ND_BAD_HOP_LIMIT
    assert parse(octets[:1] + b"\x01" + octets[2:], source, to)[0] == ND_MALFORMED
    for short in range(length):
        assert parse(octets[:short], source, to)[0] == ND_MALFORMED
    assert parse(octets[:length], source, to)[0] == ACCEPTED
    fixed = octets[:length]
    assert parse(fixed + bytes(8), source, to)[0] == ND_MALFORMED, "an option of length 0"
    for rest in (b"\x01", b"\x01\x02" + bytes(6), b"\x99\xff" + bytes(14), b"\xf0\x01" + bytes(5)):
        assert parse(fixed + rest, source, to)[0] == ND_MALFORMED, "past the end"
    unknown = bytes(ICMPv6NDOptUnknown(type=200, data=b"x" * 14))
    assert parse(fixed + unknown, source, to)[0] == ACCEPTED
    assert parse(fixed + b"\x01\x03" + bytes(22) + b"\x02\x03" + bytes(22), source, to)[
        1
    ].link_address in (0, 0x020000000007), "not this link's"


@pytest.mark.requirement("RFC 4861 7.1.1")
def test_addresses_that_cannot_be() -> None:
    assert parse(ICMPv6ND_NS(tgt="ff02::5"), to=GROUP)[0] == ND_BAD_ADDRESS
    assert parse(ICMPv6ND_NA(tgt="ff02::5"))[0] == ND_BAD_ADDRESS
    assert parse(ICMPv6ND_NS(tgt=TARGET), "::", TARGET)[0] == ND_BAD_ADDRESS, ":: to unicast"
    assert parse(ICMPv6ND_NS(tgt=TARGET), "::", GROUP)[0] == ACCEPTED
    assert parse(SOLICITATION, "::", GROUP)[0] == ND_BAD_ADDRESS, ":: with a link address"
    assert parse(ICMPv6ND_RA(), HOST, "ff02::1")[0] == ND_BAD_ROUTER
    for mac in ("33:33:00:00:00:01", "ff:ff:ff:ff:ff:ff"):
        group = ICMPv6ND_NS(tgt=TARGET) / ICMPv6NDOptSrcLLAddr(lladdr=mac)
        assert parse(group, to=GROUP)[0] == ND_BAD_ADDRESS


@given(st.binary(max_size=120), st.sampled_from([133, 134, 135, 136, 137]))
def test_never_raises_nor_loops(octets: bytes, type: int) -> None:
    reason, _ = parse(bytes([type, 0]) + octets, ROUTER, "ff02::1:ff00:2")
    assert reason in (ACCEPTED, ND_MALFORMED, ND_BAD_ADDRESS, ND_BAD_ROUTER)


def test_an_object_used_again_keeps_nothing() -> None:
    message = NdMessage()
    for packet, source, to in ((SOLICITATION, HOST, GROUP), (ICMPv6ND_NA(tgt=HOST), HOST, HOST)):
        data = bytes(IPv6(src=source, dst=to) / packet)[40:]
        message.parse(Memory(data), 0, len(data), 255, *number(source), *number(to))
    assert (message.link_address, message.type) == (0, 136)
    assert (message.target_high, message.target_low) == number(HOST)


@pytest.mark.requirement("RFC 4291 2.7.1")
def test_groups() -> None:
    assert (0xFF02 << 48, solicited_node_low(number("fe80::2aa:ff:fe28:9c5a")[1])) == number(
        "ff02::1:ff28:9c5a"
    )
    assert is_solicited_node(*number("ff02::1:ff28:9c5a"))
    for other in ("ff02::1", "ff02::2:ff28:9c5a", "ff05::1:ff28:9c5a", "ff02:1::1:ff28:9c5a"):
        assert not is_solicited_node(*number(other))
    assert group_mac(number("ff02::1:ff28:9c5a")[1]) == 0x3333FF289C5A
    assert is_link_local(number("febf::1")[0]) and not is_link_local(number("fec0::1")[0])
