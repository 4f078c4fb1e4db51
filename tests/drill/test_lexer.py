"""Tokens: the longest match wins, and variants are chosen before."""

from __future__ import annotations

import pytest

from corten.drill.error import ScriptError
from corten.drill.lexer import Lexer, choose


def kinds(text: str, **defines: str) -> list[tuple[str, str]]:
    return [(token.kind, token.text) for token in Lexer(text, defines).tokens()][:-1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("+0...0.200", [("+", "+"), ("integer", "0"), ("...", "..."), ("float", "0.200")]),
        ("+.1...0.200", [("+", "+"), ("float", ".1"), ("...", "..."), ("float", "0.200")]),
        ("3021b9d8", [("word", "3021b9d8")]),
        ("0x3f 63 -1", [("hex", "0x3f"), ("integer", "63"), ("integer", "-1")]),
        ("1:1001(1000)", [("integer", "1"), (":", ":"), ("integer", "1001"), ("(", "("),
                          ("integer", "1000"), (")", ")")]),
        ("192.0.2.1 fd3d::1", [("IPv4 address", "192.0.2.1"), ("IPv6 address", "fd3d::1")]),
        ("::ffff:192.0.2.1", [("IPv6 address", "::ffff:192.0.2.1")]),
        ("S.5", [("word", "S"), ("float", ".5")]),
        ('"a\\n\\x41"', [("string", "a\nA")]),
        ("`a\nb` %{ x = 1 }%", [("command", "a\nb"), ("code", "x = 1")]),
        ("--mss=1000", [("option", "mss"), ("=", "="), ("integer", "1000")]),
        ("a // b\nc /* d\n */ e", [("word", "a"), ("word", "c"), ("word", "e")]),
    ],
)  # fmt: skip
def test_tokens(text: str, expected: list[tuple[str, str]]) -> None:
    assert kinds(text) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('"x"', ("string", "x")),
        ("`x`", ("command", "x")),
        ("0x1F", ("hex", "0x1F")),
        ("12", ("integer", "12")),
        ("net_unreachable", ("word", "net_unreachable")),
    ],
)
def test_a_defined_word_is_replaced(value: str, expected: tuple[str, str]) -> None:
    assert kinds("CODE", CODE=value) == [expected]


def test_lines_are_counted_through_everything() -> None:
    tokens = Lexer("a\n/* \n */ b\n`\n\n` c").tokens()
    assert [token.line for token in tokens[:-1]] == [1, 3, 4, 6]


@pytest.mark.parametrize("text", ["`open", '"open'])
def test_an_open_quotation_is_an_error(text: str) -> None:
    with pytest.raises(ScriptError, match="without its other end"):
        Lexer(text).tokens()


def test_standard_is_chosen() -> None:
    text = "#ifdef STANDARD\na\n#endif\n#ifdef FreeBSD\nb\n#else\nc\n#endif\nd"
    assert choose(text) == "\na\n\n\n\n\nc\n\nd"


def test_without_a_standard_variant_linux_is_chosen() -> None:
    assert choose("#ifdef Linux\na\n#else\nb\n#endif").split() == ["a"]


@pytest.mark.parametrize("text", ["#ifdef A\nb", "#endif", "#else"])
def test_unbalanced_variants_are_an_error(text: str) -> None:
    with pytest.raises(ScriptError):
        choose(text)
