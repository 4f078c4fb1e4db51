"""A sample site: 500 HTML pages whose sizes are spread as those of popular front pages were.

    python -m corten.app.sample DIRECTORY [--seed 1]

The ancestor of this project measured 500 front pages of well-known sites: mean 126 KB, median
68 KB, from 3.5 KB to 1.1 MB, and how many fell into each bin of 50 KB. The pages made here have
exactly those figures, whatever the seed; their text is in the language of no country. Beside
them, in `size/`, lie files of fixed sizes.

Rules. The same seed makes the same octets, on every version of Python: only `Random.random` is
drawn from, whose sequence is promised. A KB is 1,000 octets.
"""

from __future__ import annotations

import argparse
import os
import sys
from random import Random

PAGES = 500
BIN = 50_000
COUNTS = (205, 81, 65, 38, 44, 16, 13, 9, 6, 6, 6)  # pages in each bin, from 0; the rest is longer
SMALLEST = 3_500
LARGEST = 1_100_000
MEDIAN = 68_000
MEAN = 126_000
FIXED = {"100.htm": 100, "1k.htm": 1_000, "10k.htm": 10_000, "60k.htm": 60_000}  # in size/

_ONSETS = (
    "b",
    "c",
    "d",
    "f",
    "g",
    "h",
    "j",
    "k",
    "l",
    "m",
    "n",
    "p",
    "r",
    "s",
    "t",
    "v",
    "w",
    "z",
    "br",
    "ch",
    "cl",
    "dr",
    "fl",
    "gr",
    "pl",
    "pr",
    "sh",
    "sl",
    "st",
    "tr",
    "é",
    "ö",
)
_RHYMES = (
    "a",
    "e",
    "i",
    "o",
    "u",
    "ai",
    "ar",
    "el",
    "en",
    "er",
    "ia",
    "in",
    "is",
    "on",
    "or",
    "um",
    "an",
    "ent",
    "ing",
    "ure",
    "ä",
    "ø",
)
_PARAGRAPHS = 1500  # different ones
_STYLE = (
    "body{font:16px/1.5 sans-serif;max-width:60em;margin:auto}nav a{margin-right:1em}"
    "table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.2em .6em}"
)


# -- sizes ----------------------------------------------------------------------------------


def sizes(seed: int = 1) -> list[int]:
    """The size of each page, in the order of their numbers."""
    random = Random(seed)
    ranges = _ranges()
    draws = [random.random() for _ in ranges]
    low, high = 0.25, 4.0  # a larger exponent makes smaller pages; the mean decides which it is
    for _ in range(60):
        middle = (low + high) / 2
        total = sum(_spread(ranges, draws, middle))
        low, high = (middle, high) if total > MEAN * PAGES else (low, middle)
    made = _spread(ranges, draws, low)
    for i in range(PAGES - 1, 0, -1):
        j = int(random.random() * (i + 1))
        made[i], made[j] = made[j], made[i]
    return made


def _ranges() -> list[tuple[int, int]]:
    """The least and the greatest size of each page, by rank: bins, ends and median are kept."""
    made: list[tuple[int, int]] = []
    for number, count in enumerate(COUNTS):
        made += [(number * BIN, number * BIN + BIN - 1)] * count
    made += [(len(COUNTS) * BIN, LARGEST)] * (PAGES - len(made))
    made[: COUNTS[0]] = [(SMALLEST, BIN - 1)] * COUNTS[0]
    for rank in range(COUNTS[0], COUNTS[0] + COUNTS[1]):
        middle = PAGES // 2
        made[rank] = (BIN, MEDIAN) if rank < middle - 1 else (MEDIAN, 2 * BIN - 1)
    made[0] = (SMALLEST, SMALLEST)
    made[PAGES // 2 - 1] = made[PAGES // 2] = (MEDIAN, MEDIAN)
    made[-1] = (LARGEST, LARGEST)
    return made


def _spread(ranges: list[tuple[int, int]], draws: list[float], exponent: float) -> list[int]:
    return [
        least + int((most - least) * draw**exponent)
        for (least, most), draw in zip(ranges, draws, strict=True)
    ]


# -- text -----------------------------------------------------------------------------------


class Writer:
    """Words, paragraphs and pages from a seed."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed ^ 0x5EED)
        self._words = [self._word() for _ in range(4000)]
        self._paragraphs = [self._paragraph().encode() for _ in range(_PARAGRAPHS)]

    def _pick(self, count: int) -> int:
        return int(self._random.random() * count)

    def _word(self) -> str:
        syllables = 1 + self._pick(3)
        return "".join(
            _ONSETS[self._pick(len(_ONSETS))] + _RHYMES[self._pick(len(_RHYMES))]
            for _ in range(syllables)
        )

    def _phrase(self, count: int) -> str:
        return " ".join(self._words[self._pick(len(self._words))] for _ in range(count))

    def _sentence(self) -> str:
        text = self._phrase(5 + self._pick(14)).capitalize()
        kind = self._pick(12)
        if kind == 0:
            text += f" — “{self._phrase(3)}”"
        elif kind == 1:
            page = self._pick(PAGES)
            text += f' <a href="{page}.htm">{self._phrase(2)}</a>'
        elif kind == 2:
            text += f" <em>{self._phrase(2)}</em>"
        return text + "."

    def _paragraph(self) -> str:
        kind = self._pick(20)
        if kind == 0:
            return f"<h2>{self._phrase(4).capitalize()}</h2>\n"
        if kind == 1:
            items = "".join(f"<li>{self._phrase(4)}</li>\n" for _ in range(3 + self._pick(6)))
            return f"<ul>\n{items}</ul>\n"
        if kind == 2:
            rows = "".join(
                f"<tr><th>{self._phrase(2)}</th><td>{self._pick(100000)}</td></tr>\n"
                for _ in range(3 + self._pick(6))
            )
            return f"<table>\n{rows}</table>\n"
        return "<p>" + " ".join(self._sentence() for _ in range(2 + self._pick(6))) + "</p>\n"

    def page(self, number: int, size: int) -> bytes:
        """An HTML page of exactly `size` octets."""
        title = self._phrase(3).capitalize()
        links = "\n".join(
            f'<a href="{(number + step) % PAGES}.htm">{self._phrase(1)}</a>' for step in (1, 7, 49)
        )
        head = (
            f'<!DOCTYPE html>\n<html lang="x-none">\n<head>\n<meta charset="utf-8">\n'
            f"<title>{title}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
            f"<nav>\n{links}\n</nav>\n<h1>{title}</h1>\n"
        ).encode()
        tail = f"<footer>Page {number} of {PAGES}</footer>\n</body>\n</html>\n".encode()
        parts = [head]
        left = size - len(head) - len(tail)
        while left > 0:
            part = self._paragraphs[self._pick(_PARAGRAPHS)]
            if len(part) > left:
                break
            parts.append(part)
            left -= len(part)
        parts += [_filler(left), tail]
        return b"".join(parts)


def _filler(size: int) -> bytes:
    """Exactly so many octets that show nothing."""
    if size < 9:
        return b"\n" * size
    return b"<!-- " + b"." * (size - 9) + b" -->"


def fixed(size: int) -> bytes:
    """A small HTML page of exactly `size` octets."""
    head = b"<!DOCTYPE html>\n<title>%d</title>\n<p>" % size
    return head + (b"corten " * (size // 7 + 1))[: size - len(head) - 1] + b"\n"


def write(root: str, seed: int = 1) -> int:
    """Write the site under `root`; how many octets it has."""
    os.makedirs(os.path.join(root, "size"), exist_ok=True)
    writer = Writer(seed)
    total = 0
    for number, size in enumerate(sizes(seed)):
        total += _write(os.path.join(root, f"{number}.htm"), writer.page(number, size))
    for name, size in FIXED.items():
        total += _write(os.path.join(root, "size", name), fixed(size))
    return total


def _write(path: str, data: bytes) -> int:
    with open(path, "wb") as file:
        return file.write(data)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m corten.app.sample",
        description="Write a sample site of 500 pages, spread in size as real front pages are.",
    )
    parser.add_argument("directory")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    try:
        total = write(options.directory, options.seed)
    except OSError as error:
        print(f"cannot write the sample site: {error}", file=sys.stderr)
        return 2
    print(f"{options.directory}: {PAGES} pages, {total / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
