"""Programs under measurement: started inside a namespace, pinned, ended by their own pid."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress

from bench.namespace import Namespace, die_with_parent

_PATIENCE_S = 15.0


class ProcessError(Exception):
    """A program did not do what it was started for."""


class Process:
    """One program and its children, on one core, with its output in a file."""

    def __init__(
        self,
        words: Sequence[str],
        namespace: Namespace | None,
        core: int | None,
        environment: dict[str, str] | None = None,
        directory: str | None = None,
        keep: Sequence[int] = (),
    ) -> None:
        self.words = list(words)
        prefix = ["taskset", "-c", str(core)] if core is not None else []
        self.output = tempfile.TemporaryFile("w+b")  # noqa: SIM115 (as long as the process)
        self.popen = subprocess.Popen(
            prefix + self.words,
            stdin=subprocess.DEVNULL,
            stdout=self.output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is ours to handle, not the child's
            # this program has one thread
            preexec_fn=namespace.preparation() if namespace else die_with_parent,  # noqa: PLW1509
            env={**os.environ, **(environment or {})},
            cwd=directory,
            pass_fds=keep,
        )

    @property
    def pid(self) -> int:
        return self.popen.pid

    def pids(self) -> list[int]:
        """The process and its descendants, alive now."""
        found = [self.pid]
        for pid in found:
            try:
                with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
                    found += [int(word) for word in file.read().split()]
            except OSError:
                continue  # silent: it has ended
        return found

    def text(self) -> str:
        """What it has printed so far."""
        end = self.output.seek(0, os.SEEK_END)
        return os.pread(self.output.fileno(), end, 0).decode("utf-8", "replace")

    def wait(self, seconds: float, may_fail: bool = False) -> str:
        """Wait for its end; its output. ProcessError when it takes too long, or fails and may
        not."""
        try:
            code = self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.stop()
            raise ProcessError(f"{self.words[0]}: still running after {seconds:.0f} s") from None
        if code and not may_fail:
            raise ProcessError(f"{' '.join(self.words)}: exit {code}: {self.tail()}")
        return self.text()

    def expect(self, word: str, seconds: float = _PATIENCE_S) -> None:
        """Wait until it has printed `word`."""
        until = time.monotonic() + seconds
        while word not in self.text():
            self.check()
            if time.monotonic() > until:
                raise ProcessError(
                    f"{self.words[0]}: no '{word}' in {seconds:.0f} s: {self.tail()}"
                )
            time.sleep(0.02)

    def check(self) -> None:
        """ProcessError when it has ended."""
        if self.popen.poll() is not None:
            raise ProcessError(
                f"{' '.join(self.words)}: ended with {self.popen.returncode}: {self.tail()}"
            )

    def tail(self) -> str:
        return " | ".join(self.text().strip().splitlines()[-4:]) or "(no output)"

    def stop(self, seconds: float = 5.0) -> int | None:
        """SIGTERM, then SIGKILL to it and whatever children it leaves. Its exit code."""
        family = self.pids() if self.popen.poll() is None else []
        if family:
            self.popen.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):  # silent: what did not end is killed below
            self.popen.wait(seconds)
        for pid in reversed(family):
            if pid != self.pid or self.popen.poll() is None:
                _kill(pid, self.pid)
        self.popen.wait()
        self.output.close()
        return self.popen.returncode


def _kill(pid: int, session: int) -> None:
    """Kill a child that outlived its parent, if it is still of the session we started."""
    try:
        if os.getsid(pid) == session:
            os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # silent: it has ended
