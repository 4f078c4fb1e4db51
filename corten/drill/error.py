"""How the run of a script can end early: the reasons are what the report says."""

from __future__ import annotations


class ScriptError(Exception):
    """The script itself is wrong: it cannot be parsed, or asks for what cannot be."""

    def __init__(self, text: str, line: int = 0) -> None:
        super().__init__(text)
        self.line = line


class Unsupported(Exception):
    """The script needs something that lies outside TCP sockets."""


class Differs(Exception):
    """The stack did something else than the script says."""

    def __init__(self, text: str, line: int = 0) -> None:
        super().__init__(text)
        self.line = line
