"""The commands of ./dev.

    build                    compile in place what changed
    clean                    remove everything that was built
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from tools import environment
from tools.environment import ROOT, Missing
from tools.pxd import MARK


def run(*arguments: str, **settings: str) -> int:
    """Run the environment's Python in the project's root."""
    python = environment.ensure(environment.this_python())
    return subprocess.call([python, *arguments], cwd=ROOT, env={**os.environ, **settings})


def build(arguments: list[str]) -> int:
    return run("setup.py", "-q", "build_ext", "--inplace", *arguments)


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


COMMANDS = {"build": build, "clean": clean}


def main(arguments: list[str]) -> int:
    if not arguments or arguments[0] not in COMMANDS:
        print(__doc__.strip() if __doc__ else "")
        return 0 if arguments in ([], ["-h"], ["--help"]) else 2
    try:
        return COMMANDS[arguments[0]](arguments[1:])
    except Missing as error:
        print(error, file=sys.stderr)
        return 2
