"""Packets as a script would write them: for traces and for what is said about a difference."""

from __future__ import annotations

from corten.drill.flow import U32, Flow
from corten.drill.option_code import option_text
from corten.drill.seen import Seen, SeenIcmp, SeenTcp

SYN, ACK, URG = 2, 16, 32
_LETTERS = ((1, "F"), (2, "S"), (4, "R"), (8, "P"), (32, "U"), (64, "E"), (128, "W"), (256, "A"))


def flags_text(flags: int) -> str:
    """`S.` for SYN and ACK; `-` for none."""
    text = "".join(letter for bit, letter in _LETTERS if flags & bit)
    return text + ("." if flags & ACK else "") or "-"


def tcp_text(seen: SeenTcp, flow: Flow) -> str:
    """A segment of the stack's in the script's numbers."""
    syn = seen.flags & SYN != 0
    seq = seen.seq - flow.stack_base(syn) & U32
    if syn and flow.stack_isn is None:
        seq = 0
    length = len(seen.payload)
    parts = [flags_text(seen.flags), f"{seq}:{seq + length & U32}({length})"]
    if seen.flags & ACK:
        parts.append(f"ack {seen.ack - flow.peer_base(syn) & U32}")
    parts.append(f"win {seen.window}")
    if seen.urgent:
        parts.append(f"urg {seen.urgent}")
    if seen.options:
        options = ",".join(option_text(kind, body, flow) for kind, body in seen.options)
        parts.append(f"<{options}>")
    return " ".join(parts)


def seen_text(seen: Seen, flow: Flow) -> str:
    """Any packet of the stack's."""
    if isinstance(seen, SeenTcp):
        ecn = ("", "[ect1] ", "[ect0] ", "[ce] ")[seen.ip.tos & 3]
        return ecn + tcp_text(seen, flow)
    if isinstance(seen, SeenIcmp):
        return f"icmp type_{seen.type} code_{seen.code}"
    return f"a packet of protocol {seen.ip.protocol}"


def seconds(time_ns: int) -> str:
    return f"{time_ns / 1e9:.6f}"
