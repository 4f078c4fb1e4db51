"""A script from text to nodes, by recursive descent: options, an opening command, events, a closing
command. Grammar and meaning are those of packetdrill, with the dialects of nplab and EmNetTest."""

from __future__ import annotations

import re

from corten.drill.call_parser import parse_call
from corten.drill.cursor import Cursor
from corten.drill.error import ScriptError
from corten.drill.lexer import CODE, ELLIPSIS, END, OPTION, QUOTED, WORD, Lexer, choose
from corten.drill.nodes import (
    ABSOLUTE,
    ANYTIME,
    RANGE,
    RELATIVE,
    RELATIVE_RANGE,
    Action,
    Code,
    Command,
    Event,
    Packet,
    Script,
    When,
)
from corten.drill.packet_parser import parse_packet

DEFINED = {  # words that the public suites have defined by whoever runs them
    "TFO_COOKIE": "3021b9d889017eeb",
    "CMSG_LEVEL_IP": "SOL_IP",
    "CMSG_TYPE_RECVERR": "IP_RECVERR",
    "MSS": "1460",
}
_MARK = re.compile(r"^\s*//\s*requirement:\s*(.+?)\s*$", re.MULTILINE)
_TRAILING = re.compile(r"^\s*(?://\s*)?#\s*allow-trailing\b", re.MULTILINE)


def marks_of(text: str) -> list[str]:
    """The requirements a script says it pins: `// requirement: RFC 9293 MUST-13`."""
    marks = []
    for line in _MARK.findall(text):
        marks += [
            re.sub(r"^RFC 9293 (?=(MUST|SHLD|MAY|REC)-)", "", mark.strip())
            for mark in line.split(",")
        ]
    return marks


def parse_script(text: str, defines: dict[str, str] | None = None) -> Script:
    """The nodes of a script. ScriptError names the line of what cannot be understood."""
    known = {**DEFINED, **(defines or {}), **_defines(text)}
    cursor = Cursor(Lexer(choose(text), known).tokens())
    script = Script([], marks=marks_of(text), allows_trailing=bool(_TRAILING.search(text)))
    script.lines = text.split("\n")
    while cursor.is_at(OPTION):
        script.options.append(_option(cursor))
    if cursor.is_at(QUOTED):
        script.opening = cursor.take().text
    while not cursor.is_at(END):
        if cursor.is_at(QUOTED) and cursor.peek(1).kind == END:
            script.closing = cursor.take().text
            break
        script.events.append(_event(cursor))
    if not script.events:
        raise ScriptError("a script needs at least one event", cursor.peek().line)
    _check_events(script)
    return script


def _defines(text: str) -> dict[str, str]:
    """`--define=NAME=value` in the script itself, which holds for all of it."""
    found = re.findall(r"^--define=(\w+)=(\"[^\"]*\"|`[^`]*`|\S+)", text, re.MULTILINE)
    return dict(found)


def _option(cursor: Cursor) -> tuple[str, str]:
    """`--name` or `--name=value`; the value is what follows without a gap."""
    name = cursor.take().text
    value = ""
    if cursor.accept("="):
        token = cursor.take()
        value = token.text
        while cursor.peek().start == token.stop and not cursor.is_at(END):
            token = cursor.take()
            value += token.text
    return name, value


def _event(cursor: Cursor) -> Event:
    line = cursor.peek().line
    when = _when(cursor)
    action = _action(cursor)
    if when.kind not in (ABSOLUTE, RELATIVE) and not (
        isinstance(action, Packet) and not action.is_inbound
    ):
        raise ScriptError("only an outbound packet may come at any time, or in a range", line)
    return Event(when, action, line)


def _when(cursor: Cursor) -> When:
    if cursor.accept("*"):
        return When(ANYTIME)
    if cursor.accept("+"):
        start = cursor.time_ns()
        if not cursor.accept("~"):
            return When(RELATIVE, start)
        cursor.expect("+")
        return When(RELATIVE_RANGE, start, cursor.time_ns())
    start = cursor.time_ns()
    if cursor.accept("~"):
        return When(RANGE, start, cursor.time_ns())
    return When(ABSOLUTE, start)


def _action(cursor: Cursor) -> Action:
    token = cursor.peek()
    if token.kind in ("<", ">"):
        return parse_packet(cursor)
    if token.kind == QUOTED:
        return Command(cursor.take().text)
    if token.kind == CODE:
        return Code(cursor.take().text)
    if token.kind in (ELLIPSIS, WORD):
        return parse_call(cursor)
    raise ScriptError(f"expected a packet, call, command or code, not {token.text!r}", token.line)


def _check_events(script: Script) -> None:
    """What the grammar leaves to say."""
    for event in script.events:
        when = event.when
        if when.kind in (RANGE, RELATIVE_RANGE) and when.end_ns < when.start_ns:
            raise ScriptError("the range ends before it begins", event.line)
