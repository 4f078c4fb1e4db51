"""What an end may say: one function a rule, each with the text it comes from.

A rule looks at an `End` (what it said and heard so far) and at the segment it says now, and calls
`fail` with a sentence when the segment is not allowed. The order is that of `RULES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from corten.sim.end import End
from corten.sim.packet import ACK, FIN, RST, SYN, Segment

SECOND = 1_000_000_000
Fail = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """The figures the rules compare with; a test that configures a stack otherwise says so here."""

    rto_floor_ns: int = SECOND // 5
    syn_rto_ns: int = SECOND
    rto_cap_ns: int = 60 * SECOND
    delayed_ack_ns: int = SECOND // 2  # RFC 9293 MUST-40: less than 0.5 s
    slack_ns: int = 5_000_000  # how exact the stack's timers are
    mtu: int = 1500


def after(a: int, b: int) -> bool:
    """a is after b, modulo 2**32."""
    return 0 < (a - b) & 0xFFFFFFFF < 1 << 31


def packet_size(end: End, segment: Segment, now: int, limits: Limits, fail: Fail) -> None:
    """RFC 9293 MUST-16: no more than the peer's MSS, less options; nor than the MTU."""
    if segment.ip_len > limits.mtu:
        fail(f"a packet of {segment.ip_len} octets on a link with MTU {limits.mtu}")
    default = 1220 if ":" in segment.source else 536
    mss = default if end.peer_syn.mss is None else end.peer_syn.mss
    if segment.payload and len(segment.payload) + segment.options_len > max(mss, 48):
        fail(
            f"{len(segment.payload)} octets and {segment.options_len} of options,"
            f" but the peer's MSS is {mss} (MUST-16)"
        )


def syn_options(end: End, segment: Segment, now: int, limits: Limits, fail: Fail) -> None:
    """MSS, window scale and SACK-permitted only on a SYN; on a SYN-ACK only what was offered."""
    options = segment.options
    if not segment.flags & SYN:
        if options.mss is not None:
            fail("MSS on a segment without SYN (RFC 9293 MUST-65)")
        if options.wscale is not None:
            fail("window scale on a segment without SYN (RFC 7323 2.2)")
        if options.sack_permitted:
            fail("SACK-permitted on a segment without SYN (RFC 2018 2)")
        return
    if options.wscale is not None and options.wscale > 14:
        fail(f"a window shift of {options.wscale} (RFC 7323 2.3)")
    if segment.flags & ACK and end.irs is not None:
        if options.wscale is not None and end.peer_syn.wscale is None:
            fail("window scale on a SYN-ACK though the SYN had none (RFC 7323 2.2)")
        if options.sack_permitted and not end.peer_syn.sack_permitted:
            fail("SACK-permitted on a SYN-ACK though the SYN had none (RFC 2018 2)")
        if options.timestamps and not end.peer_syn.timestamps:
            fail("timestamps on a SYN-ACK though the SYN had none (RFC 7323 3.2)")


def timestamps(end: End, segment: Segment, now: int, limits: Limits, fail: Fail) -> None:
    """RFC 7323 3.2: on every segment once agreed; the clock never goes back; echoes are true."""
    stamps = segment.options.timestamps
    if not segment.flags & SYN:
        if stamps is None:
            if end.timestamped:
                fail("no timestamps though both SYNs had them (RFC 7323 3.2)")
            return
        if not end.timestamped:
            fail("timestamps that were not agreed upon (RFC 7323 3.2)")
    if stamps is None:
        return
    value, echo = stamps
    if end.tsval is not None and after(end.tsval, value):
        fail(f"TSval went back from {end.tsval} to {value} (RFC 7323 4.1)")
    if segment.flags & ACK:
        if echo not in end.tsvals_heard:
            fail(f"TSecr {echo} echoes nothing that the peer has sent (RFC 7323 4.3)")
        if end.tsecr is not None and after(end.tsecr, echo):
            fail(f"TSecr went back from {end.tsecr} to {echo} (RFC 7323 4.3)")
        end.tsecr = echo
    end.tsval = value
    if end.first_tsval is None:
        end.first_tsval = value


def syn_spacing(end: End, segment: Segment, now: int, limits: Limits, fail: Fail) -> None:
    """A SYN goes out again after the RTO, and each time after twice as long (RFC 6298 5.5)."""
    if not segment.flags & SYN:
        return
    asked = any(heard.flags & SYN for heard in end.breath.heard)
    times = end.syn_times
    if asked:
        times.clear()  # an answer to a SYN, not a retransmission; the timer may go on beside it
        return
    if times:
        gap = now - times[-1]
        least = limits.syn_rto_ns
        if len(times) > 1:
            least = min(2 * (times[-1] - times[-2]), limits.rto_cap_ns)
        if gap < least - limits.slack_ns:
            fail(f"a SYN again after {gap / 1e6:g} ms, {least / 1e6:g} is the least (RFC 6298 5.5)")
        if len(times) > 1 and gap > least + least // 10 + limits.slack_ns:
            fail(f"a SYN again only after {gap / 1e6:g} ms, due at {least / 1e6:g} (RFC 6298 5.5)")
    times.append(now)


def fin_place(end: End, segment: Segment, now: int, limits: Limits, fail: Fail) -> None:
    """The FIN has one place, nothing comes after it, and never without a handshake."""
    start = end.own_offset(segment.seq)
    stop = start + segment.span
    if segment.flags & FIN:
        if segment.flags & SYN or end.irs is None:
            fail("a FIN before the handshake")
        if end.fin_at is not None and stop - 1 != end.fin_at:
            fail(f"the FIN moved from {end.fin_at} to {stop - 1}")
        if end.fin_at is None and stop - 1 < end.snd_max:
            fail(f"a FIN at {stop - 1} though data up to {end.snd_max} was sent")
    elif end.fin_at is not None and segment.payload and stop > end.fin_at:
        fail(f"octets up to {stop} after a FIN at {end.fin_at}")
    if segment.payload and end.irs is None:
        fail("data before the handshake")


def peer_window(end: End, segment: Segment, now: int, limits: Limits, fail: Fail) -> None:
    """No data beyond the window that the peer offered; a probe of one octet at its edge is."""
    if not segment.payload or end.edge_heard is None:
        return
    start = end.own_offset(segment.seq)
    stop = start + len(segment.payload)
    if stop <= end.edge_heard:
        return
    if len(segment.payload) == 1 and start == max(end.edge_heard, end.acked):
        return  # RFC 9293 3.8.6.1
    fail(f"data up to {stop}, but the peer's window ends at {end.edge_heard}")


def capable(end: End, segment: Segment, now: int, limits: Limits, fail: Fail) -> None:
    """ECN-capable is new data alone (RFC 3168 6.1.1, 6.1.4, 6.1.5)."""
    if segment.ecn == 0:
        return
    if segment.flags & SYN or not segment.payload:
        fail("a SYN or a segment without data is sent as ECN-capable (RFC 3168 6.1.4)")
    if end.own_offset(segment.seq) < end.snd_max:
        fail("a retransmission is sent as ECN-capable (RFC 3168 6.1.5)")


def retransmission(end: End, segment: Segment, now: int, limits: Limits, fail: Fail) -> None:
    """The same octets again: only after an RTO, or with duplicate ACKs or SACK as the reason."""
    start = end.own_offset(segment.seq)
    stop = start + segment.span
    if segment.flags & SYN or stop == start:
        return
    pieces = end.ledger.overlapping(start, stop)
    first = next((piece for piece in pieces if piece.start <= end.acked < piece.end), None)
    # from below what is acknowledged: the timer and the acknowledgement came at one instant
    if start < end.acked or (first and now - first.sent_ns >= limits.rto_floor_ns):
        end.timeout_ns = now
    for piece in pieces:
        waited = now - piece.sent_ns
        if piece.beyond_window or waited >= limits.rto_floor_ns:
            continue
        if piece.sent_ns < max(end.evidence_ns, end.timeout_ns) or piece.end <= end.acked:
            continue
        oldest = now - end.ledger.pieces[0].sent_ns
        if _is_probe(end, stop, waited, oldest >= limits.rto_floor_ns):
            end.probe_edge = stop
            continue
        fail(
            f"octets {max(start, piece.start)}..{min(stop, piece.end)} again after"
            f" {waited / 1e6:g} ms without a reason (RFC 6298 5, RFC 5681 3.2)"
        )
    window = end.edge_heard
    beyond = bool(segment.payload) and window is not None and stop > window
    # the end may have refused the segment that opened the window, and so still probe
    beyond = beyond or (len(segment.payload) == 1 and start == end.acked)
    stamps = segment.options.timestamps
    tsval = stamps[0] if stamps else None
    end.ledger.put(max(start, end.acked), max(stop, end.acked), now, beyond, tsval)


def _is_probe(end: End, stop: int, waited: int, is_due: bool) -> bool:
    """A tail loss probe: the last segment again, one at a time, after two round trips or (`is_due`)
    in place of the time-out of the first one (RFC 8985 7.2, 7.3)."""
    if stop != end.snd_max or not end.selective or end.probe_edge is not None:
        return False
    return is_due or waited >= 2 * (end.min_rtt_ns or 0)


def back_off(end: End, segment: Segment, now: int, limits: Limits, fail: Fail) -> None:
    """In silence the gaps between time-outs double (RFC 6298 5.5)."""
    times = end.timeouts
    if end.timeout_ns != now or (times and times[-1] == now):
        return
    if len(times) > 1:
        least = min(2 * (times[-1] - times[-2]), limits.rto_cap_ns)
        if now - times[-1] < least - limits.slack_ns:
            fail(f"time-outs {(now - times[-1]) / 1e6:g} ms apart: they must double (RFC 6298 5.5)")
    times.append(now)


def same_octets(end: End, segment: Segment, now: int, limits: Limits, fail: Fail) -> None:
    """What is sent again is what was sent; what is new follows what was sent."""
    if segment.flags & SYN:
        return
    start = end.own_offset(segment.seq)
    if start > end.snd_max:
        fail(f"octets from {start}, but only {end.snd_max} came before: a hole")
    if not segment.payload:
        return
    at = start - end.stream_at
    payload = segment.payload
    if at < 0:
        payload, at = payload[-at:], 0
    known = bytes(end.stream[at : at + len(payload)])
    if payload[: len(known)] != known:
        fail(f"octets {start}..{start + len(segment.payload)} are not what was sent there before")
    end.stream += payload[len(known) :]


def acknowledgement(end: End, segment: Segment, now: int, limits: Limits, fail: Fail) -> None:
    """An ACK never goes back, nor beyond what was received."""
    if not segment.flags & ACK:
        if end.irs is not None and not segment.flags & SYN:
            fail("a segment without ACK in a synchronized state (RFC 9293 3.10.7.4)")
        return
    ack = end.peer_offset(segment.ack)
    if ack > end.frontier():
        fail(f"acknowledges {ack}, but only {end.frontier()} has been received")
    if ack < end.ack_sent:
        fail(f"the ACK went back from {end.ack_sent} to {ack}")


def right_edge(end: End, segment: Segment, now: int, limits: Limits, fail: Fail) -> None:
    """The window's right edge never retreats (RFC 9293 SHLD-14), but for the scale's rounding; and
    a SYN said again can say no more than 64 KiB, whatever was said since (RFC 7323 2.2)."""
    again = segment.flags & SYN and segment.window == 0xFFFF and end.edge_sent is not None
    if not segment.flags & ACK or again:
        return
    shift = 0 if segment.flags & SYN else end.own_shift
    edge = end.peer_offset(segment.ack) + (segment.window << shift)
    if end.edge_sent is not None and edge + (1 << end.own_shift) <= end.edge_sent:
        fail(f"the window's right edge retreated from {end.edge_sent} to {edge} (SHLD-14)")
    end.edge_sent = edge if end.edge_sent is None else max(edge, end.edge_sent)


def sack_blocks(end: End, segment: Segment, now: int, limits: Limits, fail: Fail) -> None:
    """SACK only if the peer permitted it, and only octets that were received beyond the ACK."""
    blocks = segment.options.sack
    if not blocks:
        return
    if segment.flags & SYN or not end.peer_syn.sack_permitted:
        fail("SACK blocks though the peer did not permit them (RFC 2018 2)")
    ack = end.peer_offset(segment.ack)
    ranges = [(end.peer_offset(left), end.peer_offset(right)) for left, right in blocks]
    for i, (left, right) in enumerate(ranges):
        if left >= right:
            fail(f"an empty SACK block {left}:{right}")
        if not end.heard.covers(left, right):
            fail(f"SACK block {left}:{right} holds octets that were not received (RFC 2018 4)")
        duplicate = i == 0 and (
            right <= ack or (len(ranges) > 1 and ranges[1][0] <= left and right <= ranges[1][1])
        )
        if not duplicate and left <= ack:
            fail(f"SACK block {left}:{right} is not beyond the ACK {ack} (RFC 2018 3)")


def silence(end: End, segment: Segment, now: int, limits: Limits, fail: Fail) -> None:
    """After both sides closed an end only answers, with an ACK; and no ACK without a cause."""
    if end.dead:
        fail("a segment of a connection that was reset")
    pure = not segment.span
    if end.closed:
        asked = any(not heard.flags & RST for heard in end.breath.heard)
        if not pure:
            fail("octets again after both sides closed")
        elif not asked:
            fail("an ACK after both sides closed that nobody asked for")
    if pure and not segment.flags & SYN:
        end.breath.acks_said += 1
        if end.breath.acks_said > len(end.breath.heard) + 2:
            fail(f"{end.breath.acks_said} ACKs for {len(end.breath.heard)} segments in a breath")


RULES = (
    silence,
    packet_size,
    syn_options,
    timestamps,
    syn_spacing,
    fin_place,
    peer_window,
    same_octets,
    capable,
    retransmission,
    back_off,
    acknowledgement,
    right_edge,
    sack_blocks,
)


def reset(end: End, segment: Segment, now: int, limits: Limits, fail: Fail) -> None:
    """RST: an answer to a segment (RFC 9293 3.5.2) or the application's abort, never to a RST."""
    if segment.options.sack or segment.options.mss is not None:
        fail("SACK or MSS on a RST")
    causes = [heard for heard in end.breath.heard if not heard.flags & RST]
    if not causes and not end.may_reset:
        if end.breath.heard:
            fail("a RST answers a RST (RFC 9293 3.5.2)")
        fail("a RST that nothing called for")
    for heard in causes:
        if heard.flags & ACK and segment.seq == heard.ack:
            return
        expected = (heard.seq + heard.span) & 0xFFFFFFFF
        if not heard.flags & ACK and segment.seq == 0 and segment.ack == expected:
            return
    if end.iss is not None:
        at = end.own_offset(segment.seq)
        if end.acked <= at <= end.snd_max:
            return
    fail(f"a RST with sequence number {segment.seq}, which no peer can accept (RFC 9293 3.5.2)")


def owed(end: End, now: int, limits: Limits, fail: Fail) -> None:
    """Data is acknowledged in less than 0.5 s (RFC 9293 MUST-40)."""
    if end.dead or end.owed_since is None:
        return
    if now - end.owed_since >= limits.delayed_ack_ns:
        fail(f"data unacknowledged for {(now - end.owed_since) / 1e6:g} ms (MUST-40)")


def owed_at_once(end: End, limits: Limits, fail: Fail) -> None:
    """At the end of a breath no two full segments are left unacknowledged (RFC 9293 SHLD-19)."""
    if end.dead:
        return
    mss = end.syn.mss or 536
    mss = min(mss, limits.mtu - 40) - (12 if end.timestamped else 0)
    if end.owed_octets >= 2 * mss:
        fail(f"{end.owed_octets} octets unacknowledged, two full segments (SHLD-19)")
