"""DHCP messages against scapy, and against strangers (RFC 2131, RFC 2132, RFC 3396, RFC 3442)."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.wire.dhcp import (
    ACK,
    COOKIE,
    DISCOVER,
    DOMAIN_NAME,
    HEADER_LEN,
    LEN_MIN,
    MESSAGE_TYPE,
    NAME_SERVERS,
    REPLY_OP,
    REQUEST_OP,
    DhcpMalformed,
    DhcpMessage,
    emit_dhcp,
    parse_classless_routes,
    parse_dhcp,
)

scapy = pytest.importorskip("scapy.layers.dhcp")

MAC = 0x0200_0000_0001


def raw(options: bytes, sname: bytes = b"", file: bytes = b"", **changes: int) -> bytes:
    """A reply with the options as they are."""
    fields = {"op": 2, "htype": 1, "hlen": 6, **changes}
    head = struct.pack("!BBBBI", fields["op"], fields["htype"], fields["hlen"], 0, 7) + bytes(
        4 + 16
    )
    head += MAC.to_bytes(6, "big") + bytes(10) + sname.ljust(64, b"\0") + file.ljust(128, b"\0")
    assert len(head) == HEADER_LEN
    return head + COOKIE + options


def test_a_message_as_scapy_reads_it() -> None:
    message = DhcpMessage(REQUEST_OP, 0xDEAD_BEEF, MAC, 3, True)
    message.options = {MESSAGE_TYPE: bytes([DISCOVER]), DOMAIN_NAME: b"a.test"}
    octets = emit_dhcp(message)
    assert len(octets) == LEN_MIN
    seen = scapy.BOOTP(octets)
    assert (seen.op, seen.xid, seen.secs, int(seen.flags)) == (1, 0xDEAD_BEEF, 3, 0x8000)
    assert seen.chaddr[:6] == MAC.to_bytes(6, "big")
    options = dict(o for o in seen[scapy.DHCP].options if isinstance(o, tuple))
    assert options == {"message-type": 1, "domain": b"a.test"}


def test_a_reply_as_scapy_writes_it() -> None:
    options = [("message-type", "ack"), ("name_server", "10.0.0.53", "10.0.0.54"), "end"]
    octets = bytes(
        scapy.BOOTP(op=2, xid=9, yiaddr="10.0.0.7", chaddr=MAC.to_bytes(6, "big"))
        / scapy.DHCP(options=options)
    )
    read = parse_dhcp(octets)
    assert (read.op, read.xid, read.mac, read.kind) == (REPLY_OP, 9, MAC, ACK)
    assert read.yiaddr == 0x0A00_0007
    assert read.addresses(NAME_SERVERS) in ([], [0x0A00_0035, 0x0A00_0036])


def test_an_option_in_pieces_is_one() -> None:
    message = DhcpMessage(REPLY_OP, 1, MAC, options={DOMAIN_NAME: bytes(range(256)) * 3})
    assert parse_dhcp(emit_dhcp(message)).options[DOMAIN_NAME] == bytes(range(256)) * 3


@pytest.mark.requirement("RFC 2131 4.1")
@pytest.mark.parametrize(("where", "count"), [(1, 1), (2, 1), (3, 2)])
def test_overload(where: int, count: int) -> None:
    extra = bytes([DOMAIN_NAME, 1]) + b"x" + b"\xff"
    read = parse_dhcp(raw(bytes([52, 1, where, 255]), sname=extra, file=extra))
    assert read.options == {DOMAIN_NAME: b"x" * count}


def test_an_overload_of_an_overload_is_none() -> None:
    inner = bytes([52, 1, 3, 255])
    assert parse_dhcp(raw(bytes([52, 1, 3, 255]), inner, inner)).options == {}


MALFORMED = {
    "nothing": b"",
    "cut": raw(b"\xff")[:200],
    "no cookie": raw(b"\xff")[:HEADER_LEN] + b"\0\0\0\0\xff",
    "htype": raw(b"\xff", htype=6),
    "hlen": raw(b"\xff", hlen=16),
    "option past the end": raw(bytes([53, 9, 1])),
    "no length": raw(bytes([53])),
    "overload past the end": raw(bytes([52, 1, 1, 255]), file=b"\0" * 127 + b"\x0f"),
}


@pytest.mark.parametrize("octets", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed(octets: bytes) -> None:
    with pytest.raises(DhcpMalformed):
        parse_dhcp(octets)


@given(st.binary(max_size=400))
def test_anything_is_read_or_refused(octets: bytes) -> None:
    for data in (octets, raw(octets)):
        try:
            parse_dhcp(data)
        except DhcpMalformed:
            pass  # silent: the other lawful outcome


def test_no_end_is_an_end() -> None:
    assert parse_dhcp(raw(bytes([53, 1, ACK]))).kind == ACK


@pytest.mark.parametrize(
    ("octets", "routes"),
    [
        (b"", []),
        (bytes([0, 10, 0, 0, 1]), [(0, 0, 0x0A00_0001)]),
        (bytes([24, 10, 1, 2, 10, 0, 0, 1]), [(0x0A01_0200, 24, 0x0A00_0001)]),
        (bytes([33, 10, 1, 2, 3, 4, 10, 0, 0, 1]), None),
        (bytes([24, 10, 1]), None),
    ],
)
def test_classless_routes(octets: bytes, routes: list[tuple[int, int, int]] | None) -> None:
    assert parse_classless_routes(octets) == routes
