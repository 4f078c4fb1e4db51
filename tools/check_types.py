"""Run mypy over the sources, C annotations included.

mypy cannot read `cython.longlong[::1]` or `cython.uint[16]`, though they are what Cython wants. So
it is given a copy, in build/types, in which each of these is spelled for Python at the same line
and column: a memoryview, a list. Messages name the file as it lies in the project.

Beside the hand-written typings/cython, the stubs of `cython.cimports` are made here: each name is
that of the real module, so that a cimported name has one type.

    python -m tools.check_types [MYPY OPTION ...]
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tools.source import PACKAGE, Module, Program, SourceError, load

FOLDERS = (PACKAGE, "tools", "bench")
REALS = {"double", "float"}
# what C declares beyond the sources: libc, and the verbatim C of a handwritten .pxd
UNTYPED = "from typing import Any\n\ndef __getattr__(name: str) -> Any: ...\n"


def _spelling(node: ast.Subscript) -> str | None:
    """How a C annotation is spelled for Python; None when it is none."""
    match node.value:
        case ast.Attribute(value=ast.Name(id="cython"), attr="pointer" | "const"):
            return "cython.p_void"
        case ast.Attribute(value=ast.Name(id="cython"), attr=scalar):
            element = "float" if scalar in REALS else "int"
        case ast.Subscript(value=ast.Attribute(value=ast.Name(id="cython"))):
            element = "int"  # a memoryview of cython.const[...]
        case _:
            return None
    axes = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if any(isinstance(axis, ast.Slice) for axis in axes):
        return "memoryview" if element == "int" else "memoryview[float]"
    return f"list[{element}]"


def _c_annotations(node: ast.AST) -> Iterator[ast.Subscript]:
    """The outermost C subscripts below a node."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Subscript) and _spelling(child) is not None:
            yield child
        else:
            yield from _c_annotations(child)


def spelled(module_text: str) -> str:
    """The text with each C annotation spelled for Python, as long as before."""
    lines = module_text.splitlines(keepends=True)
    for node in _c_annotations(ast.parse(module_text)):
        assert node.end_col_offset is not None
        line = lines[node.lineno - 1].encode()
        width = node.end_col_offset - node.col_offset
        text = (_spelling(node) or "").ljust(width).encode()
        lines[node.lineno - 1] = (
            line[: node.col_offset] + text + line[node.end_col_offset :]
        ).decode()
    return "".join(lines)


def _write(path: Path, text: str) -> None:
    """Only when it changed: mypy's cache goes by the time."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def copy_sources(root: Path, target: Path) -> None:
    """The folders as mypy shall see them; what is gone here goes there too."""
    for folder in FOLDERS:
        wanted = set()
        for path in (root / folder).rglob("*.py"):
            copied = target / path.relative_to(root)
            _write(copied, spelled(path.read_text(encoding="utf-8")))
            wanted.add(copied)
        for path in (target / folder).rglob("*.py"):
            if path not in wanted:
                path.unlink()


def _stub(module: Module) -> str:
    tables = (module.cclasses, module.cfuncs, module.constants, module.aliases)
    names = sorted(name for table in tables for name in table)
    text = "".join(f"from {module.name} import {name} as {name}\n" for name in names)
    return text + (UNTYPED if module.kind == "handwritten" else "")


def write_cimports(program: Program, target: Path) -> None:
    """typings/cython/cimports: ours re-export the real modules, the C library's are untyped."""
    wanted: dict[Path, str] = {target / "__init__.pyi": ""}
    for module in program.values():
        path = target.joinpath(*module.name.split("."))
        is_package = module.path.name == "__init__.py"
        wanted[path / "__init__.pyi" if is_package else path.with_suffix(".pyi")] = _stub(module)
        for item in module.cimports:
            if item.module.partition(".")[0] != PACKAGE:
                parts = item.module.split(".")
                for end in range(1, len(parts) + 1):
                    wanted[target.joinpath(*parts[:end]) / "__init__.pyi"] = UNTYPED
    for path in target.rglob("*.pyi") if target.exists() else []:
        if path not in wanted:
            path.unlink()
    for path, text in wanted.items():
        _write(path, text)


def main() -> None:
    root = Path.cwd()
    try:
        write_cimports(load(root), root / "typings" / "cython" / "cimports")
    except SourceError as error:
        sys.exit(str(error))
    target = root / "build" / "types"
    copy_sources(root, target)
    options = ["--config-file", str(root / "pyproject.toml"), *sys.argv[1:]]
    mypy = [sys.executable, "-m", "mypy", *options, *FOLDERS]
    settings = {**os.environ, "MYPYPATH": str(root / "typings")}
    sys.exit(subprocess.call(mypy, cwd=target, env=settings))


if __name__ == "__main__":
    main()
