"""The cases: what the prober sends, step by step, to one of the roles.

A step is one or more segments that arrive together. Numbers are relative: 0 is the SYN's, of either
side; `ack=None` acknowledges all that was heard. `differs` says, of a case in which the kernel and
this stack do not say the same, why: a clause of an RFC, or a freedom that it leaves.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.differential.roles import ABORT, CLOSE, DISCARD, ECHO, HALF, NOBODY, SOURCE


@dataclass
class Send:
    """One segment of the prober's."""

    flags: str
    seq: int = 1
    data: bytes = b""
    ack: int | None = None
    win: int = 65535
    mss: int | None = None
    wscale: int | None = None
    sack_ok: bool = False
    ts: tuple[int, int] | None = None  # ecr 0: the last value heard
    sack: list[tuple[int, int]] = field(default_factory=list)
    raw: bytes | None = None  # options as they are
    urgent: int = 0


Step = list[Send]


@dataclass
class Case:
    name: str
    port: int
    steps: list[Step]
    differs: str = ""


CASES: list[Case] = []


def case(name: str, port: int, *steps: Any, differs: str = "") -> None:
    CASES.append(Case(name, port, [s if isinstance(s, list) else [s] for s in steps], differs))


SYN = Send("S", 0, mss=1460)
ACK = Send(".")
ALL = Send("S", 0, mss=1460, wscale=7, sack_ok=True, ts=(1000, 0))


def data(seq: int, length: int = 10, **more: Any) -> Send:
    return Send("P.", seq, bytes((seq + i) & 0xFF for i in range(length)), **more)


# -- opening --------------------------------------------------------------------------------

case("a handshake without options", ECHO, Send("S", 0), ACK, data(1), ACK)
case("a handshake with every option", ECHO, ALL, Send(".", ts=(1001, 0)), data(1, ts=(1002, 0)))
case("window scale alone", ECHO, Send("S", 0, mss=1460, wscale=3), ACK, data(1))
case("SACK alone", ECHO, Send("S", 0, mss=1460, sack_ok=True), ACK, data(11), data(1))
case("timestamps alone", ECHO, Send("S", 0, mss=1460, ts=(5, 0)), Send(".", ts=(6, 0)))
case("a window shift above 14", ECHO, Send("S", 0, mss=1460, wscale=15), ACK, data(1))
case("a small MSS", SOURCE, Send("S", 0, mss=536), ACK)
case("nobody listens", NOBODY, SYN)
case("an ACK where nobody listens", NOBODY, Send(".", 5, ack=77))
case("text where nobody listens", NOBODY, Send("P.", 5, b"abc", ack=77))
case("a FIN without ACK where nobody listens", NOBODY, Send("F", 5))
case("a RST where nobody listens", NOBODY, Send("R", 5))
case("no flags where nobody listens", NOBODY, Send("-", 5, b"ab"))
case("an ACK to a listener", ECHO, Send(".", 5, ack=77))
case("a RST to a listener", ECHO, Send("R", 5))
case("a FIN to a listener", ECHO, Send("F", 5))
case("no flags to a listener", ECHO, Send("-", 5))
case("SYN and FIN to a listener", ECHO, Send("SF", 0))
case("SYN and RST to a listener", ECHO, Send("SR", 0))
case("SYN, FIN, PSH and URG to a listener", ECHO, Send("SFPU", 0))
case("a SYN twice", ECHO, SYN, SYN, ACK, data(1))
case("a wrong ACK in the handshake", ECHO, SYN, Send(".", ack=5), ACK, data(1))
case("an ACK of nothing in the handshake", ECHO, SYN, Send(".", ack=0), ACK, data(1))
case("a RST in the handshake", ECHO, SYN, Send("R", 1), ACK)
case("a RST beside the window in the handshake", ECHO, SYN, Send("R", 100_000), ACK, data(1))
case("text with the last ACK", ECHO, SYN, data(1), ACK)
case("text and FIN with the last ACK", ECHO, SYN, Send("FP.", 1, b"bye"), ACK)
case("a SYN with text", ECHO, Send("S", 0, b"early", mss=1460), ACK, data(1))
case("an unknown option", ECHO, Send("S", 0, raw=b"\x02\x04\x05\xb4\xc8\x04\x00\x00"), ACK)
case("an option of length 0", ECHO, Send("S", 0, raw=b"\x02\x04\x05\xb4\x13\x00\x01\x01"), ACK)
case("an MSS option of length 3", ECHO, Send("S", 0, raw=b"\x02\x03\x05\x00"), ACK)
case(
    "MD5 unasked for",
    ECHO,
    Send("S", 0, raw=b"\x02\x04\x05\xb4\x13\x12" + bytes(16) + b"\1\1"),
    differs="RFC 2385 gives no rule for who has no key: the kernel drops what carries a digest "
    "that it has no key for; here the option is unknown, and skipped (RFC 9293 3.1, "
    "MUST-6)",
)

# -- established ----------------------------------------------------------------------------

case("text is echoed", ECHO, SYN, ACK, data(1), ACK, data(11), ACK)
case("text without PSH", ECHO, SYN, ACK, Send(".", 1, b"abc"), ACK)
case("two segments at once", ECHO, SYN, ACK, [data(1), data(11)], ACK)
case("text twice", ECHO, SYN, ACK, data(1), data(1), ACK)
case("text that overlaps what came", ECHO, SYN, ACK, data(1, 10), data(6, 10), ACK)
case("a hole and its filling", ECHO, SYN, ACK, data(11), data(1), ACK)
case(
    "a hole with SACK",
    ECHO,
    Send("S", 0, mss=1460, sack_ok=True),
    ACK,
    data(11),
    data(31),
    data(1),
    differs="RFC 2018 3: text carries no SACK blocks here; an acknowledgement of its own, sent "
    "before it, does",
)
case("text in order, then far beyond the window", DISCARD, SYN, ACK, data(1), data(10_000_000))
case("text before the window", DISCARD, SYN, ACK, data(1), data(-5000 & 0xFFFFFFFF))
case("no ACK flag", DISCARD, SYN, ACK, Send("P", 1, b"abc"), data(1))
case("an ACK of what was not sent", DISCARD, SYN, ACK, Send(".", 1, ack=50_000), data(1))
case("an ACK far too old", DISCARD, SYN, ACK, Send(".", 1, ack=-100_000), data(1))
case("an old ACK", ECHO, SYN, ACK, data(1), ACK, Send(".", 11, ack=1), data(11))
case("text with an ACK of what was not sent", DISCARD, SYN, ACK, data(1, ack=50_000), data(1))
case("a SYN in the window", DISCARD, SYN, ACK, Send("S", 5), data(1))
case("a SYN beside the window", DISCARD, SYN, ACK, Send("S", 1_000_000), data(1))
case("a SYN-ACK again", DISCARD, SYN, ACK, Send("S.", 0), data(1))
case(
    "urgent text is in line",
    ECHO,
    SYN,
    ACK,
    Send("PU.", 1, b"abc", urgent=3),
    Send(".", 4),
    data(4),
    differs="RFC 6093 3: the kernel keeps the last urgent octet out of the stream unless asked "
    "otherwise (SO_OOBINLINE); here it is always in line",
)
case(
    "urgent pointer without text",
    ECHO,
    SYN,
    ACK,
    Send("U.", 1, urgent=9),
    data(1),
    ACK,
    differs="RFC 6093 3: the kernel takes the octet that the pointer names out of the stream when "
    "it comes; here it is always in line",
)

case("every flag at once", DISCARD, SYN, ACK, Send("SFRPU.", 1), data(1))
case("keepalive of the prober's", DISCARD, SYN, ACK, Send(".", 0), data(1))
case("keepalive with an octet", DISCARD, SYN, ACK, Send(".", 0, b"x"), data(1))

# -- windows --------------------------------------------------------------------------------

case("a stream into a small window", SOURCE, SYN, Send(".", win=1000), Send(".", win=1000))
case("a stream into a shut window", SOURCE, SYN, Send(".", win=0), Send(".", win=65535))
case("a window that shrinks", SOURCE, SYN, Send(".", win=3000), Send(".", ack=1, win=100))
case("a stream acknowledged as it comes", SOURCE, SYN, ACK, ACK, ACK)
case("a window below a segment", SOURCE, SYN, Send(".", win=500), Send(".", win=500))

# -- timestamps -----------------------------------------------------------------------------

TS = Send("S", 0, mss=1460, ts=(1000, 0))
case(
    "a timestamp that is too old",
    DISCARD,
    TS,
    Send(".", ts=(1001, 0)),
    data(1, ts=(900, 0)),
    data(1, ts=(1002, 0)),
)
case(
    "a timestamp that is missing",
    DISCARD,
    TS,
    Send(".", ts=(1001, 0)),
    data(1),
    data(1, ts=(1002, 0)),
    differs="RFC 7323 3.2: a segment without the option that was agreed on SHOULD be dropped; the "
    "kernel takes it",
)

case("timestamps nobody agreed on", DISCARD, SYN, ACK, data(1, ts=(9, 9)))
case(
    "a hole does not move TS.Recent",
    DISCARD,
    TS,
    Send(".", ts=(1001, 0)),
    data(11, ts=(1005, 0)),
    data(1, ts=(1006, 0)),
)
case(
    "a RST with an old timestamp",
    DISCARD,
    TS,
    Send(".", ts=(1001, 0)),
    Send("R", 1, ts=(5, 0)),
    data(1, ts=(1002, 0)),
)

# -- resets ---------------------------------------------------------------------------------

case("a RST exactly at RCV.NXT", DISCARD, SYN, ACK, Send("R", 1), data(1))
case("a RST in the window", DISCARD, SYN, ACK, Send("R", 100), data(1))
case("a RST at the window's edge", DISCARD, SYN, ACK, Send("R", 1_000_000), data(1))
case("a RST before the window", DISCARD, SYN, ACK, Send("R", 0), data(1))
case("a RST with text", DISCARD, SYN, ACK, Send("R", 1, b"reason"), data(1))
case("a RST and ACK", DISCARD, SYN, ACK, Send("R.", 1), data(1))
case("the application aborts", ABORT, SYN, ACK, data(1), data(11))

# -- closing --------------------------------------------------------------------------------

case("the prober closes", ECHO, SYN, ACK, Send("F.", 1), Send(".", 2))
case("the prober closes with text", ECHO, SYN, ACK, Send("FP.", 1, b"bye"), Send(".", 5))
case(
    "a FIN twice",
    ECHO,
    SYN,
    ACK,
    Send("F.", 1),
    Send("F.", 1),
    Send(".", 2),
    differs="RFC 9293 3.10.7.4, first: a segment wholly before the window is answered and "
    "dropped; the kernel still takes its acknowledgement, when it ends where the last "
    "window began",
)

case(
    "text after a FIN",
    ECHO,
    SYN,
    ACK,
    Send("F.", 1, ack=1),
    Send("P.", 2, b"abc", ack=1),
    differs="RFC 9293 3.10.7.4, seventh: such text is ignored; here its sender is told where we "
    "are",
)
case("a FIN out of order", ECHO, SYN, ACK, Send("F.", 11), data(1), Send(".", 12))
case("the server closes first", CLOSE, SYN, ACK, ACK, Send("F.", 1), Send(".", 2))
case("both close at once", CLOSE, SYN, Send("F.", 1, ack=1), Send(".", 2))
case(
    "text to a connection whose application is gone",
    CLOSE,
    SYN,
    ACK,
    ACK,
    data(1),
    differs="RFC 9293 3.6.1 (SHLD-3): the kernel resets, for its application has closed the whole "
    ""
    "connection; here `close` ends our sending only, as its contract says, and text is still read",
)
case("a FIN in TIME-WAIT", CLOSE, SYN, ACK, ACK, Send("F.", 1), Send("F.", 1))
case(
    "a RST in TIME-WAIT",
    CLOSE,
    SYN,
    ACK,
    ACK,
    Send("F.", 1),
    Send("R", 2),
    Send("F.", 1),
    differs="RFC 1337 4: TIME-WAIT is not ended by a RST here, against old duplicates; the kernel "
    "does so unless net.ipv4.tcp_rfc1337 is set",
)

case("a SYN in TIME-WAIT", CLOSE, SYN, ACK, ACK, Send("F.", 1), Send("S", 1_000_000, mss=1460))
case("half closed, text still goes in", HALF, SYN, ACK, data(1), ACK, data(11), Send("F.", 21))
case("an ACK beyond the FIN", CLOSE, SYN, ACK, Send(".", 1, ack=99), ACK)
case("a RST in FIN-WAIT", CLOSE, SYN, ACK, Send("R", 1), data(1))
case("a SYN in CLOSE-WAIT", SOURCE, SYN, ACK, Send("F.", 1), Send("S", 2))
case(
    "a SYN in FIN-WAIT-2",
    CLOSE,
    SYN,
    ACK,
    ACK,
    Send("S", 5),
    differs="RFC 5961 4.2: a challenge; the kernel has put the connection, whose application is "
    "gone, into its TIME-WAIT table, where a SYN is refused",
)
