"""`./dev build --profiled`: build, watch it work, build again for what was seen (PGO).

Three steps: every module compiled so that it counts which way its branches go; the scenarios of
`bench.path` and `bench.segments`, and the two ends of a memif link; every module compiled once more
by these counts. It takes three times as long as a build, and what nothing here plays is compiled as
ever.

Rules. The counts lie in build/profile-py3XX. `setup.py` uses them as long as they are there, so
that later builds stay profiled (a function that has changed since is compiled without); `./dev
clean` removes them. They are no part of the instructions that `bench.gate` keeps.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TAG = f"py{sys.version_info.major}{sys.version_info.minor}"
DIRECTORY = ROOT / "build" / f"profile-{TAG}"
COUNTS = "-fprofile-update=single"  # one thread at a time runs Python
# what nothing played is compiled as ever, not for size; what changed since, without its counts
USES = ["-fprofile-partial-training", "-Wno-missing-profile", "-Wno-coverage-mismatch"]
MAKING = "CORTEN_PROFILE_MAKE"  # set: count
_SCENARIOS = ("small", "hello", "bulk", "close", "segment", "ack", "drop", "disorder")
_REQUESTS = 6400
_FEW = {"bulk": 640}
_SECONDS = 3
_PATIENCE = 60


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
    for scenario in _SCENARIOS:
        count = str(_FEW.get(scenario, _REQUESTS))
        done = subprocess.run(
            [python, "-m", "bench.packet", scenario, count],
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode:
            print(f"the profile's scenario {scenario} failed, see above", file=sys.stderr)
            return done.returncode
    return _train_memif(python)


def _train_memif(python: str) -> int:
    """The static server and the load client, each at one end of a memif link."""
    with tempfile.TemporaryDirectory(prefix="corten-profile-") as work:
        (Path(work) / "a.htm").write_bytes(b"x" * 100)
        link = f"memif:{work}/memif.sock"
        server = [python, "-m", "corten", "httpd", "8080", work]
        server += ["--link", f"{link},address=10.9.0.2/24"]
        client = [python, "-m", "corten", "load", "http://10.9.0.2:8080/a.htm"]
        client += ["--link", f"{link},role=client,address=10.9.0.1/24", "-d", str(_SECONDS)]
        with _running(server):
            done = subprocess.run(
                client, cwd=ROOT, stdout=subprocess.DEVNULL, timeout=_PATIENCE, check=False
            )
    if done.returncode:
        print("the profile's run over memif failed, see above", file=sys.stderr)
    return done.returncode


@contextmanager
def _running(words: list[str]) -> Iterator[None]:
    """A server, once it says that it is ready, until the end of the block."""
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if "ready" in line:
                break
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:  # silent: it is ended all the same
            process.kill()
            process.wait()
