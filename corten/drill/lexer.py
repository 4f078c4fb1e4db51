"""A script cut into tokens.

Strategy. At each place the longest of the patterns wins, and of equally long ones the first, as in
the original: so `3021b9d8` is a word, `1:1001` two integers, and `0...0.200` integer, dots, float.
Words that were defined from outside (`--define`) are replaced here.

Rules. `#ifdef` lines are seen to before: lines that are not chosen become empty, so that line
numbers stay true. Of several variants STANDARD is the one that follows the RFC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from corten.drill.error import ScriptError

# kinds of tokens; any other character is its own kind
FLOAT, INTEGER, HEX, WORD, STRING = "float", "integer", "hex", "word", "string"
QUOTED, CODE, OPTION, ELLIPSIS = "command", "code", "option", "..."
IPV4, IPV6, END = "IPv4 address", "IPv6 address", "the end of the script"

_GROUP = "[0-9a-fA-F]{1,4}"
_DOTTED = r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+"
_SKIP = re.compile(r"(?:\s+|//[^\n]*|/\*.*?\*/)+", re.DOTALL)
_DELIMITED = [
    (CODE, re.compile(r"%\{(.*?)\}%", re.DOTALL)),
    (QUOTED, re.compile(r"`([^`]*)`")),
    (STRING, re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)),
    (OPTION, re.compile(r"--([a-zA-Z0-9_]+)")),
    (ELLIPSIS, re.compile(r"\.\.\.")),
]
_PATTERNS = [
    (IPV4, re.compile(_DOTTED)),
    (
        IPV6,
        re.compile(
            f"(?:(?:{_GROUP}:){{7}}{_GROUP}"
            f"|(?:{_GROUP}(?::{_GROUP})*)?::(?:(?:{_GROUP}:)*(?:{_DOTTED}|{_GROUP}))?)"
        ),
    ),
    (FLOAT, re.compile(r"-?[0-9]*\.[0-9]+")),
    (INTEGER, re.compile(r"-?[0-9]+")),
    (HEX, re.compile(r"0x[0-9a-fA-F]+")),
    (WORD, re.compile(r"[a-zA-Z0-9_]+")),
]
_DIRECTIVE = re.compile(r"\s*#\s*(ifdef|ifndef|else|endif|allow-trailing)\b\s*(\w*)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "\\": "\\", '"': '"'}


@dataclass(slots=True)
class Token:
    """A piece of the script: its kind, what it means, and where it stands."""

    kind: str
    text: str
    line: int
    start: int
    stop: int


def choose(text: str) -> str:
    """The script with one variant of each `#ifdef`; the lines of the others are empty."""
    known = {"STANDARD"} if re.search(r"#\s*ifdef\s+STANDARD\b", text) else {"STANDARD", "Linux"}
    lines: list[str] = []
    stack: list[bool] = []
    for number, line in enumerate(text.split("\n"), 1):
        found = _DIRECTIVE.match(line)
        if found is None:
            lines.append(line if all(stack) else "")
            continue
        lines.append("")
        word, symbol = found.groups()
        if word in ("ifdef", "ifndef"):
            stack.append((symbol in known) == (word == "ifdef"))
        elif word != "allow-trailing" and not stack:
            raise ScriptError(f"#{word} without #ifdef", number)
        elif word == "else":
            stack[-1] = not stack[-1]
        elif word == "endif":
            stack.pop()
    if stack:
        raise ScriptError("#ifdef without #endif", len(lines))
    return "\n".join(lines)


class Lexer:
    """Tokens of one script, one after the other."""

    def __init__(self, text: str, defines: dict[str, str] | None = None) -> None:
        self.text = text
        self.at = 0
        self.line = 1
        self.defines = defines or {}

    def tokens(self) -> list[Token]:
        """All of them; the last one is END."""
        found = [self._next()]
        while found[-1].kind != END:
            found.append(self._next())
        return found

    def _next(self) -> Token:
        skipped = _SKIP.match(self.text, self.at)
        if skipped is not None:
            self._move(skipped.end())
        if self.at >= len(self.text):
            return Token(END, "", self.line, self.at, self.at)
        for kind, pattern in _DELIMITED:
            match = pattern.match(self.text, self.at)
            if match is not None:
                inner = match.group(1) if match.groups() else match.group()
                return self._token(kind, _inner(kind, inner), match.end())
        if self.text[self.at] in '`"':
            raise ScriptError(f"{self.text[self.at]} without its other end", self.line)
        return self._longest()

    def _longest(self) -> Token:
        best_kind, best_end = "", self.at
        for kind, pattern in _PATTERNS:
            match = pattern.match(self.text, self.at)
            if match is not None and match.end() > best_end:
                best_kind, best_end = kind, match.end()
        if not best_kind:
            character = self.text[self.at]
            return self._token(character, character, self.at + 1)
        word = self.text[self.at : best_end]
        if best_kind == WORD and word in self.defines:
            return self._defined(self.defines[word], best_end)
        return self._token(best_kind, word, best_end)

    def _defined(self, value: str, end: int) -> Token:
        """A word that stands for something else."""
        if value[:1] == '"':
            return self._token(STRING, value[1:-1], end)
        if value[:1] == "`":
            return self._token(QUOTED, value[1:-1], end)
        if re.fullmatch(r"0x[0-9a-fA-F]+", value):
            return self._token(HEX, value, end)
        if value[:1].isdigit():
            return self._token(INTEGER, value, end)
        return self._token(WORD, value, end)

    def _token(self, kind: str, text: str, end: int) -> Token:
        token = Token(kind, text, self.line, self.at, end)
        self._move(end)
        return token

    def _move(self, end: int) -> None:
        self.line += self.text.count("\n", self.at, end)
        self.at = end


def _inner(kind: str, text: str) -> str:
    if kind == CODE:
        return text.strip(" \t")
    if kind == STRING:
        return re.sub(
            r"\\(x[0-9a-fA-F]{2}|.)",
            lambda m: (
                chr(int(m.group(1)[1:], 16))
                if len(m.group(1)) == 3
                else _ESCAPES.get(m.group(1), m.group(1))
            ),
            text,
            flags=re.DOTALL,
        )
    return text
