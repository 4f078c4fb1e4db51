"""The commands of ./dev.

build                        compile in place what changed
build --profiled             compile all twice, the second time for what the first was seen to do
test [STAGE ...] [PYTEST …]  everything CI runs, or some stages: floors format lint types build
                             quiet unit plain other sim instructions e2e conformance; the rest goes
                             to pytest
check                        what to run before a commit: all but other, sim and e2e
lint                         floors, format, lint, types
format                       format the sources, mend what ruff can
conformance                  write docs/conformance.md from what `./dev test` has shown
performance                  write docs/performance.md from the results kept in bench/results
demo, bench, soak [ARG ...]  show it, measure it, let it run for hours
clean                        remove everything that was built
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable

from tools import environment, profiled, suite
from tools.environment import ROOT, Missing
from tools.pxd import MARK

BEFORE_COMMIT = ["floors", "format", "lint", "types", "build", "quiet", "unit", "plain"]


def run(*arguments: str) -> int:
    """Run the environment's Python in the project's root."""
    python = environment.ensure(environment.this_python())
    return subprocess.call([python, *arguments], cwd=ROOT)


def build(arguments: list[str]) -> int:
    if "--profiled" in arguments:
        rest = [each for each in arguments if each != "--profiled"]
        return profiled.build(environment.ensure(environment.this_python()), rest)
    return run("setup.py", "-q", "build_ext", "--inplace", *arguments)


def built(module: str) -> Callable[[list[str]], int]:
    """A command that runs a module of the project, compiled."""

    def command(arguments: list[str]) -> int:
        return build([]) or run("-m", module, *arguments)

    return command


def check(arguments: list[str]) -> int:
    return suite.main([*BEFORE_COMMIT, *arguments])


def lint(arguments: list[str]) -> int:
    return suite.main(["floors", "format", "lint", "types", *arguments])


def format_sources(arguments: list[str]) -> int:
    paths = arguments or ["."]
    return run("-m", "ruff", "check", "--fix", "--quiet", *paths) | run(
        "-m", "ruff", "format", *paths
    )


def clean(arguments: list[str]) -> int:
    """Everything that is made here but the environments."""
    for name in ("build", "dist", "corten.egg-info", "typings/cython/cimports"):
        shutil.rmtree(ROOT / name, ignore_errors=True)
    for path in [*(ROOT / "corten").rglob("*.so"), *(ROOT / "corten").rglob("*.pyi")]:
        path.unlink()
    for path in (ROOT / "corten").rglob("*.pxd"):
        if path.read_text(encoding="utf-8").startswith(MARK):
            path.unlink()
    return 0


def conformance(arguments: list[str]) -> int:
    return run("-m", "tools.conformance", *arguments)


def performance(arguments: list[str]) -> int:
    return run("-m", "bench.page", *arguments)


COMMANDS = {
    "build": build,
    "test": suite.main,
    "check": check,
    "lint": lint,
    "format": format_sources,
    "demo": built("tools.demo"),
    "bench": built("bench"),
    "conformance": conformance,
    "performance": performance,
    "soak": built("tools.soak"),
    "clean": clean,
}


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] not in COMMANDS:
        print(__doc__.strip() if __doc__ else "")
        return 0 if arguments in ([], ["-h"], ["--help"]) else 2
    os.chdir(ROOT)
    try:
        return COMMANDS[arguments[0]](arguments[1:])
    except Missing as error:
        print(error, file=sys.stderr)
        return 2
