"""`./dev build --profiled`: build, watch it work, build again for what was seen (PGO).

Three steps: every module compiled so that it counts which way its branches go; what `bench.train`
plays; every module compiled once more by these counts. What is not played is compiled as ever.

Rules. The counts lie in build/profile-py3XX. `setup.py` uses them as long as they are there, so
that later builds stay profiled (a function that has changed since is compiled without); `./dev
clean` removes them. They are no part of the instructions that `bench.gate` keeps.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from tools.environment import ROOT

TAG = f"py{sys.version_info.major}{sys.version_info.minor}"
DIRECTORY = ROOT / "build" / f"profile-{TAG}"
COUNTS = "-fprofile-update=single"  # one thread at a time runs Python
# what nothing played is compiled as ever, not for size; what changed since, without its counts
USES = ["-fprofile-partial-training", "-Wno-missing-profile", "-Wno-coverage-mismatch"]
MAKING = "CORTEN_PROFILE_MAKE"  # set: count


def flags() -> list[str]:
    """What the compiler is told beside everything else."""
    if os.environ.get(MAKING):
        return [f"-fprofile-generate={DIRECTORY}", COUNTS]
    if DIRECTORY.is_dir():
        return [f"-fprofile-use={DIRECTORY}", *USES]
    return []


def is_used() -> bool:
    """Whether the modules that lie in this tree were built by counts."""
    settings = ROOT / "build" / f"cython-{TAG}" / "settings"
    return settings.exists() and "-fprofile-use" in settings.read_text(encoding="utf-8")


def build(python: str, arguments: list[str]) -> int:
    """All three steps; an exit status."""
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    command = [python, "setup.py", "-q", "build_ext", "--inplace", *arguments]
    counting = {**os.environ, MAKING: "1", "CCACHE_DISABLE": "1"}
    try:
        status = subprocess.call(command, cwd=ROOT, env=counting) or _train(python)
    except BaseException:
        shutil.rmtree(DIRECTORY, ignore_errors=True)
        raise
    if status:
        shutil.rmtree(DIRECTORY, ignore_errors=True)
        return status
    return subprocess.call(command, cwd=ROOT, env={**os.environ, "CCACHE_DISABLE": "1"})


def _train(python: str) -> int:
    return subprocess.call([python, "-m", "bench.train"], cwd=ROOT)
