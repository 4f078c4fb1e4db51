"""ICMPv6: echoes and errors that cannot be (RFC 4443, RFC 5927, RFC 8201)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tests.malformed import frames, frames6
from tests.malformed.bench import Bench, Row
from tests.malformed.frames6 import HERE, ICMP, THERE, Bench6, echo, icmp, ipv6

LAYER = "ICMPv6"


def quoting(bench: Bench, at: int, value: int, size: int) -> bytes:
    """Port unreachable about something we sent, one field of the quote changed."""
    return icmp(1, 4, 0, bytes(frames.put(bench.quote(), at, value, size)))


def other_sequences(bench: Bench) -> Iterator[bytes]:
    una, nxt = bench.tcb.snd_una, bench.tcb.snd_nxt
    for seq in (una - 1, nxt, nxt + 1, una + (1 << 31), 0):
        yield quoting(bench, 44, seq % 2**32, 4)


def unchanged(bench: Bench) -> None:
    assert bench.signature() == bench.in_state


def not_under_1220(bench: Bench) -> None:
    assert bench.tcb.snd_mss >= 1220 - 12, bench.tcb.snd_mss


def row(name: str, made: Callable[[Bench], Iterable[bytes]], **more: Any) -> Row:
    return Row(LAYER, name, made, bench=Bench6, **more)


ROWS = [
    row("fewer than 8 octets (CVE-2020-17443)",
        lambda b: [ipv6(ICMP, echo()[:n]) for n in range(8)],
        drop="icmpv6_short"),
    row("checksum",
        lambda b: [frames.put(ipv6(ICMP, echo()), 56, c, 2) for c in (0, 0x1234, 0xFFFF)],
        drop="icmpv6_bad_checksum"),
    row("an echo of nothing, of one octet, of the most that fits, of any code",
        lambda b: [ipv6(ICMP, echo(data)) for data in (b"", b"x", bytes(1452))]
        + [icmp(128, code) for code in (1, 255)],
        right="E", drop=None, pins=("RFC 4443 4.2",)),
    row("types that do not exist, or that ask what we do not tell",
        lambda b: [icmp(kind, 0, 0, bytes(40)) for kind in (138, 139, 140, 150, 200, 255)],
        drop="icmpv6_unknown_type", pins=("RFC 4443 2.4",)),
    row("errors that quote too little",
        lambda b: [icmp(kind, 0, 1400, b.quote()[:n]) for kind in (1, 3, 4)
                   for n in (0, 1, 39)],
        drop="icmpv6_bad_quote", state="SYN-SENT", check=unchanged),
    row("errors that quote no whole head of a segment",
        lambda b: [icmp(1, 4, 0, b.quote()[:n]) for n in range(40, 48)],
        drop="icmp_bad_quote", state="SYN-SENT", check=unchanged),
    row("errors about nothing of ours",
        lambda b: [quoting(b, 40, 9, 2), quoting(b, 42, 9, 2), quoting(b, 36, 99, 4)],
        drop="icmp_bad_quote", state="SYN-SENT", check=unchanged),
    row("errors about what was never spoken",
        lambda b: [quoting(b, 6, 253, 1), quoting(b, 0, 0x45, 1), quoting(b, 6, 59, 1)],
        drop="icmpv6_bad_quote", state="SYN-SENT", check=unchanged),
    row("errors about sequence numbers that are not outstanding", other_sequences,
        drop="icmp_bad_quote", state="SYN-SENT", check=unchanged, pins=("RFC 5927 4.1",)),
    row("too big for an MTU under 1280",
        lambda b: [icmp(2, 0, mtu, b.quote()) for mtu in (0, 1, 68, 576, 1279)],
        drop="icmpv6_bad_mtu", state="ESTABLISHED, sending", check=unchanged,
        pins=("RFC 8201 4",)),
    row("too big, with an MTU that is none",
        lambda b: [icmp(2, 0, mtu, b.quote()) for mtu in (1500, 1520, 9000, 0xFFFF_FFFF)],
        drop=None, state="ESTABLISHED, sending", check=not_under_1220),
    row("unknown errors, in a connection that stands",
        lambda b: [icmp(kind, 0, 0, b.quote()) for kind in (0, 5, 99, 127)],
        drop=None, state="ESTABLISHED, sending", check=unchanged),
    row("an error about an error",
        lambda b: [icmp(1, 4, 0, ipv6(ICMP, frames6.icmp_body(1), HERE, THERE)[14:])],
        drop="icmp_bad_quote"),
]  # fmt: skip
