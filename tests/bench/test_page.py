"""The page of figures: true to the results kept, and made of them alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from bench import page
from bench.bars import Bar, Panel, draw

STATE = {"commit": "abc", "kernel": "6.18", "cpu": "a processor", "cores": 2}


def kept(name: str, valid: int, rate: float) -> page.Kept:
    """A file with one scenario."""
    figures = {"median": rate, "min": rate / 2, "max": rate * 2}
    ratio = {"median": 2.0, "low": 1.5, "high": 2.5, "pairs": 3}
    ours: dict[str, Any] = {"valid": valid, "void": 1}
    if valid:
        ours |= {"rate": figures, "ratios": {"nginx": {"rate": ratio}}}
    data = {
        "machine": STATE,
        "command": "./dev bench small",
        "options": {},
        "summary": {"small": {"a": ours}},
    }
    return page.Kept(name, data)


def test_the_page_says_what_the_results_kept_say() -> None:
    stale = [
        str(path)
        for path, text in page.written().items()
        if not (page.ROOT / path).exists() or (page.ROOT / path).read_text("utf-8") != text
    ]
    assert not stale, "run ./dev performance"


def test_the_newest_file_with_a_valid_run_counts() -> None:
    told = page.sections([kept("new.json", 0, 9.0), kept("old.json", 2, 1000.0)])
    assert [(each.name, each.kept.name) for each in told] == [("small", "old.json")]
    text = told[0].text()
    assert "## small: " in text
    assert "`./dev bench small`; commit abc" in text
    assert "1,000" in text
    assert "2.00 [1.50, 2.50]?" in text
    assert "2 (1)" in text


def test_files_are_taken_by_their_time_whatever_their_kind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names = ["20261123-083322.json", "memory-20261201-001543.json", "20261201-001544.json"]
    for name in names:
        (tmp_path / name).write_text("{}")
    monkeypatch.setattr(page, "RESULTS", tmp_path)
    monkeypatch.setattr(page, "ROOT", tmp_path)
    assert [each.name for each in page.results()] == names[::-1]


def test_bars_are_as_long_as_their_values() -> None:
    text = draw([Panel("a < b", [Bar("corten", 50, 40, 60), Bar("nginx", 25, 20, 100)])])
    root = ElementTree.fromstring(text)
    widths = [float(each.get("width", 0)) for each in root.iter() if each.tag.endswith("rect")]
    assert widths[1] == 2 * widths[2]
    assert draw([Panel("empty", [])])
