"""The sample site has the sizes that the ancestor measured, and is the same every time."""

from __future__ import annotations

import hashlib
from html.parser import HTMLParser
from pathlib import Path
from statistics import mean, median

import pytest

from corten.app import sample

BINS = [205, 81, 65, 38, 44, 16, 13, 9, 6, 6, 6]


@pytest.mark.parametrize("seed", [1, 2, 3, 42, 2**40])
def test_sizes(seed: int) -> None:
    sizes = sample.sizes(seed)
    assert len(sizes) == 500
    counts = [sum(i * 50_000 <= s < (i + 1) * 50_000 for s in sizes) for i in range(11)]
    assert counts == BINS
    assert sum(s > 500_000 for s in sizes) == 17
    assert mean(sizes) == pytest.approx(126_000, rel=0.001)
    assert median(sizes) == 68_000
    assert (min(sizes), max(sizes)) == (3_500, 1_100_000)
    assert sizes != sorted(sizes)


class Outline(HTMLParser):
    """Checks that elements close in the order they opened."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_pages_are_html_of_the_size_asked_for() -> None:
    writer = sample.Writer(1)
    for number, size in enumerate([3_500, 3_501, 4_444, 20_000, 68_000, 200_000]):
        page = writer.page(number, size)
        assert len(page) == size
        text = page.decode("utf-8")
        outline = Outline()
        outline.feed(text)
        assert not outline.open
        assert {"html", "title", "h1", "p", "footer"} <= outline.seen
        assert len(text) < size  # letters beyond ASCII


def digest(root: Path) -> str:
    made = hashlib.sha256()
    for path in sorted(root.rglob("*.htm")):
        made.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return made.hexdigest()


def test_the_same_seed_makes_the_same_site(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sample.main([str(tmp_path / "a")]) == 0
    assert "500 pages, 63.1 MB" in capsys.readouterr().out
    # another digest is another site: figures of before do not compare with those of after
    assert digest(tmp_path / "a")[:32] == "896df6f96d93fd8b4df5bfc909f68079"
    for name, size in {
        "100.htm": 100,
        "1k.htm": 1000,
        "10k.htm": 10_000,
        "60k.htm": 60_000,
    }.items():
        assert (tmp_path / "a" / "size" / name).stat().st_size == size
    sample.main([str(tmp_path / "b"), "--seed", "2"])
    assert digest(tmp_path / "b") != digest(tmp_path / "a")


def test_a_directory_that_cannot_be_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert sample.main([str(tmp_path / "file" / "below")]) == 2
    assert "cannot write" in capsys.readouterr().err
