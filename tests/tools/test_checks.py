"""What the checks find, and what they leave alone: floors, circles, sizes, silence."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.tools.conftest import write_package
from tools import floors, quiet

PLAIN = {
    "__init__.py": "",
    "core/__init__.py": "",
    "core/clock.py": "NEVER = 1\n",
    "wire/__init__.py": "",
    "wire/tcp.py": "from corten.core import clock\n",
    "tcp/__init__.py": "",
    "tcp/ack.py": "from corten.wire.tcp import clock\n",
    "cli.py": "import time\nfrom corten.tcp import ack\n",
}


def found(tmp_path: Path, **changed: str) -> list[str]:
    """What floors.check says with some files changed; `wire__tcp` is wire/tcp.py."""
    files = {f"{name.replace('__', '/')}.py": text for name, text in changed.items()}
    return floors.check(write_package(tmp_path, {**PLAIN, **files}, "corten"))


def test_a_house_in_order(tmp_path: Path) -> None:
    assert found(tmp_path) == []


@pytest.mark.parametrize(
    ("place", "text", "message"),
    [
        ("core__clock", "import corten.wire.tcp", "core/clock.py:1: core (floor 0) imports"),
        ("core__clock", "def f():\n    from corten.wire import tcp", "clock.py:2: core (floor 0)"),
        ("wire__tcp", "import corten.endpoint.handler", "wire (floor 1) imports"),
        ("wire__tcp", "from corten import cli", "imports corten.cli (floor 9)"),
        ("wire__tcp", "import corten", "imports the package corten itself"),
        ("wire__tcp", "import time", "wire is sans-IO and may not import time"),
        ("core__clock", "from os import path", "core is sans-IO and may not import os"),
        ("cellar__rat", "x = 1", "package cellar has no floor"),
        ("tcp__b", "x = 1\n" * 500, "tcp/b.py: 501 lines, 500 are the limit"),
        ("tcp__b", "def f():\n" + "    x = 1\n" * 70, "tcp/b.py:1: f has 71 lines"),
    ],
)
def test_out_of_order(tmp_path: Path, place: str, text: str, message: str) -> None:
    wrong = found(tmp_path, **{place: text + "\n"})
    assert any(message in line for line in wrong), wrong


def test_a_cimport_counts(tmp_path: Path) -> None:
    text = "import cython\nfrom cython.cimports.corten.tcp.ack import x\ndef f(): ...\n"
    assert "core (floor 0) imports corten.tcp.ack" in found(tmp_path, core__clock=text)[0]


def test_a_circle_within_a_package(tmp_path: Path) -> None:
    one, two = "import corten.tcp.b\n", "def f():\n    from corten.tcp import a\n"
    circle = "circle: corten.tcp.a -> corten.tcp.b -> corten.tcp.a"
    assert found(tmp_path, tcp__a=one, tcp__b=two) == [circle]


def test_typing_imports_make_no_circle(tmp_path: Path) -> None:
    one = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from corten.tcp.b import B\n"
    assert found(tmp_path, tcp__a=one, tcp__b="from corten.tcp import a\n") == []


def test_sideways_by_decision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "import corten.endpoint.handler\n"
    monkeypatch.setitem(floors.SIDEWAYS, ("wire", "endpoint"), "a test")
    assert found(tmp_path, wire__tcp=text) == []


TRY = "try:\n    f()\nexcept {}:\n    {}\n"


@pytest.mark.parametrize(
    ("kind", "body", "is_silent"),
    [
        ("Exception", "pass", True),
        ("OSError", "x = None", True),
        ("OSError", "pass  # silent: it is closed already", False),
        ("OSError", "pass  # silent:", True),
        ("Exception", "raise", False),
        ("Exception", "count += 1", False),
        ("Exception", "log()", False),
        ("Exception as error", "x = error", False),
        ("", "pass  # silent: never a reason", True),
    ],
)
def test_silent_handlers(tmp_path: Path, kind: str, body: str, is_silent: bool) -> None:
    write_package(tmp_path, {"a.py": TRY.format(kind, body)}, "tools")
    assert bool(list(quiet.silent(tmp_path))) == is_silent


def test_suppress_needs_its_reason(tmp_path: Path) -> None:
    text = "with contextlib.suppress(OSError):  # silent: gone\n    f()\n"
    write_package(tmp_path, {"a.py": text}, "tools")
    assert not list(quiet.silent(tmp_path))
    write_package(tmp_path, {"a.py": text.replace("# silent: gone", "")}, "tools")
    assert len(list(quiet.silent(tmp_path))) == 1


def test_a_noexcept_function_that_can_raise(tmp_path: Path) -> None:
    write_package(tmp_path, {"__init__.py": "", "a.py": "import cython\ndef f(): ...\n"}, "corten")
    assert list(quiet.loud(tmp_path)) == [f"build/{quiet.TAG}/corten/a.c is missing: ./dev build"]
    built = tmp_path / "build" / quiet.TAG / "corten" / "a.c"
    built.parent.mkdir(parents=True)
    built.write_text('__Pyx_WriteUnraisable("corten.a.f", 0);', encoding="utf-8")
    wrong = ["corten/a.py: corten.a.f is exceptval(check=False) but can raise"]
    assert list(quiet.loud(tmp_path)) == wrong
    built.write_text("static void __Pyx_WriteUnraisable(const char *name);", encoding="utf-8")
    assert not list(quiet.loud(tmp_path))
