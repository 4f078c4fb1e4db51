"""A place among the tokens of a script, and what the parsers ask of it."""

from __future__ import annotations

from corten.drill.error import ScriptError
from corten.drill.lexer import END, FLOAT, HEX, INTEGER, WORD, Token

SECOND_NS = 1_000_000_000


class Cursor:
    """Tokens to take, one after the other; a mistake names its line."""

    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens
        self.at = 0

    def peek(self, ahead: int = 0) -> Token:
        """The token that comes next, or so many after it; END at the end."""
        return self.tokens[min(self.at + ahead, len(self.tokens) - 1)]

    def take(self) -> Token:
        token = self.peek()
        if token.kind != END:
            self.at += 1
        return token

    def is_at(self, *kinds: str) -> bool:
        """Whether the next tokens are of these kinds."""
        return all(self.peek(i).kind == kind for i, kind in enumerate(kinds))

    def is_word(self, *names: str) -> bool:
        """Whether the next token is one of these words."""
        token = self.peek()
        return token.kind == WORD and token.text in names

    def accept(self, kind: str) -> Token | None:
        """Take the next token if it is of this kind."""
        return self.take() if self.peek().kind == kind else None

    def accept_word(self, name: str) -> bool:
        if self.is_word(name):
            self.take()
            return True
        return False

    def expect(self, kind: str) -> Token:
        """Take the next token, which must be of this kind."""
        if self.peek().kind != kind:
            self.fail(kind)
        return self.take()

    def fail(self, wanted: str) -> None:
        """Raise ScriptError: something else was expected here."""
        token = self.peek()
        found = token.text.split("\n")[0] or token.kind
        raise ScriptError(f"expected {wanted}, not {found!r}", token.line)

    def is_first_on_line(self) -> bool:
        """Whether the next token begins a line."""
        return self.at == 0 or self.peek().line > self.peek(-1).line

    def integer(self) -> int:
        """A number, decimal or 0x…"""
        if not (self.is_at(INTEGER) or self.is_at(HEX)):
            self.fail("a number")
        return int(self.take().text, 0 if self.peek(-1).kind == HEX else 10)

    def time_ns(self) -> int:
        """Seconds, at least 0, as nanoseconds."""
        if not (self.is_at(FLOAT) or self.is_at(INTEGER)):
            self.fail("a time in seconds")
        text = self.take().text
        if text.startswith("-"):
            raise ScriptError(f"a time cannot be negative: {text}", self.peek(-1).line)
        whole, _, part = text.partition(".")
        return int(whole or "0") * SECOND_NS + int((part + "0" * 9)[:9])

    def blob(self) -> bytes:
        """Octets as hex digits, with or without 0x; the token may look like a word or a number."""
        token = self.take()
        digits = token.text.removeprefix("0x")
        try:
            return bytes.fromhex(digits if len(digits) % 2 == 0 else "0" + digits)
        except ValueError:
            raise ScriptError(f"expected hex digits, not {token.text!r}", token.line) from None
