"""The profiled build: which flags it takes, and that nothing is left of one that failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import profiled


@pytest.fixture
def directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where the counts would lie."""
    path = tmp_path / "build" / "profile"
    monkeypatch.setattr(profiled, "DIRECTORY", path)
    monkeypatch.setattr(profiled, "ROOT", tmp_path)
    monkeypatch.delenv(profiled.MAKING, raising=False)
    return path


def test_without_counts_nothing_is_asked_of_the_compiler(directory: Path) -> None:
    assert profiled.flags() == []


def test_counts_are_used_as_long_as_they_are_there(directory: Path) -> None:
    directory.mkdir(parents=True)
    assert profiled.flags()[0] == f"-fprofile-use={directory}"


def test_counting_uses_none(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory.mkdir(parents=True)
    monkeypatch.setenv(profiled.MAKING, "1")
    assert profiled.flags()[0] == f"-fprofile-generate={directory}"


def test_what_was_built_by_counts_says_so(directory: Path) -> None:
    settings = directory.parent / f"cython-{profiled.TAG}" / "settings"
    assert not profiled.is_used()
    settings.parent.mkdir(parents=True)
    settings.write_text("-O2", encoding="utf-8")
    assert not profiled.is_used()
    settings.write_text(f"-O2 -fprofile-use={directory}", encoding="utf-8")
    assert profiled.is_used()


@pytest.mark.parametrize("built, trained, calls", [(1, 0, 1), (0, 1, 1), (0, 0, 2)])
def test_a_failure_ends_it_and_leaves_no_counts(
    directory: Path, monkeypatch: pytest.MonkeyPatch, built: int, trained: int, calls: int
) -> None:
    commands = []

    def call(command: list[str], **_: object) -> int:
        commands.append(command)
        directory.mkdir(parents=True, exist_ok=True)
        return built

    monkeypatch.setattr(profiled.subprocess, "call", call)
    monkeypatch.setattr(profiled, "_train", lambda _: trained)
    assert profiled.build("python", []) == (built or trained)
    assert len(commands) == calls
    assert directory.is_dir() == (calls == 2)
