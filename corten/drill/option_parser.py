"""TCP options as scripts write them: `mss 1460`, `TS val 100 ecr 0`, `sack 1:5 7:9`, `FO 1f2e`."""

from __future__ import annotations

from corten.drill.cursor import Cursor
from corten.drill.lexer import ELLIPSIS, END, HEX, INTEGER, WORD, Token
from corten.drill.nodes import ANY, Option

_FAST_OPEN = {"FO": "FO", "FOEXP": "FOEXP", "EXP-FO": "FOEXP", "exp-FO": "FOEXP"}


def parse_option(cursor: Cursor) -> Option:
    """One option, up to the comma or bracket after it."""
    name = _name(cursor)
    option = Option(name, text=name)
    if name in ("mss", "wscale"):
        option.values = [_number(cursor)]
    elif name == "sack":
        while cursor.is_at(INTEGER):
            option.values.append(cursor.integer())
            cursor.expect(":")
            option.values.append(cursor.integer())
    elif name == "TS":
        _timestamps(cursor, option)
    elif name in _FAST_OPEN:
        option.name = _FAST_OPEN[name]
        option.blob = cursor.blob() if _has_more(cursor) else b""
    elif name == "md5":
        if not cursor.accept_word("valid") and _has_more(cursor):
            option.blob = cursor.blob()
    elif name not in ("nop", "eol", "sackOK"):
        _unknown(cursor, option)
    return option


def _name(cursor: Cursor) -> str:
    """A word, or words and numbers joined by dashes: `exp-AccECN0`, `exp-tarr`."""
    name = cursor.expect(WORD).text
    while cursor.is_at("-") and _touches(cursor, cursor.peek(-1)):
        cursor.take()
        name += "-" + cursor.take().text
    return name


def _touches(cursor: Cursor, before: Token) -> bool:
    return cursor.peek().start == before.stop


def _has_more(cursor: Cursor) -> bool:
    return not (cursor.is_at(",") or cursor.is_at(">") or cursor.is_at(END))


def _number(cursor: Cursor) -> int:
    """A number, or ANY for `...`."""
    return ANY if cursor.accept(ELLIPSIS) else cursor.integer()


def _timestamps(cursor: Cursor, option: Option) -> None:
    for word in ("val", "ecr"):
        if not cursor.accept_word(word):
            cursor.fail(f"{word!r} of TS")
        option.values.append(_number(cursor))
    option.is_absolute = cursor.accept("!") is not None


def _unknown(cursor: Cursor, option: Option) -> None:
    """AccECN's and experimental options, and whatever a dialect adds: name and the rest."""
    parts = [option.name]
    while _has_more(cursor):
        token = cursor.take()
        parts.append(token.text)
        if token.kind in (INTEGER, HEX):
            option.values.append(int(token.text, 0 if token.kind == HEX else 10))
    option.text = " ".join(parts)
    option.name = "AccECN" if "ECN" in option.name else "unknown"
