"""Whether what the stack sent is what the script expects: octet for octet, or as a switch allows.

Rules. Where the original looks away this does not: the echoed timestamp, the TCP checksum (in
`seen`) and every octet of data are compared too. A run of segments counts as the one that a script
expects where they add up to it (`joined`): each repeats the first one's flags, acknowledgement and
window, starts where the last one ended, and all but the last are of one size.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import replace

from corten.drill.error import Differs
from corten.drill.flow import U32, Flow
from corten.drill.icmp_name import code_number, type_number
from corten.drill.leniency import Leniency
from corten.drill.nodes import ANY, Icmp, IpInfo, Option, Tcp
from corten.drill.option_code import (
    EOL,
    NOP,
    SACK,
    TS,
    WSCALE,
    encode_options,
    kind_of,
    option_text,
)
from corten.drill.pattern import first_difference
from corten.drill.render import flags_text
from corten.drill.seen import Header, Seen, SeenIcmp, SeenTcp

FIN, SYN, PSH, ACK, CWR = 1, 2, 8, 16, 128
_ECN = {"noecn": (0,), "ect1": (1,), "ect0": (2,), "ect01": (1, 2), "ce": (3,)}

Content = Callable[[int, int], bytes]  # (position, length) -> what the application wrote there


def compare_ip(info: IpInfo, ip: Header) -> None:
    """ECN, TOS, TTL and flow label, where the script gives them."""
    if info.ecn is not None and ip.tos & 3 not in _ECN[info.ecn]:
        raise Differs(f"ECN bits {ip.tos & 3:02b} instead of {info.ecn}")
    if info.tos is not None and ip.tos != info.tos:
        raise Differs(f"tos 0x{ip.tos:02x} instead of 0x{info.tos:02x}")
    if info.ttl is not None and ip.ttl != info.ttl:
        raise Differs(f"ttl {ip.ttl} instead of {info.ttl}")
    if info.flow_label is not None and ip.flow_label != info.flow_label:
        raise Differs(f"flowlabel 0x{ip.flow_label:x} instead of 0x{info.flow_label:x}")


class TcpComparison:
    """One expected segment against one that was sent."""

    def __init__(self, flow: Flow, leniency: Leniency, tick_us: int, content: Content) -> None:
        """`tick_us`: of the stack's timestamps; 0: TS val is not compared."""
        self.flow = flow
        self.leniency = leniency
        self.tick_us = tick_us
        self.content = content

    def compare(self, tcp: Tcp, seen: SeenTcp) -> None:
        """Differs, unless the segment is the expected one."""
        syn = seen.flags & SYN != 0
        if seen.reserved:
            raise Differs(f"reserved bits {seen.reserved:03b} are set")
        self._flags(tcp, seen)
        base = self.flow.stack_base(syn)
        if not tcp.seq.is_open:
            wanted = tcp.seq.start + (0 if tcp.seq.is_absolute else base) & U32
            if seen.seq != wanted:
                raise Differs(f"seq {seen.seq - base & U32} instead of {tcp.seq.start}")
        if len(seen.payload) != tcp.seq.length:
            raise Differs(f"{len(seen.payload)} octets of data instead of {tcp.seq.length}")
        self._ack(tcp, seen, syn)
        self._window(tcp, seen)
        if seen.urgent != (tcp.urg or 0):
            raise Differs(f"urg {seen.urgent} instead of {tcp.urg or 0}")
        self._options(tcp.options, seen, syn)
        self.data(seen)

    def _flags(self, tcp: Tcp, seen: SeenTcp) -> None:
        wanted, found = tcp.flags, seen.flags
        if wanted != found and (wanted ^ found) == PSH and self.leniency.psh == "ignore":
            self.leniency.use("psh")
            return
        if wanted != found:
            raise Differs(f"flags {flags_text(found)} instead of {flags_text(wanted)}")

    def _ack(self, tcp: Tcp, seen: SeenTcp, syn: bool) -> None:
        base = self.flow.peer_base(syn)
        wanted = 0
        if tcp.ack is not None:
            wanted = tcp.ack + (0 if tcp.ack_is_absolute else base) & U32
        if seen.flags & ACK and seen.ack != wanted:
            raise Differs(f"ack {seen.ack - base & U32} instead of {tcp.ack}")

    def _window(self, tcp: Tcp, seen: SeenTcp) -> None:
        if tcp.win is None or tcp.win in (ANY, seen.window):
            return
        mode = self.leniency.win
        if mode == "ignore" or (
            mode == "zero-nonzero" and (tcp.win == 0) == (seen.window == 0)
        ):  # fmt: skip
            self.leniency.use("win")
            return
        raise Differs(f"win {seen.window} instead of {tcp.win}")

    # -- options ----------------------------------------------------------------------------

    def _options(self, wanted: list[Option] | None, seen: SeenTcp, syn: bool) -> None:
        if wanted is None:
            self._note_stamp(None, seen)
            return
        kinds = [kind_of(option) for option in wanted]
        found = [kind for kind, _ in seen.options]
        if kinds == found:
            try:
                for option, (kind, body) in zip(wanted, seen.options, strict=True):
                    self._option(option, kind, body, seen, exact=True)
                return
            except Differs:
                if self.leniency.options == "exact":
                    raise
        if self.leniency.options == "exact":
            self._note_stamps(wanted, seen)
            text = ",".join(option_text(kind, body, self.flow) for kind, body in seen.options)
            raise Differs(f"options <{text}> instead of <{_written(wanted)}>")
        self._options_as_set(wanted, seen)
        self.leniency.use("options")

    def _options_as_set(self, wanted: list[Option], seen: SeenTcp) -> None:
        """Kinds and values; NOP, EOL and the order are free, and so are wscale and TS val."""
        left = [(kind, body) for kind, body in seen.options if kind not in (NOP, EOL)]
        for option in wanted:
            kind = kind_of(option)
            if kind in (NOP, EOL):
                continue
            match = next((item for item in left if item[0] == kind), None)
            if match is None:
                raise Differs(f"option {option.text} is missing")
            left.remove(match)
            self._option(option, kind, match[1], seen, exact=False)
        if left:
            text = ",".join(option_text(kind, body, self.flow) for kind, body in left)
            raise Differs(f"options <{text}> were not expected")

    def _option(self, option: Option, kind: int, body: bytes, seen: SeenTcp, exact: bool) -> None:
        if kind == TS:
            self._stamps(option, body, exact)
            return
        if kind == WSCALE and not exact:
            return
        if kind in (NOP, EOL) or ANY in option.values:
            return
        if kind == SACK:
            base = self.flow.peer_base(False)
            octets = b"".join(struct.pack("!I", value + base & U32) for value in option.values)
        else:
            octets = encode_options([option], self.flow, False)[2:]
        if octets != body:
            text = option_text(kind, body, self.flow)
            raise Differs(f"option {text} instead of {_written([option])}")

    def _stamps(self, option: Option, body: bytes, exact: bool) -> None:
        value, echo = struct.unpack("!2I", body)
        written, wanted_echo = option.values
        if written != ANY and not option.is_absolute and exact and self.tick_us:
            self._check_stamp(written, value)
        self.flow.note_stamp(None if written == ANY else written, value)
        if wanted_echo not in (ANY, echo):
            raise Differs(f"TS ecr {echo} instead of {wanted_echo}")

    def _check_stamp(self, written: int, value: int) -> None:
        """The stack's clock counts milliseconds; the script's ticks may be of another length."""
        if self.flow.first_stamp is None:
            return
        first, live = self.flow.first_stamp
        ticks = (value - live & U32) * 1000 // self.tick_us
        if abs(ticks - (written - first)) > max(1, 4000 // self.tick_us):
            raise Differs(f"TS val {first + ticks} instead of {written}")

    def _note_stamps(self, wanted: list[Option], seen: SeenTcp) -> None:
        stamp = next((option for option in wanted if option.name == "TS"), None)
        self._note_stamp(stamp.values[0] if stamp and stamp.values[0] != ANY else None, seen)

    def _note_stamp(self, written: int | None, seen: SeenTcp) -> None:
        body = seen.option(TS)
        if body is not None and len(body) == 8:
            self.flow.note_stamp(written, int.from_bytes(body[:4], "big"))

    # -- data -------------------------------------------------------------------------------

    def data(self, seen: SeenTcp) -> None:
        """The octets are those that the application wrote at this place of the stream."""
        if not seen.payload or self.flow.stack_isn is None:
            return
        position = seen.seq - self.flow.stack_isn + (seen.flags & SYN != 0) & U32
        wanted = self.content(position, len(seen.payload))
        if wanted != seen.payload:
            where = position + first_difference(wanted, seen.payload)
            raise Differs(f"the octet at {where} is not what the application wrote")


def _written(options: Sequence[Option]) -> str:
    parts = []
    for option in options:
        values = ["..." if value == ANY else str(value) for value in option.values]
        if option.name == "TS":
            parts.append(f"TS val {values[0]} ecr {values[1]}")
        elif option.name == "sack":
            pairs = zip(values[::2], values[1::2], strict=True)
            parts.append("sack " + " ".join(f"{left}:{right}" for left, right in pairs))
        else:
            parts.append(" ".join([option.name, *values]))
    return ",".join(parts)


def joined(segments: list[SeenTcp], following: SeenTcp) -> None:
    """Differs, unless `following` continues a run of segments as a card would have cut it."""
    first, last = segments[0], segments[-1]
    free = FIN | PSH | CWR
    if first.flags & ~free != following.flags & ~free:
        raise Differs(f"flags {flags_text(following.flags)} within a run of segments")
    if (first.ack, first.window) != (following.ack, following.window):
        raise Differs("another ack or win within a run of segments")
    if last.seq + len(last.payload) & U32 != following.seq:
        raise Differs("a gap within a run of segments")
    if len(last.payload) != len(first.payload) or len(following.payload) > len(first.payload):
        raise Differs("segments of several sizes within a run")
    if not following.payload:
        raise Differs("a segment without data within a run")


def whole(segments: list[SeenTcp]) -> SeenTcp:
    """A run of segments as the one that a script expects: FIN and PSH are the last one's."""
    first, last = segments[0], segments[-1]
    flags = first.flags & ~(FIN | PSH) | last.flags & (FIN | PSH)
    payload = b"".join(segment.payload for segment in segments)
    return replace(first, flags=flags, payload=payload)


def compare_icmp(icmp: Icmp, seen: Seen) -> None:
    """Type, code and MTU of an ICMP message."""
    if not isinstance(seen, SeenIcmp):
        raise Differs("this is no ICMP message")
    version = seen.ip.version
    if seen.type != type_number(version, icmp.type):
        raise Differs(f"ICMP type {seen.type} instead of {icmp.type}")
    if seen.code != code_number(version, icmp.code):
        raise Differs(f"ICMP code {seen.code} instead of {icmp.code or 0}")
    if icmp.mtu is not None and seen.rest & 0xFFFF != icmp.mtu:
        raise Differs(f"mtu {seen.rest & 0xFFFF} instead of {icmp.mtu}")
