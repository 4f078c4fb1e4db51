"""The grammar: packets, options, times, calls, and what is refused with its line."""

from __future__ import annotations

import re

import pytest

from corten.drill.error import ScriptError
from corten.drill.nodes import (
    ABSOLUTE,
    ANY,
    ANYTIME,
    RANGE,
    RELATIVE,
    RELATIVE_RANGE,
    Alternatives,
    Array,
    Call,
    Code,
    Command,
    Foreign,
    Icmp,
    Mutation,
    Number,
    Open,
    Packet,
    Struct,
    Tcp,
    Text,
    When,
    Word,
)
from corten.drill.parser import marks_of, parse_script


def packet(text: str) -> Packet:
    action = parse_script(f"0 {text}").events[0].action
    assert isinstance(action, Packet)
    return action


def tcp(text: str) -> Tcp:
    body = packet(text).body
    assert isinstance(body, Tcp)
    return body


def call(text: str) -> Call:
    action = parse_script(f"0 {text}").events[0].action
    assert isinstance(action, Call)
    return action


@pytest.mark.parametrize(
    ("text", "when"),
    [
        ("0.5", When(ABSOLUTE, 500_000_000)),
        ("+.000001", When(RELATIVE, 1000)),
        ("*", When(ANYTIME)),
        ("0.1~0.2", When(RANGE, 100_000_000, 200_000_000)),
        ("+0~+1", When(RELATIVE_RANGE, 0, 1_000_000_000)),
    ],
)
def test_times(text: str, when: When) -> None:
    assert parse_script(f"{text} > . 1:1(0) ack 1").events[0].when == when


def test_a_segment() -> None:
    found = tcp(
        "> PEW. 1:101(100) ack 7 win 10 urg 3 <mss 1460,nop,wscale 6,sackOK,TS val 1 ecr 2>"
    )
    assert found.flags == 8 | 64 | 128 | 16
    assert (found.seq.start, found.seq.length) == (1, 100)
    assert (found.ack, found.win, found.urg) == (7, 10, 3)
    assert found.options is not None
    assert [option.name for option in found.options] == ["mss", "nop", "wscale", "sackOK", "TS"]
    assert [option.values for option in found.options] == [[1460], [], [6], [], [1, 2]]


@pytest.mark.parametrize(
    ("text", "flags"), [("S", 2), ("S.", 18), (".", 16), ("-", 0), ("SEWA", 450), ("S.5", 338)]
)
def test_flags(text: str, flags: int) -> None:
    assert tcp(f"< {text} 0:0(0) win 0").flags == flags


def test_options_left_open_and_left_out() -> None:
    assert tcp("> . 1:1(0) <...>").options is None
    assert tcp("> . 1:1(0)").options == []


def test_options_of_the_dialects() -> None:
    text = "<TS val ... ecr 5!,md5 valid,FO 0a0b,exp-FO,AccECN0 1 2,exp-tarr 1,sack 1:2 3:4>"
    options = tcp(f"> . 1:1(0) {text}").options
    assert options is not None
    names = ["TS", "md5", "FO", "FOEXP", "AccECN", "unknown", "sack"]
    assert [option.name for option in options] == names
    assert options[0].values == [ANY, 5]
    assert options[0].is_absolute
    assert options[2].blob == b"\x0a\x0b"
    assert options[6].values == [1, 2, 3, 4]


def test_sequence_numbers_of_the_dialects() -> None:
    assert tcp("> R. ...(0) ack 1").seq.is_open
    assert tcp("> R. 5:5(0)! ack 1").seq.is_absolute
    assert tcp("> R. 5:5(0) ack 9!").ack_is_absolute
    assert tcp("> . 1:1(0) ack 1 <nop> / udp(1 > 9811)").tunnel == (1, 9811)


def test_ports_and_ip_header() -> None:
    found = packet("< [ect0] 5000 > 8080 S 0:0(0) win 1")
    assert found.ip.ecn == "ect0"
    assert isinstance(found.body, Tcp)
    assert found.body.ports == (5000, 8080)
    assert packet("> (tos 0x2, flowlabel 0x3) . 1:1(0)").ip.flow_label == 3
    assert packet("< [ttl 3] . 1:1(0) win 0").ip.ttl == 3


def test_changes_of_a_packet() -> None:
    found = packet("< S 0:0(0) win 1 {rep tcp data_off 0x0F ; ins tcp 20 0x0204; trun tcp 0 20}")
    assert found.mutations == [
        Mutation("rep", "tcp", "data_off", b"\x0f"),
        Mutation("ins", "tcp", "20", b"\x02\x04"),
        Mutation("trun", "tcp", "0", b"\0\0\0\x14"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "< icmp unreachable frag_needed mtu 1200 [1:1461(1460)]",
        "< [1:1461(1460)] icmp unreachable frag_needed mtu 1200",
    ],
)
def test_an_icmp_error_quotes(text: str) -> None:
    icmp = packet(text).body
    assert isinstance(icmp, Icmp)
    assert (icmp.type, icmp.code, icmp.mtu) == ("unreachable", "frag_needed", 1200)
    assert icmp.quote is not None
    assert icmp.quote.length == 1460


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("> udp (1000)", "udp"),
        ("< 5 > 6 udp (1000)", "udp"),
        ("< sctp: INIT[flgs=0,\n tag=1, PAD[len=4]]; DATA[...]\n+0 < udp (1)", "sctp"),
    ],
)
def test_other_protocols_parse(text: str, what: str) -> None:
    body = packet(text).body
    assert isinstance(body, Foreign)
    assert body.what == what


def test_outer_headers_parse() -> None:
    assert packet("< ipv4 1.1.1.1 > 2.2.2.2: gre: . 1:1(0) win 1").tunnels == ["ipv4", "gre"]
    assert packet("> encap psp spi 7 P. 1:2(1) ack 1").tunnels == ["psp"]


def test_a_call() -> None:
    found = call("socket(..., SOCK_STREAM|SOCK_NONBLOCK, 6) = -1 EINVAL (Invalid argument)")
    flags = Alternatives([Word("SOCK_STREAM"), Word("SOCK_NONBLOCK")])
    assert found.arguments == [Open(), flags, Number(6)]
    assert (found.result, found.errno, found.end_ns) == (Number(-1), "EINVAL", None)


def test_a_blocking_call() -> None:
    assert call("...0.200 read(4, ..., 10) = 10").end_ns == 200_000_000


def test_notes_are_passed_over() -> None:
    assert call("fcntl(3, F_GETFL) = 0x2 (flags O_RDWR)").result == Number(2)
    assert call("connect(3, ..., ...) = -1 (ENOTCONN)").errno == "ENOTCONN"


def test_structs_and_strings() -> None:
    found = call(
        'sendmsg(4, {msg_name(...)=..., msg_iov(1)=[{"ab" "c"..., 3}], msg_flags=0}, 0) = 3'
    )
    message = found.arguments[1]
    assert isinstance(message, Struct)
    vector = message.get("msg_iov")
    assert isinstance(vector, Array)
    assert isinstance(vector.parts[0], Struct)
    assert vector.parts[0].parts == [Text("abc", True), Number(3)]


def test_commands_code_and_options() -> None:
    script = parse_script("--mss=100\n--local_ip=fd00::1\n`open`\n0 `a`\n+0 %{ b }%\n`close`")
    assert script.options == [("mss", "100"), ("local_ip", "fd00::1")]
    assert (script.opening, script.closing) == ("open", "close")
    assert [event.action for event in script.events] == [Command("a"), Code("b")]


def test_marks() -> None:
    text = "// requirement: RFC 9293 MUST-13\n// requirement: RFC 5961 3.2, SHLD-2\n"
    assert marks_of(text) == ["MUST-13", "RFC 5961 3.2", "SHLD-2"]


@pytest.mark.parametrize(
    ("text", "reason", "line"),
    [
        ("0 > S 0:1(2)", "the end is not start + length", 1),
        ("0 socket(..., 1, 2)", "expected =", 1),
        ("\n0 > X 0:0(0)", "no such TCP flag: X", 2),
        ("0 > . 1:1(0) <mss>", "expected a number", 1),
        ("-1 > . 1:1(0)", "cannot be negative", 1),
        ("* < . 1:1(0) win 1", "only an outbound packet", 1),
        ("0.2~0.1 > . 1:1(0)", "ends before it begins", 1),
        ("", "at least one event", 1),
        ("0 > . 1:1(0) {xyz tcp 1 2}", "no such change", 1),
        ("0 > [blue] . 1:1(0)", "no such item", 1),
        ("0 read(4, ..., 10 = 1", "expected", 1),
    ],
)
def test_mistakes_name_their_line(text: str, reason: str, line: int) -> None:
    with pytest.raises(ScriptError, match=re.escape(reason)) as caught:
        parse_script(text)
    assert caught.value.line == line
