"""The plain run: sources instead of extension modules, and what only C has refused in words."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.tools.conftest import ROOT, run_python, write_package
from tools import pure


def test_a_cimported_name_is_the_real_one(sample: Path) -> None:
    code = """
from tools import pure
pure.install("sample")
import sample.derived
from cython.cimports.sample import base
from cython.cimports.sample.base import Node
import sample.base
print(base is sample.base, Node is sample.base.Node, sample.base.__spec__.name)
"""
    assert run_python(sample, code) == "True True sample.base"


def test_c_libraries_are_refused(tmp_path: Path) -> None:
    text = "import cython\nfrom cython.cimports.libc.string import memcpy\n"
    write_package(tmp_path, {"__init__.py": "", "a.py": text})
    code = """
from tools import pure
pure.install("sample")
try:
    import sample.a
except ImportError as error:
    print(error)
"""
    text = "libc exists only in C: cimport it under `if cython.compiled:`"
    assert run_python(tmp_path, code) == text


def test_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sample", pure)
    with pytest.raises(RuntimeError, match="install the hook before"):
        pure.install("sample")


def test_as_a_command() -> None:
    code = "import sys, corten.core.arena as a; print(a.__file__.endswith('.py'), sys.argv)"
    script = ROOT / "build" / "pure_probe.py"
    script.parent.mkdir(exist_ok=True)
    script.write_text(code, encoding="utf-8")
    try:
        done = subprocess.run(
            [sys.executable, "-m", "tools.pure", "build.pure_probe", "one"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        script.unlink()
    assert done.stdout.strip() == f"True ['{script}', 'one']"
