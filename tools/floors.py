"""Prove that imports point down: each package stands on a floor and imports only from below.

Both kinds of import count, `import` and `cython.cimports`, wherever they stand in a file. Modules
may not import one another in a circle either. The sizes of files and functions are checked here
too, since both are about a house that a reader can hold.

Rules. A package that is not in FLOORS is an error: a new one is placed by decision. A sideways
import is allowed only by an entry of SIDEWAYS, which says why.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from tools.source import PACKAGE, Imported, Module, Program, SourceError, load

FLOORS = {
    "core": 0,
    "wire": 1,
    "endpoint": 1,
    "ip": 2,
    "udp": 3,
    "tcp": 3,
    "stack": 4,
    "driver": 5,
    "kernel": 5,
    "dns": 5,
    "dhcp": 5,
    "worker": 6,
    "sim": 8,
    "drill": 8,
    "aio": 7,
    "app": 7,
}
ROOF = 9  # corten/cli.py, corten/__init__.py and what else lies in the package itself

# (importing package, imported package) on one floor: why
SIDEWAYS: dict[tuple[str, str], str] = {
    ("drill", "sim"): "checksums and cards as the simulator has them: not the stack's own",
}

SANS_IO_TO = 4  # up to this floor nothing is opened and nobody sleeps
FORBIDDEN = {"time", "os", "socket", "random", "threading", "asyncio", "subprocess", "select"}

FILE_LINES = 500
TEST_LINES = 600
FUNCTION_LINES = 70


def package_of(module: str) -> str:
    """The package that holds a module, below `corten`; "" for the package itself and the roof."""
    parts = module.split(".")
    return parts[1] if len(parts) > 2 or (len(parts) == 2 and parts[1] in FLOORS) else ""


def _target(item: Imported, program: Program) -> str:
    """The module that an import loads: `from corten.core import arena` loads corten.core.arena."""
    inner = f"{item.module}.{item.name}"
    return inner if inner in program else item.module


def _ours(module: Module, program: Program) -> Iterator[tuple[Imported, str]]:
    for item in [*module.imports, *module.cimports]:
        if item.module.partition(".")[0] == PACKAGE:
            yield item, _target(item, program)


def _floor(package: str) -> int:
    return FLOORS.get(package, ROOF) if package else ROOF


def upward(program: Program) -> Iterator[str]:
    """Imports that do not point down."""
    for module in program.values():
        here = package_of(module.name)
        if here and here not in FLOORS:
            yield f"{module.path}:1: package {here} has no floor: place it in tools/floors.py"
            continue
        for item, target in _ours(module, program):
            there = package_of(target)
            if target == PACKAGE and module.path.name != "__init__.py" and _floor(here) < ROOF:
                yield f"{module.path}:{item.line}: imports the package {PACKAGE} itself"
            elif there == here or (here, there) in SIDEWAYS:
                continue
            elif _floor(there) >= _floor(here):
                yield (
                    f"{module.path}:{item.line}: {here or 'roof'} (floor {_floor(here)}) imports "
                    f"{target} (floor {_floor(there)})"
                )


def circles(program: Program) -> Iterator[str]:
    """Modules that import one another, each circle once. Imports for typing alone do not count."""
    below = {
        name: {
            target
            for item, target in _ours(module, program)
            if target in program and target != name and not item.typing_only
        }
        for name, module in program.items()
    }
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> Iterator[str]:
        if name in path:
            yield "circle: " + " -> ".join([*path[path.index(name) :], name])
        elif name not in done:
            for target in sorted(below[name]):
                yield from visit(target, [*path, name])
            done.add(name)

    for name in sorted(program):
        yield from visit(name, [])


def impure(program: Program) -> Iterator[str]:
    """Modules of the sans-IO floors that reach for a clock, chance or the system."""
    for module in program.values():
        here = package_of(module.name)
        if not here or _floor(here) > SANS_IO_TO:
            continue
        for item in module.imports:
            if item.module.partition(".")[0] in FORBIDDEN and not item.typing_only:
                text = f"{here} is sans-IO and may not import {item.module}"
                yield f"{module.path}:{item.line}: {text}"


def too_long(root: Path) -> Iterator[str]:
    """Files and functions that outgrew the habit."""
    for folder, limit in ((PACKAGE, FILE_LINES), ("tools", FILE_LINES), ("tests", TEST_LINES)):
        for path in sorted((root / folder).rglob("*.py")):
            text = path.read_text(encoding="utf-8")
            count = text.count("\n")
            if count > limit:
                yield f"{path}: {count} lines, {limit} are the limit"
            if folder == "tests":
                continue
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    length = (node.end_lineno or node.lineno) - node.lineno + 1
                    if length > FUNCTION_LINES:
                        yield f"{path}:{node.lineno}: {node.name} has {length} lines"


def check(root: Path) -> list[str]:
    """Everything that is wrong, a line each."""
    program = load(root)
    checks = (upward(program), circles(program), impure(program), too_long(root))
    return [line.replace(f"{root}/", "") for found in checks for line in found]


def main() -> None:
    try:
        wrong = check(Path.cwd())
    except SourceError as error:
        wrong = [str(error)]
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
