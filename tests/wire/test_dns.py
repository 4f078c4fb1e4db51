"""DNS messages against scapy, and against strangers (RFC 1035 4, RFC 9267)."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.wire.dns import (
    AAAA,
    CNAME,
    RECORDS_MAX,
    RESPONSE,
    SOA,
    TRUNCATED,
    A,
    DnsMalformed,
    Message,
    Record,
    check_name,
    emit_message,
    emit_name,
    parse_message,
    parse_name,
)

dns = pytest.importorskip("scapy.layers.dns")


def header(questions: int = 1, answers: int = 0, flags: int = RESPONSE) -> bytes:
    return struct.pack("!6H", 7, flags, questions, answers, 0, 0)


def question(name: bytes = b"\x01a\x00") -> bytes:
    return name + struct.pack("!HH", A, 1)


def answer(name: bytes, kind: int, data: bytes, length: int | None = None) -> bytes:
    size = len(data) if length is None else length
    return name + struct.pack("!HHIH", kind, 1, 60, size) + data


def test_a_query_as_scapy_reads_it() -> None:
    octets = emit_message(Message(0x1234, name="WwW.example.com", type=AAAA, udp_len=1232))
    seen = dns.DNS(octets)
    assert (seen.id, seen.qr, seen.rd, seen.qdcount, seen.arcount) == (0x1234, 0, 1, 1, 1)
    first = seen.qd[0] if isinstance(seen.qd, list) else seen.qd
    assert (first.qname, first.qtype) == (b"WwW.example.com.", AAAA)
    extra = seen.ar[0] if isinstance(seen.ar, list) else seen.ar
    assert (extra.type, extra.rclass) == (41, 1232)


def test_a_reply_as_scapy_writes_it() -> None:
    soa = dns.DNSRRSOA(rrname="example.com", mname="ns.x", rname="m.x", minimum=77, ttl=99)
    reply = dns.DNS(
        id=5,
        qr=1,
        qd=dns.DNSQR(qname="www.example.com", qtype="A"),
        an=[
            dns.DNSRR(rrname="www.example.com", type="CNAME", rdata="h.example.com", ttl=10),
            dns.DNSRR(rrname="h.example.com", type="A", rdata="192.0.2.1", ttl=20),
            dns.DNSRR(rrname="h.example.com", type="AAAA", rdata="2001:db8::1", ttl=30),
            dns.DNSRR(rrname="h.example.com", type="TXT", rdata=b"hi", ttl=30),
        ],
        ns=soa,
    )
    read = parse_message(bytes(dns.dns_compress(reply)))
    assert (read.id, read.name, read.type, read.is_response) == (5, "www.example.com", A, True)
    assert read.answers == [
        Record("www.example.com", CNAME, 10, "h.example.com"),
        Record("h.example.com", A, 20, "192.0.2.1"),
        Record("h.example.com", AAAA, 30, "2001:db8::1"),
        Record("h.example.com", 16, 30, b"\x02hi"),
    ]
    assert read.authorities == [Record("example.com", SOA, 99, 77)]


@pytest.mark.requirement("RFC 1035 4.1")
def test_what_is_written_is_read_again() -> None:
    records = [Record("a.b", A, 60, "192.0.2.9"), Record("a.b", CNAME, 1, "c.d")]
    message = Message(9, RESPONSE, "a.b", A, records, udp_len=512)
    assert parse_message(emit_message(message)) == message


MALFORMED: dict[str, bytes] = {
    "nothing": b"",
    "half a header": header()[:11],
    "no question": header(questions=0),
    "two questions": header(questions=2) + question() * 2,
    "question cut": header() + b"\x01a\x00\x00",
    "class not Internet": header() + b"\x01a\x00" + struct.pack("!HH", A, 3),
    "pointer to itself": header() + b"\xc0\x0c" + struct.pack("!HH", A, 1),
    "pointer forward": header() + b"\xc0\x20" + struct.pack("!HH", A, 1) + bytes(32),
    "pointer into the header": header() + b"\xc0\x02" + struct.pack("!HH", A, 1),
    "pointer cut": header() + b"\xc0",
    "loop of two": header(answers=1) + question() + answer(b"\x01b\xc0\x13", A, bytes(4)),
    "label type 0x40": header() + question(b"\x41" + b"a" * 65 + b"\x00"),
    "label type 0x80": header() + question(b"\x81a\x00"),
    "name of 256": header() + question((b"\x3f" + b"a" * 63) * 4 + b"\x00"),
    "no terminator": header() + b"\x3f" + b"a" * 63,
    "label past the end": header() + b"\x05ab",
    "dot in a label": header() + question(b"\x03a.b\x00"),
    "counts without data": header(answers=0xFF) + question(),
    "too many records": header(answers=RECORDS_MAX + 1) + question(),
    "counts FFFF": struct.pack("!6H", 7, RESPONSE, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF) + question(),
    "rdlength past the end": header(answers=1) + question() + answer(b"\xc0\x0c", A, bytes(4), 99),
    "A of three octets": header(answers=1) + question() + answer(b"\xc0\x0c", A, bytes(3)),
    "AAAA of four": header(answers=1) + question() + answer(b"\xc0\x0c", AAAA, bytes(4)),
    "CNAME with more": header(answers=1) + question() + answer(b"\xc0\x0c", CNAME, b"\x01x\x00yy"),
    "SOA cut": header(answers=1) + question() + answer(b"\xc0\x0c", SOA, b"\x00\x00" + bytes(19)),
}


@pytest.mark.requirement("RFC 9267", "RFC 1035 4.1")
@pytest.mark.parametrize("octets", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed(octets: bytes) -> None:
    with pytest.raises(DnsMalformed):
        parse_message(octets)


def test_a_chain_of_pointers_has_an_end() -> None:
    octets = bytearray(header(answers=2)) + question()
    start = len(octets)
    octets += b"\xc0\x0c"
    for i in range(300):
        octets += struct.pack("!H", 0xC000 | (start + 2 * i))
    with pytest.raises(DnsMalformed):
        parse_name(bytes(octets), len(octets) - 2)


def test_a_truncated_reply_may_end_in_the_middle() -> None:
    cut = header(answers=2, flags=RESPONSE | TRUNCATED) + question() + b"\xc0\x0c\x00\x01"
    read = parse_message(cut)
    assert read.is_truncated
    assert read.answers == []


def test_a_ttl_with_the_top_bit_is_zero() -> None:
    record = b"\xc0\x0c" + struct.pack("!HHIH", A, 1, 0x8000_0000, 4) + bytes([192, 0, 2, 1])
    read = parse_message(header(answers=1) + question() + record)
    assert read.answers[0].ttl == 0


@given(st.binary(max_size=200))
def test_anything_is_read_or_refused(octets: bytes) -> None:
    for data in (octets, header(1, 3) + question() + octets):
        try:
            parse_message(data)
        except DnsMalformed:
            pass  # silent: the other lawful outcome


@pytest.mark.parametrize(
    ("text", "name"),
    [("a.test.", "a.test"), ("A.Test", "A.Test"), ("bücher.test", "xn--bcher-kva.test")],
)
def test_names(text: str, name: str) -> None:
    assert check_name(text) == name
    assert parse_name(bytes(12) + emit_name(name), 12) == (name, 12 + len(emit_name(name)))


@pytest.mark.parametrize("text", ["", ".", "a..b", ".a", "x" * 64, "é" * 100, "a." * 127 + "ab"])
def test_not_names(text: str) -> None:
    with pytest.raises(DnsMalformed):
        check_name(text)
