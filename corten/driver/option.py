"""What the value of a link's option may be: functions that read it, or say what is wrong.

An option is a function from its text to its value; ValueError with the rest of the sentence
"link …: ring=x: …" for what it cannot be.
"""

from __future__ import annotations

from collections.abc import Callable

Option = Callable[[str], object]


def number(low: int, high: int) -> Option:
    """A whole number within bounds."""

    def read(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise ValueError(f"a number from {low} to {high} is wanted")
        return int(text)

    return read


def power_of_two(low: int, high: int) -> Option:
    """A power of two within bounds, as rings have entries."""

    def read(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high or int(text) & (int(text) - 1):
            raise ValueError(f"a power of two from {low} to {high} is wanted")
        return int(text)

    return read


def choice(*words: str) -> Option:
    """One of a few words."""

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"is {', '.join(words[:-1])} or {words[-1]}")
        return text

    return read


def text(most: int) -> Option:
    """At most so many octets."""

    def read(value: str) -> str:
        if len(value.encode()) > most:
            raise ValueError(f"has more than {most} octets")
        return value

    return read


def switch(value: str) -> bool:
    """on or off."""
    if value not in ("on", "off"):
        raise ValueError("is on or off")
    return value == "on"
