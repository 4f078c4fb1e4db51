"""TCP options between the script's words and the octets of a header."""

from __future__ import annotations

import struct

from corten.drill.error import Unsupported
from corten.drill.flow import U32, Flow
from corten.drill.nodes import Option

EOL, NOP, MSS, WSCALE, SACK_OK, SACK, TS, MD5, FO, EXP = 0, 1, 2, 3, 4, 5, 8, 19, 34, 254
KINDS = {
    "eol": EOL, "nop": NOP, "mss": MSS, "wscale": WSCALE, "sackOK": SACK_OK, "sack": SACK,
    "TS": TS, "md5": MD5, "FO": FO, "FOEXP": EXP,
}  # fmt: skip
_FAST_OPEN_MAGIC = b"\xf9\x89"
_NAMES = {kind: name for name, kind in KINDS.items()}


def kind_of(option: Option) -> int:
    """The kind of an option that this tool can build and compare."""
    if option.name not in KINDS:
        raise Unsupported(f"TCP option {option.text}")
    return KINDS[option.name]


def body_of(option: Option, flow: Flow, syn: bool) -> bytes:
    """The body of an inbound option, its numbers mapped."""
    if option.name == "mss":
        return struct.pack("!H", option.values[0] & 0xFFFF)
    if option.name == "wscale":
        return bytes([option.values[0] & 0xFF])
    if option.name == "sack":
        base = flow.stack_base(syn)
        return b"".join(struct.pack("!I", value + base & U32) for value in option.values)
    if option.name == "TS":
        value, echo = option.values
        live = echo if option.is_absolute else flow.stamp_of(echo)
        return struct.pack("!2I", value & U32, live & U32)
    if option.name == "md5":
        return option.blob or bytes(16)
    if option.name == "FOEXP":
        return _FAST_OPEN_MAGIC + option.blob
    return option.blob


def encode_options(options: list[Option], flow: Flow, syn: bool) -> bytes:
    """The octets of an inbound segment's options, as written: no padding but what is said."""
    octets = b""
    for option in options:
        kind = kind_of(option)
        if kind in (EOL, NOP):
            octets += bytes([kind])
            continue
        body = body_of(option, flow, syn)
        octets += bytes([kind, 2 + len(body)]) + body
    return octets


def option_text(kind: int, body: bytes, flow: Flow) -> str:
    """An option the stack has sent, in the script's words and numbers."""
    name = _NAMES.get(kind, f"option-{kind}")
    if kind == MSS and len(body) == 2:
        return f"mss {int.from_bytes(body, 'big')}"
    if kind == WSCALE and len(body) == 1:
        return f"wscale {body[0]}"
    if kind == TS and len(body) == 8:
        value, echo = struct.unpack("!2I", body)
        return f"TS val {flow.script_stamp(value)} ecr {echo}"
    if kind == SACK and len(body) % 8 == 0:
        edges = [(edge - flow.peer_base(False)) & U32 for (edge,) in struct.iter_unpack("!I", body)]
        pairs = zip(edges[::2], edges[1::2], strict=True)
        return "sack " + " ".join(f"{left}:{right}" for left, right in pairs)
    return f"{name} {body.hex()}".strip()
