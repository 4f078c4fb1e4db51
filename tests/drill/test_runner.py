"""The runner: time, numbers, runs of segments, calls; and every kind of wrong script is caught.

The scripts that must fail are mutants of ones that pass: each shows that one check bites.
"""

from __future__ import annotations

import pytest

from corten.drill.leniency import Leniency
from tests.drill.script import SERVER, drill, fails, passes

ECHO = (
    SERVER
    + """
+0 < P. 1:101(100) ack 1 win 32792
+0.04 > . 1:1(0) ack 101
+0 read(4, ..., 1000) = 100
+0 write(4, ..., 100) = 100
+0 > P. 1:101(100) ack 101
+0.1 < . 101:101(0) ack 101 win 32792
"""
)
CLIENT = """
0   socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0  setsockopt(3, SOL_SOCKET, SO_RCVBUF, [300000], 4) = 0
+0...0.1 connect(3, ..., ...) = 0
+0  > S 0:0(0) <mss 1460,sackOK,TS val 100 ecr 0,nop,wscale 3>
+.1 < S. 7000:7000(0) ack 1 win 5792 <mss 1460,sackOK,TS val 700 ecr 100,nop,wscale 7>
+0  > . 1:1(0) ack 1 <nop,nop,TS val 200 ecr 700>
"""


def test_a_whole_exchange_passes() -> None:
    passes(ECHO)
    passes(CLIENT)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("> S. 0:0(0)", "> S 0:0(0)", "flags S. instead of S"),
        ("ack 1 <mss 1460>", "ack 2 <mss 1460>", "ack 1 instead of 2"),
        ("ack 1 <mss 1460>", "ack 1 <mss 1461>", "option mss 1460 instead of mss 1461"),
        ("ack 1 <mss 1460>", "ack 1", "options <mss 1460> instead of <>"),
        ("ack 1 <mss 1460>", "ack 1 win 5 <mss 1460>", "win 65535 instead of 5"),
        ("ack 1 <mss 1460>", "ack 1 urg 5 <mss 1460>", "urg 0 instead of 5"),
        ("+0.04 > . 1", "+0.01 > . 1", "sent at 0.140000 instead of 0.110000"),
        ("+0.04 > . 1", "+0.09 > . 1", "sent at 0.140000 instead of 0.190000"),
        ("> P. 1:101(100) ack 101", "> . 1:101(100) ack 101", "flags P. instead of ."),
        ("> P. 1:101(100) ack 101", "> P. 1:100(99) ack 101", "100 octets of data instead of 99"),
        ("> P. 1:101(100) ack 101", "> P. 2:102(100) ack 101", "seq 1 instead of 2"),
        ("= 100\n+0 write", "= 99\n+0 write", "read = 100 instead of 99"),
        ("+0 write(4, ..., 100) = 100\n", "", "nothing was sent"),
        ("+0 > P. 1:101(100) ack 101\n", "", "unexpected at 0.140000"),
        ("+0 > P. 1", "+0 > [ce] P. 1", "ECN bits 00 instead of ce"),
        ("+0 > P. 1", "+0 > [ttl 1] P. 1", "ttl 64 instead of 1"),
        ("listen(3, 1) = 0", "listen(3, 1) = -1 EINVAL", "listen = 0 instead of -1 EINVAL"),
        ("accept(3, ..., ...) = 4", "accept(3, ..., ...) = 4\n+0 accept(3, ..., ...) = 5",
         "accept would block"),
    ],
)  # fmt: skip
def test_a_mutant_is_caught(old: str, new: str, reason: str) -> None:
    assert old in ECHO
    fails(ECHO.replace(old, new, 1), reason)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("ecr 700>", "ecr 701>", "TS ecr 700 instead of 701"),
        ("wscale 3>", "wscale 4>", "option wscale 3 instead of wscale 4"),
        (
            "+0...0.1 connect",
            "+0...0.3 connect",
            "connect returned at 0.100000 instead of 0.300000",
        ),
        ("= 0\n+0  > S", "= -1 ECONNREFUSED\n+0  > S", "connect = 0 instead of -1 ECONNREFUSED"),
        ("ack 1 win 5792", "ack 2 win 5792", "flags R instead of ."),
        ("+0  > . 1:1(0) ack 1 <", "+0  > . 1:1(0) ack 1 win 9 <", "instead of 9"),
        ("sackOK,TS val 100 ecr 0", "TS val 100 ecr 0,sackOK", "options <"),
    ],
)
def test_a_mutant_of_a_client_is_caught(old: str, new: str, reason: str) -> None:
    assert old in CLIENT
    fails(CLIENT.replace(old, new, 1), reason)


def test_a_failure_has_its_line_and_its_packets() -> None:
    outcome = fails(ECHO.replace("ack 1 <mss 1460>", "ack 2 <mss 1460>"), "ack 1", line=6)
    assert outcome.trace[-1] == "0.000000 > S. 0:0(0) ack 1 win 65535 <mss 1460>"


def test_timestamp_clock_is_compared_when_asked_for() -> None:
    ticking = "--tcp_ts_tick_usecs=1000\n" + CLIENT
    passes(ticking)
    fails(ticking.replace("TS val 200", "TS val 250"), "TS val 200 instead of 250")


def test_ports_are_compared_when_given() -> None:
    passes(SERVER.replace("< S ", "< 5000 > 8080 S ").replace("> S.", "> 8080 > 5000 S.")
           .replace("+.1 < .", "+.1 < 5000 > 8080 ."))  # fmt: skip
    fails(SERVER.replace("> S.", "> 8080 > 5000 S."), "ports 8080 > 40001")


# -- runs of segments ------------------------------------------------------------------------

THREE = SERVER + "+0 write(4, ..., 3000) = 3000\n"


def test_a_run_of_segments_counts_as_one() -> None:
    passes(THREE + "+0 > P. 1:3001(3000) ack 1\n")
    passes(THREE + "+0 > . 1:1001(1000) ack 1\n+0 > P. 1001:3001(2000) ack 1\n")


def test_strict_segments_takes_each_for_itself() -> None:
    text = "--strict_segments\n" + THREE
    fails(text + "+0 > P. 1:3001(3000) ack 1\n", "flags . instead of P.")
    three = "".join(
        f"+0 > {'P' if i == 2 else ''}. {i}001:{i + 1}001(1000) ack 1\n".replace("0001", "1", 1)
        for i in range(3)
    )
    passes(text + three)


def test_a_run_that_is_too_long_or_short_fails() -> None:
    fails(THREE + "+0 > P. 1:2501(2500) ack 1\n", "3000 octets of data instead of 2500")
    fails(THREE + "+0 > P. 1:4001(4000) ack 1\n", "3000 octets of data instead of 4000")


# -- numbers ---------------------------------------------------------------------------------


def test_sequence_numbers_may_wrap() -> None:
    passes("""
0   socket(..., SOCK_STREAM, IPPROTO_TCP) = 3
+0  bind(3, ..., ...) = 0
+0  listen(3, 1) = 0
+0  < S 4294967000:4294967000(0) win 32792 <mss 1000>
+0  > S. 0:0(0) ack 4294967001 <mss 1460>
+.1 < . 1:1(0) ack 1 win 32792
+0  accept(3, ..., ...) = 4
+0  < P. 1:601(600) ack 1 win 32792
+0  < P. 601:1201(600) ack 1 win 32792
+0  > . 1:1(0) ack 1201
+0  read(4, ..., 2000) = 1200
""")


def test_what_is_read_is_compared_octet_for_octet() -> None:
    """The same sequence numbers a second time carry other octets: the first ones must stand."""
    mixed = ECHO.replace(
        "+0 < P. 1:101(100) ack 1 win 32792\n",
        "+0 < P. 1:101(100) ack 1 win 32792 {rep tcp urg_ptr 0x00}\n",
    )
    passes(mixed)
    broken = ECHO.replace("win 32792\n+0.04", "win 32792 {ins tcp 19 0x00}\n+0.04")
    assert drill(broken).result == "fail"


# -- calls -----------------------------------------------------------------------------------


def test_a_blocking_read_returns_when_data_comes() -> None:
    text = SERVER + "+0...0.1 read(4, ..., 100) = 100\n+.1 < P. 1:101(100) ack 1 win 1000\n"
    passes(text + "+.04 > . 1:1(0) ack 101\n")
    fails(text.replace("...0.1 ", "...0.05 ") + "+.04 > . 1:1(0) ack 101\n", "read returned at")
    fails(SERVER + "+0...0.1 read(4, ..., 100) = 100\n", "read did not return")


def test_nonblocking_calls_say_eagain() -> None:
    passes(
        SERVER
        + """
+0 fcntl(4, F_GETFL) = 0x2 (flags O_RDWR)
+0 fcntl(4, F_SETFL, O_RDWR|O_NONBLOCK) = 0
+0 read(4, ..., 100) = -1 EAGAIN (Resource temporarily unavailable)
+0 recv(4, ..., 100, MSG_DONTWAIT) = -1 EWOULDBLOCK
"""
    )


def test_outside_tcp_is_unsupported() -> None:
    outcome = drill("0 socket(..., SOCK_DGRAM, IPPROTO_UDP) = 3\n")
    assert (outcome.result, outcome.reason) == ("unsupported", "a socket of SOCK_DGRAM")
    outcome = drill(SERVER + "+0 splice(4, 0, 5, 0, 1, 0) = 1\n")
    assert (outcome.result, outcome.reason) == ("unsupported", "system call splice")
    outcome = drill("0 > udp (10)\n")
    assert (outcome.result, outcome.reason) == ("unsupported", "udp packets")


# -- switches --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "switch", "fixed"),
    [
        ("<mss 1460>", "<nop,mss 1460,eol,eol,eol>", "options=set", Leniency(options="set")),
        ("> P. 1:101", "> . 1:101", "psh=ignore", Leniency(psh="ignore")),
        ("ack 1 <mss 1460>", "ack 1 win 9 <mss 1460>", "win=zero-nonzero",
         Leniency(win="zero-nonzero")),
        ("ack 1 <mss 1460>", "ack 1 win 0 <mss 1460>", "win=ignore", Leniency(win="ignore")),
        ("+0.04 > . 1:1(0)", "+0 > . 1:1(0)", "delack=0", Leniency(delack=0)),
    ],
)  # fmt: skip
def test_a_switch_helps_and_is_named(old: str, new: str, switch: str, fixed: Leniency) -> None:
    text = ECHO.replace(old, new, 1)
    assert drill(text).result == "fail"
    for outcome in (drill(text, fixed), drill(text, is_exact=False)):
        assert (outcome.result, outcome.switches) == ("lenient", [switch]), outcome
    assert drill(ECHO, fixed).result == "pass"


def test_no_switch_hides_a_wrong_acknowledgement() -> None:
    text = ECHO.replace("> . 1:1(0) ack 101", "> . 1:1(0) ack 100")
    assert drill(text, is_exact=False).result == "fail"
