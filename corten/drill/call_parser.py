"""System calls of a script: NAME(arguments) = result [ERRNO] [(note)]."""

from __future__ import annotations

from corten.drill.cursor import Cursor
from corten.drill.error import ScriptError
from corten.drill.lexer import (
    ELLIPSIS,
    END,
    FLOAT,
    HEX,
    INTEGER,
    IPV4,
    IPV6,
    STRING,
    WORD,
)
from corten.drill.nodes import (
    Alternatives,
    Apply,
    Array,
    Call,
    Expression,
    Member,
    Number,
    Open,
    Struct,
    Text,
    Word,
)


def parse_call(cursor: Cursor) -> Call:
    """A call from its name, or from the `...` of a blocking one, on."""
    end_ns = None
    if cursor.accept(ELLIPSIS):
        end_ns = cursor.time_ns()
    name = cursor.expect(WORD).text
    cursor.expect("(")
    arguments = _list(cursor, ")")
    cursor.expect("=")
    result = parse_expression(cursor)
    errno = ""
    if cursor.is_at(WORD):
        errno = cursor.take().text
    if cursor.accept("("):
        note = _note(cursor)
        if not errno and note[:1] == "E" and note.isupper() and result == Number(-1):
            errno = note
    return Call(name, arguments, result, errno, end_ns)


def _note(cursor: Cursor) -> str:
    """What stands between the brackets; the opening one is taken."""
    words = []
    depth = 1
    while depth:
        token = cursor.take()
        if token.kind == END:
            cursor.fail("')'")
        depth += {"(": 1, ")": -1}.get(token.kind, 0)
        if depth:
            words.append(token.text)
    return " ".join(words)


def _list(cursor: Cursor, close: str) -> list[Expression]:
    """Expressions between commas, up to the closing token."""
    parts: list[Expression] = []
    while not cursor.accept(close):
        parts.append(parse_expression(cursor))
        if not cursor.is_at(close):
            cursor.expect(",")
    return parts


def parse_expression(cursor: Cursor) -> Expression:
    """One expression, with `|` and `NAME = …`."""
    first = _term(cursor)
    if not cursor.is_at("|"):
        return first
    parts = [first]
    while cursor.accept("|"):
        parts.append(_term(cursor))
    return Alternatives(parts)


def _term(cursor: Cursor) -> Expression:
    token = cursor.peek()
    if token.kind == ELLIPSIS:
        cursor.take()
        return Open()
    if token.kind in (INTEGER, HEX):
        return Number(cursor.integer())
    if token.kind == FLOAT:
        return Text(cursor.take().text)
    if token.kind in (IPV4, IPV6):
        return Text(cursor.take().text)
    if token.kind == STRING:
        return _text(cursor)
    if token.kind == "[":
        cursor.take()
        return Array(_list(cursor, "]"))
    if token.kind == "{":
        cursor.take()
        return Struct(_list(cursor, "}"))
    if token.kind == WORD:
        return _named(cursor)
    raise ScriptError(f"expected an argument, not {token.text or token.kind!r}", token.line)


def _text(cursor: Cursor) -> Expression:
    """Strings side by side are one; dots after them: it may go on."""
    value = ""
    while cursor.is_at(STRING):
        value += cursor.take().text
    return Text(value, cursor.accept(ELLIPSIS) is not None)


def _named(cursor: Cursor) -> Expression:
    """WORD, WORD(…), WORD = …, WORD(…) = …"""
    name = cursor.take().text
    arguments: list[Expression] | None = None
    if cursor.accept("("):
        arguments = _list(cursor, ")")
    if cursor.accept("="):
        return Member(name, arguments or [], parse_expression(cursor))
    return Word(name) if arguments is None else Apply(name, arguments)
