"""Packets of a script: `<` or `>`, headers around, then TCP, ICMP, or what is parsed only.

Rules. Everything of the public grammar parses; what this tool cannot run becomes a `Foreign` node
that names it, so that the report can.
"""

from __future__ import annotations

from corten.drill.cursor import Cursor
from corten.drill.error import ScriptError
from corten.drill.lexer import (
    CODE,
    ELLIPSIS,
    END,
    FLOAT,
    HEX,
    INTEGER,
    OPTION,
    QUOTED,
    WORD,
)
from corten.drill.nodes import (
    ANY,
    Foreign,
    Icmp,
    IpInfo,
    Mutation,
    Option,
    Packet,
    Sequence,
    Tcp,
)
from corten.drill.option_parser import parse_option

LETTERS = {
    "F": 1, "S": 2, "R": 4, "P": 8, "U": 32, "E": 64, "W": 128, "C": 128, "A": 256,
}  # fmt: skip
ACK = 16
ACE_SHIFT = 6  # ECE, CWR and AE are neighbours
_ECN = ("noecn", "ect0", "ect1", "ce", "ect01")
_FOREIGN = ("sctp", "udp", "udplite")


def parse_packet(cursor: Cursor) -> Packet:
    """A packet from its direction on."""
    is_inbound = cursor.take().kind == "<"
    packet = Packet(is_inbound, Foreign(""))
    while _encapsulation(cursor, packet):
        pass
    early = None
    if cursor.is_at("[", INTEGER) or _quotes_foreign(cursor):
        early = Icmp("")  # the older form: `[1:1461(1460)] icmp …`
        _quote(cursor, early)
    elif cursor.is_at("[") or cursor.is_at("("):
        packet.ip = _ip_info(cursor)
    packet.body = _body(cursor)
    if early is not None and isinstance(packet.body, Icmp):
        packet.body.quote, packet.body.quote_protocol = early.quote, early.quote_protocol
    if cursor.accept("{"):
        packet.mutations.append(_mutation(cursor))
        while cursor.accept(";"):
            packet.mutations.append(_mutation(cursor))
        cursor.expect("}")
    return packet


def _quotes_foreign(cursor: Cursor) -> bool:
    return cursor.is_at("[", WORD) and cursor.peek(1).text in _FOREIGN


def _encapsulation(cursor: Cursor, packet: Packet) -> bool:
    """One outer header, if there is one: `ipv4 ADDRESS > ADDRESS:`, gre …:, mpls …:, encap psp …"""
    if cursor.accept_word("encap"):
        packet.tunnels.append(cursor.expect(WORD).text)
        while cursor.is_at(WORD, INTEGER):  # `spi 7`
            cursor.take()
            cursor.take()
        return True
    if not cursor.is_word("ipv4", "ipv6", "gre", "mpls"):
        return False
    packet.tunnels.append(cursor.take().text)
    while not cursor.is_at(":"):
        if cursor.is_at(END):
            cursor.fail("':' after an outer header")
        cursor.take()
    cursor.take()
    return True


def _ip_info(cursor: Cursor) -> IpInfo:
    """`[ect0]`, `(tos 0x2)`, `(flowlabel 0x1)`, `[ce, ttl 64]`"""
    close = "]" if cursor.take().kind == "[" else ")"
    info = IpInfo()
    while not cursor.accept(close):
        token = cursor.expect(WORD)
        if token.text in _ECN:
            info.ecn = token.text
        elif token.text in ("tos", "class"):
            info.tos = cursor.integer()
        elif token.text in ("ttl", "hlim"):
            info.ttl = cursor.integer()
        elif token.text == "flowlabel":
            info.flow_label = cursor.integer()
        elif token.text == "ecn":
            info.ecn = cursor.expect(WORD).text
        else:
            raise ScriptError(f"no such item of an IP header: {token.text}", token.line)
        cursor.accept(",")
    return info


def _body(cursor: Cursor) -> Tcp | Icmp | Foreign:
    ports = _ports(cursor)
    if cursor.is_word(*_FOREIGN):
        return _foreign(cursor)
    if cursor.accept_word("icmp"):
        return _icmp(cursor)
    tcp = _tcp(cursor)
    tcp.ports = ports
    return tcp


def _ports(cursor: Cursor) -> tuple[int, int] | None:
    if not cursor.is_at(INTEGER, ">", INTEGER):
        return None
    source = cursor.integer()
    cursor.take()
    return source, cursor.integer()


def _foreign(cursor: Cursor) -> Foreign:
    """UDP, UDP-Lite and SCTP: everything up to the next event."""
    what = cursor.take().text
    first = cursor.at
    depth = 0
    while not cursor.is_at(END):
        if depth == 0 and cursor.is_first_on_line() and _begins_event(cursor):
            break
        depth += {"[": 1, "{": 1, "(": 1, "]": -1, "}": -1, ")": -1}.get(cursor.take().kind, 0)
    return Foreign(what, " ".join(token.text for token in cursor.tokens[first : cursor.at]))


def _begins_event(cursor: Cursor) -> bool:
    return cursor.peek().kind in ("+", "*", FLOAT, INTEGER, QUOTED, CODE, OPTION)


# -- TCP -----------------------------------------------------------------------------------------


def _tcp(cursor: Cursor) -> Tcp:
    flags, ace = _flags(cursor)
    tcp = Tcp(flags, _sequence(cursor), ace=ace)
    if cursor.accept_word("ack"):
        tcp.ack = cursor.integer()
        tcp.ack_is_absolute = cursor.accept("!") is not None
    if cursor.accept_word("win"):
        tcp.win = ANY if cursor.accept(ELLIPSIS) else cursor.integer()
    if cursor.accept_word("urg"):
        tcp.urg = cursor.integer()
    tcp.options = _options(cursor)
    if cursor.is_at("["):  # what a diagnostic RST carries
        while cursor.take().kind != "]":
            if cursor.is_at(END):
                cursor.fail("']'")
    if cursor.accept("/"):
        tcp.tunnel = _tunnel(cursor)
    return tcp


def _flags(cursor: Cursor) -> tuple[int, int | None]:
    """`S`, `S.`, `.`, `-`, `SEWA`, `S.5` (ACK and the AccECN counter 5)."""
    token = cursor.take()
    if token.kind == "-":
        return 0, None
    flags = 0
    if token.kind == WORD:
        for letter in token.text:
            if letter not in LETTERS:
                raise ScriptError(f"no such TCP flag: {letter}", token.line)
            flags |= LETTERS[letter]
        if not (cursor.is_at(".") or cursor.is_at(FLOAT)):
            return flags, None
        token = cursor.take()
    if token.kind == ".":
        return flags | ACK, None
    if token.kind == FLOAT and len(token.text) == 2:
        ace = int(token.text[1])
        if ace <= 7:
            return flags | ACK | ace << ACE_SHIFT, ace
    raise ScriptError(f"expected TCP flags, not {token.text!r}", token.line)


def _sequence(cursor: Cursor) -> Sequence:
    """`start:stop(length)`, `...(length)`, either with `!`"""
    line = cursor.peek().line
    start = stop = ANY
    is_open = cursor.accept(ELLIPSIS) is not None
    if not is_open:
        start = cursor.integer()
        cursor.expect(":")
        stop = cursor.integer()
    cursor.expect("(")
    length = cursor.integer()
    cursor.expect(")")
    if not is_open and (start + length - stop) & 0xFFFFFFFF:
        raise ScriptError(f"{start}:{stop}({length}): the end is not start + length", line)
    return Sequence(start, length, is_open, cursor.accept("!") is not None)


def _options(cursor: Cursor) -> list[Option] | None:
    """`<…>`; [] where nothing is written, None for `<...>`."""
    if not cursor.is_at("<"):
        return []
    cursor.take()
    if cursor.is_at(ELLIPSIS, ">"):
        cursor.take()
        cursor.take()
        return None
    options = []
    while True:
        options.append(parse_option(cursor))
        if cursor.accept(">"):
            return options
        cursor.expect(",")


def _tunnel(cursor: Cursor) -> tuple[int, int]:
    """`/ udp(1 > 9811)`"""
    if not cursor.accept_word("udp"):
        cursor.fail("udp(…) after '/'")
    cursor.expect("(")
    source = cursor.integer()
    cursor.expect(">")
    target = cursor.integer()
    cursor.expect(")")
    return source, target


def _mutation(cursor: Cursor) -> Mutation:
    """`rep tcp data_off 0x0F`, `ins tcp 20 0x0204`, `trun tcp 0 20`"""
    line = cursor.peek().line
    op, header = cursor.expect(WORD).text, cursor.expect(WORD).text
    place = cursor.take().text
    value = b""
    if op == "trun":
        value = cursor.integer().to_bytes(4, "big")
    elif cursor.is_at(HEX) or cursor.is_at(WORD):
        value = cursor.blob()
    else:
        number = cursor.integer()
        value = number.to_bytes(max(1, (number.bit_length() + 7) // 8), "big")
    if op not in ("rep", "ins", "trun") or header not in ("tcp", "ipv4", "ipv6"):
        raise ScriptError(f"no such change of a packet: {op} {header}", line)
    return Mutation(op, header, place, value)


# -- ICMP ----------------------------------------------------------------------------------------


def _icmp(cursor: Cursor) -> Icmp:
    """`icmp TYPE [CODE] [mtu N] [id N] [quote]`"""
    icmp = Icmp(cursor.expect(WORD).text)
    if cursor.is_at(WORD) and not cursor.is_word("mtu", "id", "ptr"):
        icmp.code = cursor.take().text
    while cursor.is_word("mtu", "id", "ptr"):
        name, value = cursor.take().text, cursor.integer()
        if name == "mtu":
            icmp.mtu = value
        elif name == "id":
            icmp.id = value
    if cursor.accept("("):
        icmp.length = cursor.integer()
        cursor.expect(")")
    if cursor.is_at("["):
        _quote(cursor, icmp)
    return icmp


def _quote(cursor: Cursor, icmp: Icmp) -> None:
    """What an error quotes: the sequence numbers of a segment, or another protocol's length."""
    cursor.expect("[")
    if cursor.is_at(INTEGER, ":") or cursor.is_at(ELLIPSIS):
        icmp.quote = _sequence(cursor)
        if cursor.accept("/"):
            _tunnel(cursor)
            icmp.quote_protocol = "tcp over udp"
    else:
        icmp.quote_protocol = cursor.expect(WORD).text
    while not cursor.accept("]"):
        if cursor.is_at(END):
            cursor.fail("']'")
        cursor.take()
