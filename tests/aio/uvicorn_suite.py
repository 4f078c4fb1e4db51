"""uvicorn's own tests on our loop: `python -m tests.aio.uvicorn_suite [--uvloop] [for pytest]`.

Strategy. They come with uvicorn's source distribution, of the version that is installed, which is
fetched once into build/. Every loop that a test is given is `new_event_loop`'s, with a stack that
has this machine's own addresses: what a test serves and asks at 127.0.0.1, ::1 or localhost goes
over the stack's loopback, both ends. Kernel sockets, Unix sockets and threads stay the kernel's.
No word of the tests is changed, and nothing needs a privilege.

Rules. It ends with 1 when a test fails that EXPECTED does not name, when one passes that it names,
when one is skipped because a library is missing, and when no connection went over the stack; with 3
when the tests cannot be fetched.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
import tarfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from corten.aio.loop import new_event_loop
from corten.aio.network import Network
from corten.worker.node import Node

ROOT = Path(__file__).parents[2]
VERSION = "0.54.0"
SHA256 = "a2e33cbfaa0306f8e6b0c13e0cb89d7d7a2da3e62b90c66e18c33d9807b28620"
CANNOT_BE_FETCHED = 3  # our exit code

# a test, all its variants: why it cannot pass
EXPECTED = {
    "tests/protocols/test_websocket.py::test_server_keepalive_ping_timeout": (
        "it puts a function in place of the client transport's `write`, which no compiled "
        "transport allows, uvloop's no more than ours"
    ),
}
OVER_UVLOOP = {  # what cannot with --uvloop, besides
    "tests/test_compat.py::test_asyncio_run__default_loop_factory": (
        "it asks whether the policy's loop is asyncio's own class, and this one is uvloop's"
    ),
}
LEFT_OUT = {  # folders, and why
    "tests/supervisors": "of processes and watched files: what they start makes its own loop",
    "tests/benchmarks": "they measure, by a plugin of their own",
}
OWN = ("127.0.0.1", "::1", "localhost")


class Stack(Node):
    """The stack of one loop; it has one link, where nobody is."""

    accepted = 0  # connections, of all stacks that there were

    def __init__(self) -> None:
        super().__init__()
        self.add(lambda packet: None, ["10.7.0.1/24", "fd00::1/64"])

    def close(self) -> None:
        if not self.is_closed():
            Stack.accepted += self.stack.counters.snapshot()["connections_accepted"]
        super().close()


class OwnAddresses(Network):
    """A network to which the machine's own addresses lead, elsewhere always the kernel's."""

    def serves(self, address: str) -> bool:
        return address in OWN

    def owns(self, address: str) -> bool:
        return address in OWN


class Policy(asyncio.DefaultEventLoopPolicy):
    """Where the tests' loops come from."""

    def __init__(self, uvloop: bool) -> None:
        super().__init__()
        self._uvloop = uvloop

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        loop: Any = new_event_loop([], uvloop=self._uvloop)
        stack = Stack()
        loop.use(OwnAddresses(stack, loop), stack)
        return loop


class Judge:
    """A plugin of pytest's that compares what happens with what is written above."""

    def __init__(self, expected: dict[str, str]) -> None:
        self._named = expected
        self.failed: dict[str, bool] = {}  # test, and whether it failed
        self.missing: list[str] = []
        self.expected = 0  # failures

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped:
            why = str(report.longrepr)
            if "not installed" in why or "could not import" in why:
                self.missing.append(f"{report.nodeid}: {why}")
        elif report.failed or report.when == "call":
            self.failed[report.nodeid] = self.failed.get(report.nodeid, False) or report.failed

    def complaints(self) -> list[str]:
        """What is not as it should be, a line each."""
        lines = [f"skipped: {each}" for each in self.missing]
        for test, failed in self.failed.items():
            is_expected = test.partition("[")[0] in self._named
            self.expected += failed and is_expected
            if failed and not is_expected:
                lines.append(f"failed: {test}")
            if is_expected and not failed:
                lines.append(f"passed, though EXPECTED names it: {test}")
        if self.failed and not Stack.accepted:
            lines.append("no connection went over the stack")
        return lines


def fetch() -> Path:
    """The folder with uvicorn's tests. RuntimeError where they cannot be had."""
    if version("uvicorn") != VERSION:
        raise RuntimeError(f"uvicorn {version('uvicorn')} is installed, {VERSION} is pinned here")
    folder = ROOT / "build" / f"uvicorn-{VERSION}"
    archive = folder.with_name(folder.name + ".tar.gz")
    if not archive.exists():
        archive.parent.mkdir(exist_ok=True)
        words = ["download", "--quiet", "--no-deps", "--no-binary", "uvicorn"]
        words += ["--no-build-isolation", "--dest", str(archive.parent), f"uvicorn=={VERSION}"]
        done = subprocess.run(
            [sys.executable, "-m", "pip", *words], capture_output=True, text=True, check=False
        )
        if done.returncode != 0 or not archive.exists():
            raise RuntimeError(f"uvicorn's source cannot be fetched: {done.stderr.strip()[-300:]}")
    if hashlib.sha256(archive.read_bytes()).hexdigest() != SHA256:
        raise RuntimeError(f"{archive} is not the file that was pinned: remove it")
    with tarfile.open(archive) as tar:
        wanted = (f"{folder.name}/tests/", f"{folder.name}/pyproject.toml")
        members = [each for each in tar.getmembers() if each.name.startswith(wanted)]
        tar.extractall(folder.parent, members, filter="data")
    return folder


def run(words: list[str]) -> int:
    """How many complaints there are."""
    uvloop = "--uvloop" in words
    folder = fetch()
    os.chdir(folder)
    for name in [each for each in sys.modules if each.partition(".")[0] == "tests"]:
        del sys.modules[name]  # theirs are called so too
    sys.path[:0] = [str(folder), str(ROOT)]
    asyncio.set_event_loop_policy(Policy(uvloop))
    judge = Judge(EXPECTED | OVER_UVLOOP if uvloop else EXPECTED)
    arguments = ["-c", "pyproject.toml", "-o", "addopts=", "-q", "--tb=short", "--timeout=60"]
    arguments += ["-p", "no:cacheprovider", *(f"--ignore={each}" for each in LEFT_OUT)]
    pytest.main([*arguments, *(word for word in words if word != "--uvloop")], plugins=[judge])
    complaints = judge.complaints()
    print("\n".join(complaints))
    print(
        f"{len(judge.failed)} run, {judge.expected} failed as expected, "
        f"{Stack.accepted} connections over the stack, {len(complaints)} complaints"
    )
    return len(complaints) if judge.failed else 1


if __name__ == "__main__":
    try:
        sys.exit(1 if run(sys.argv[1:]) else 0)
    except RuntimeError as error:
        print(error, file=sys.stderr)
        sys.exit(CANNOT_BE_FETCHED)
