"""What is shipped for Python to see: stubs, headers without Cython; and what mypy is given."""

from __future__ import annotations

import ast
from pathlib import Path

from tests.tools.conftest import SOURCES, write_package
from tools import stubs
from tools.check_types import spelled
from tools.source import load


def shipped(tmp_path: Path) -> Path:
    root = write_package(tmp_path / "source", SOURCES)
    target = tmp_path / "target"
    stubs.write(load(root, "sample"), root, target)
    return target / "sample"


def test_a_stub_has_pythons_types(tmp_path: Path) -> None:
    text = (shipped(tmp_path) / "base.pyi").read_text(encoding="utf-8")
    ast.parse(text)
    for line in (
        "LISTEN: int",
        "    def c_uint(self) -> int: ...",
        "    def c_view(self) -> memoryview: ...",
        "    def c_array(self) -> list[int]: ...",
        "    def same(self) -> Node | None: ...",
        "    open: int",
        "    def twice(self, n: int, extra: int=...) -> int: ...",
        '    """Attributes of every kind."""',
        "@final",
        "def weigh(node: Node, other: Node | None) -> int: ...",
    ):
        assert line in text.splitlines()
    for hidden in ("_hidden", "_pointer", "weight", "quick", "cython"):
        assert hidden not in text


def test_a_header_needs_no_cython(tmp_path: Path) -> None:
    text = (shipped(tmp_path) / "seq.py").read_text(encoding="utf-8")
    names: dict[str, object] = {}
    exec(compile(text, "seq.py", "exec"), names)
    assert names["NEVER"] == 2**63 - 1
    assert names["NAMES"] == ("a", "b")
    assert "seq_add" not in names
    assert "cython" not in text


def test_mypy_is_given_the_same_columns() -> None:
    text = "v: cython.uchar[::1] = é(x)\na: cython.uint[16]\nd: cython.double[:, ::1]; e = 1\n"
    lines = spelled(text).splitlines()
    assert lines[0] == "v: memoryview        = é(x)"
    assert lines[1] == "a: list[int]      "
    assert lines[2] == "d: memoryview[float]    ; e = 1"
