"""Runs the command line as users do: a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def corten(*arguments: object, before: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run `corten ARGUMENTS` to its end; `before` stands before the interpreter."""
    words = [*before, sys.executable, "-m", "corten", *map(str, arguments)]
    return subprocess.run(
        words, capture_output=True, text=True, timeout=30, check=False, cwd=ROOT, env=environment()
    )


@contextmanager
def running(*words: object) -> Iterator[subprocess.Popen[str]]:
    """Run Python with `words` until the block ends, then SIGTERM; it must exit with 0."""
    process = subprocess.Popen(
        [sys.executable, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=environment(),
    )
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=20)
        assert process.returncode == 0, error
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def environment() -> dict[str, str]:
    """Ours, with the sources on the path; without coverage, whose file others may not write."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    return {**kept, "PYTHONPATH": str(ROOT)}


def assert_refused(done: subprocess.CompletedProcess[str], *texts: str) -> None:
    """Exit code 2 and one line on standard error that has all of `texts`."""
    assert done.returncode == 2, done
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("corten: ")
    for text in texts:
        assert text in done.stderr
