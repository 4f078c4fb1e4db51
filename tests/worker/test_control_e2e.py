"""`corten ctl` and servers on real TAPs: links, addresses and workers that come and go in use."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import io
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from bench.namespace import Namespace
from corten.app.ctl import Server
from corten.cli import main
from tests.netns import ROOT, Client, namespace, pattern
from tests.worker.test_serve_e2e import TAP, Served, call, workers_of

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
SECOND, OTHER = "10.9.1.2", "10.9.0.77"
TWO = f"tap:two,address={SECOND}/24"


@pytest.fixture
def space() -> Iterator[Namespace]:
    with namespace("control") as made:
        yield made


class Controlled(Served):
    """A server with a control socket, and `corten ctl` for it."""

    def __init__(
        self, space: Namespace, where: Path, links: list[str] | None = None, **options: Any
    ) -> None:
        self.space = space
        self.path = str(where / "s")
        super().__init__(space, links, control=self.path, quiet=True, **options)

    def ctl(self, *words: str, code: int = 0) -> str:
        return ctl(self.space, "--control", self.path, *words, code=code)

    def ask(self, command: str, **arguments: object) -> dict[str, Any]:
        """The same without a process for it."""
        server = Server(self.path)
        try:
            return server.ask(command, **arguments)
        finally:
            server.close()

    def status(self) -> dict[str, Any]:
        return self.ask("status")

    def counters(self) -> list[dict[str, int]]:
        indices = [each["index"] for each in self.status()["workers"] if each["counters"]]
        return [self.ask("counters", worker=index)["counters"] for index in indices]

    def links(self) -> dict[str, list[str]]:
        return {link["name"]: link["addresses"] for link in self.status()["links"]}

    def wait_for_the_same_frames(self) -> None:
        """What the stacks have counted is every frame that the drivers brought, and no other; they
        are asked one after the other, and a frame may come in between."""
        until = time.monotonic() + 10
        while time.monotonic() < until:
            status = self.status()
            counted = sum(w["counters"].get("frames_in", 0) for w in status["workers"])
            links = [link for link in status["links"] if "figures" in link]
            figures = [each for link in links for each in link["figures"].values()]
            if counted == sum(received for received, _, _ in figures):
                return
            time.sleep(0.1)
        raise AssertionError(f"{counted} counted, {figures} received")

    def wait_for_starts(self, starts: list[int]) -> None:
        until = time.monotonic() + 10
        while [w["starts"] for w in self.status()["workers"] if w["ready"]] != starts:
            assert time.monotonic() < until
            time.sleep(0.02)


def ctl(space: Namespace, *words: str, code: int = 0, **environment: str) -> str:
    """What `corten ctl` says, when it ends with `code`."""
    done = subprocess.run(
        [sys.executable, "-m", "corten", "ctl", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        preexec_fn=space.preparation(),
        env={**os.environ, **environment},
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout if code == 0 else done.stderr


def main_says(*words: str) -> str:
    """What the command says to a wrong call; it ends with exit code 2."""
    heard = io.StringIO()
    with contextlib.redirect_stderr(heard), pytest.raises(SystemExit) as caught:
        main(["ctl", *words])
    assert caught.value.code == 2
    return heard.getvalue()


def ended(client: Client) -> None:
    """Its connection was reset, and at once."""
    client.socket.settimeout(2.0)
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        client.ask("/1")


# -- asking ------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_status_is_right(space: Namespace, tmp_path: Path, workers: int) -> None:
    links = [TAP, "kernel,address=127.0.0.1"]
    with Controlled(space, tmp_path, links, workers=workers) as served:
        pids = {index: pid for index, (pid, _) in workers_of(space, workers).items()}
        status = served.status()
        assert status["pid"] == served.program.process.pid
        stacks, kernels = status["workers"][:workers], status["workers"][workers:]
        assert {each["index"]: each["pid"] for each in stacks} == pids
        assert len(kernels) == workers and all(not each["counters"] for each in kernels)
        assert [each["leads"] for each in stacks] == [True] + [False] * (workers - 1)
        assert all(each["ready"] and each["starts"] == 1 for each in status["workers"])
        (tap, kernel) = status["links"]
        assert (tap["name"], tap["driver"], tap["queues"]) == ("corten0", "tap", workers)
        assert tap["addresses"] == ["10.9.0.2"] and kernel["addresses"] == ["127.0.0.1"]
        served.wait_for_the_same_frames()
        assert sum(each["connections_accepted"] for each in served.counters()) >= workers
        assert f"server {status['pid']}" in served.ctl("status", "--interval", "0.1")
        assert "frames_in" in served.ctl("counters", "0")


def test_wrong_calls_are_one_line_and_change_nothing(space: Namespace, tmp_path: Path) -> None:
    refused = [
        (["restart", "7"], "no worker 7: there are 0 to 0"),
        (["remove-link", "corten0"], "the last link of its workers"),
        (["remove-link", "nope"], "no link 'nope': there are corten0"),
        (["add-link", "tap"], "an address is missing"),
        (["add-link", "tap:lo,address=10.9.4.2/24"], "no multi-queue TAP"),
        (["add-link", f"tap:x,address={OTHER}/24,workers=2"], "leave out workers="),
        (["add-link", "tap:x,address=10.9.0.2/24"], "10.9.0.2 is on two links"),
        (["add-link", "tap:corten0,address=10.9.4.2/24"], "two links are named corten0"),
        (["add-link", "kernel,address=127.0.0.1"], "kernel links are opened at the start"),
        (["add-link", TWO, "--beside", "nope"], "no link 'nope'"),
        (["add-address", "corten0", "10.9.0.2/24"], "is given twice"),
        (["add-address", "corten0", "10.9.0.9"], "prefix length is missing"),
        (["add-address", "corten0", "10.9.0.1/24"], "it is this host's own"),
        (["add-address", "corten0", "dhcp"], "is asked for when a link is made"),
        (["add-address", "corten0", "224.0.0.1/24"], "cannot be one host's address"),
        (["remove-address", "corten0", "10.9.0.2"], "last address of its link"),
        (["remove-address", "corten0", "10.9.0.5"], "was not given to link corten0"),
        (["remove-address", "corten0", "x"], "no IP address"),
        (["dance"], "no command 'dance'"),
    ]
    with Controlled(space, tmp_path) as served:
        before = served.links()
        for words, says in refused:
            said = main_says("--control", served.path, *words)
            assert says in said
            assert said.startswith("corten: ") and said.count("\n") == 1
        assert "no link 'nope'" in served.ctl("remove-link", "nope", code=2)
        assert served.links() == before
        assert "two" not in space.ip("link", "show")
        assert call(space).ask("/100") == pattern(100)
        assert served.program.end(signal.SIGTERM) == 0
        assert not os.path.exists(served.path)


def test_several_servers_are_told_apart_by_their_sockets(space: Namespace, tmp_path: Path) -> None:
    with ExitStack() as stack:
        programs = []
        for i in (1, 2):
            words = ["-m", "corten", "echo", "7", "--link", f"tap:e{i},address=10.9.{i}.2/24"]
            programs.append(stack.enter_context(_echo(space, words, tmp_path)))
            alone = ctl(space, "list", XDG_RUNTIME_DIR=str(tmp_path)).split()
            assert len(alone) == i
        said = ctl(space, "status", code=2, XDG_RUNTIME_DIR=str(tmp_path))
        assert said == f"corten: 2 servers run: say --control {alone[0]} or {alone[1]}\n"
        assert {Path(path).name for path in alone} == {f"echo-{each.pid}.sock" for each in programs}
        assert ctl(space, "--control", alone[0], "stop") == "done\n"
        (left,) = ctl(space, "list", XDG_RUNTIME_DIR=str(tmp_path)).split()
        assert left == alone[1]
        assert "ready, leads" in ctl(space, "status", XDG_RUNTIME_DIR=str(tmp_path))


@contextmanager
def _echo(space: Namespace, words: list[str], runtime: Path) -> Iterator[subprocess.Popen[bytes]]:
    program = subprocess.Popen(
        [sys.executable, *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        preexec_fn=space.preparation(),  # noqa: PLW1509  (no thread runs by now)
        env={**os.environ, "XDG_RUNTIME_DIR": str(runtime)},
    )
    try:
        assert program.stdout is not None
        assert b"ready" in program.stdout.readline()
        yield program
    finally:
        program.terminate()
        program.communicate(timeout=15)


# -- links -------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2])
def test_a_link_that_comes_and_goes(space: Namespace, tmp_path: Path, workers: int) -> None:
    with Controlled(space, tmp_path, workers=workers) as served:
        stays = call(space)
        assert stays.ask("/1000") == pattern(1000)
        for turn in (1, 2):  # and its name, its address and its device are free again
            assert served.ctl("add-link", TWO) == "link two is served\n"
            found = {call(space, SECOND).ask("/pid").split()[1] for _ in range(40)}
            assert len(found) == workers
            goes = [call(space, SECOND) for _ in range(8)]
            for client in goes:
                assert client.ask("/100000") == pattern(100_000)
            links = {link["name"]: link for link in served.status()["links"]}
            assert links["two"]["index"] == turn
            assert served.ctl("remove-link", "two") == "done\n"
            for client in goes:
                ended(client)
            assert "two" not in space.ip("link", "show")
            assert stays.ask("/100000") == pattern(100_000)
        assert served.links() == {"corten0": ["10.9.0.2"]}
        assert served.program.end(signal.SIGTERM) == 0


def test_who_takes_a_dead_workers_seat_serves_the_links_of_then(
    space: Namespace, tmp_path: Path
) -> None:
    with Controlled(space, tmp_path, workers=2) as served:
        served.ctl("add-link", TWO)
        served.ctl("add-link", "tap:three,address=10.9.2.2/24")
        served.ctl("add-address", "two", "10.9.1.77/24")
        served.ctl("remove-link", "three")
        for worker in served.status()["workers"]:
            os.kill(worker["pid"], signal.SIGKILL)
        served.wait_for_starts([2, 2])
        for address in ("10.9.0.2", SECOND, "10.9.1.77"):
            found = {call(space, address).ask("/pid").split()[1] for _ in range(40)}
            assert found == {b"0", b"1"}
        served.ctl("add-link", "tap:three,address=10.9.2.2/24")  # all agree on its number
        assert call(space, "10.9.2.2").ask("/5000") == pattern(5000)
        assert all(each["hand_over_stale"] == 0 for each in served.counters())


def test_addresses_that_come_and_go(space: Namespace, tmp_path: Path) -> None:
    with Controlled(space, tmp_path, workers=2) as served:
        stays = call(space)
        served.ctl("add-address", "corten0", f"{OTHER}/24")
        assert served.links() == {"corten0": ["10.9.0.2", OTHER]}
        goes = [call(space, OTHER) for _ in range(8)]
        for client in goes:
            assert client.ask("/100000") == pattern(100_000)
        served.ctl("remove-address", "corten0", OTHER)
        for client in goes:
            ended(client)
        with pytest.raises(OSError):
            call(space, OTHER, 0.5)
        assert stays.ask("/1000") == pattern(1000)
        served.ctl("add-address", "corten0", f"{OTHER}/24")
        assert call(space, OTHER).ask("/1000") == pattern(1000)


def test_without_a_supervisor_the_worker_listens_itself(space: Namespace, tmp_path: Path) -> None:
    with Controlled(space, tmp_path, supervised=False) as served:
        served.ctl("add-link", TWO)
        client = call(space, SECOND)
        assert client.ask("/1000") == pattern(1000)
        assert "no supervisor" in served.ctl("restart", "0", code=2)
        served.ctl("remove-link", "two")
        ended(client)
        assert call(space).ask("/1000") == pattern(1000)
        assert served.ctl("stop") == "done\n"
        assert served.program.end() == 0
        assert not os.path.exists(served.path)


# -- workers -----------------------------------------------------------------------------------


class Traffic:
    """Short connections without pause, from a thread of its own; every one must be served."""

    def __init__(self, space: Namespace) -> None:
        self.space = space
        self.served = 0
        self.errors: list[Exception] = []
        self.is_over = False
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        while not self.is_over:
            try:
                client = call(self.space, timeout=5.0)
                assert client.ask("/3000") == pattern(3000)
                client.close()
                self.served += 1
            except Exception as error:
                self.errors.append(error)  # the test looks at them

    def __enter__(self) -> Traffic:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over = True
        self.thread.join()


def test_a_worker_is_restarted_and_nobody_is_refused(space: Namespace, tmp_path: Path) -> None:
    with Controlled(space, tmp_path, workers=2, drain_seconds=1.0) as served:
        found = workers_of(space, 2)
        (old, goes), (kept_pid, kept) = found[0], found[1]
        busy = call(space)
        while busy.ask("/pid").split()[1] != b"0":
            busy = call(space)
        busy.send("/3000000")  # it reads slowly: the worker waits for it
        with Traffic(space) as traffic:
            time.sleep(0.2)
            said = served.ask("restart", worker=0)
            assert kept.ask("/500000") == pattern(500_000)
            time.sleep(0.3)
        assert traffic.errors == []
        assert traffic.served > 10
        assert goes.socket.recv(10) == b"", "what was idle is closed in good order"
        status = {each["index"]: each for each in served.status()["workers"]}
        assert status[0]["pid"] != old and status[0]["starts"] == 2
        assert said == {"ok": True, "worker": 0, "pid": status[0]["pid"]}
        assert (status[1]["pid"], status[1]["starts"]) == (kept_pid, 1)
        assert status[0]["leads"]
        assert kept.ask("/pid").split()[1] == b"1"
        assert sorted(workers_of(space, 2)) == [0, 1]
        assert served.program.end(signal.SIGTERM) == 0


def test_a_worker_is_restarted_at_once(space: Namespace, tmp_path: Path) -> None:
    with Controlled(space, tmp_path, workers=2) as served:
        for index in (0, 1, 0, 1, 0, 1):  # oftener than a worker may die
            found = workers_of(space, 2)
            served.ctl("restart", str(index), "--now")
            ended(found[index][1])
            assert found[1 - index][1].ask("/100000") == pattern(100_000)
        assert [each["starts"] for each in served.status()["workers"]] == [4, 4]


def test_kernel_workers_restart_too(space: Namespace, tmp_path: Path) -> None:
    with Controlled(space, tmp_path, ["kernel,address=127.0.0.1"], workers=2) as served:
        before = [each["pid"] for each in served.status()["workers"]]
        served.ctl("restart", "1")
        served.ctl("restart", "0", "--now")
        after = [each["pid"] for each in served.status()["workers"]]
        assert not {*before} & {*after}
        assert call(space, "127.0.0.1").ask("/100") == pattern(100)
        assert served.program.end(signal.SIGTERM) == 0


def test_a_successor_knows_its_fellows_neighbours(space: Namespace, tmp_path: Path) -> None:
    """It answers who was known already, and asks nobody."""
    with Controlled(space, tmp_path, workers=2) as served:
        workers_of(space, 2)
        asked = sum(each["arp_requests_out"] for each in served.counters())
        for index in (1, 0):
            served.ctl("restart", str(index), "--now")
            for _ in range(20):
                assert call(space).ask("/10") == pattern(10)
        after = served.counters()
        # one announcement of whoever leads now is no request that is counted
        assert sum(each["arp_requests_out"] for each in after) == asked


# -- queues ------------------------------------------------------------------------------------

_PIDFD_GETFD = 438
_TUNSETQUEUE = 0x400454D9
_ATTACH, _DETACH = 0x0200, 0x0400


def tap_queue(pid: int) -> int:
    """Our own descriptor of a worker's queue."""
    (number,) = [
        int(name)
        for name in os.listdir(f"/proc/{pid}/fd")
        if os.readlink(f"/proc/{pid}/fd/{name}") == "/dev/net/tun"
    ]
    pidfd = os.pidfd_open(pid)
    libc = ctypes.CDLL(None, use_errno=True)
    fd = libc.syscall(_PIDFD_GETFD, pidfd, number, 0)
    os.close(pidfd)
    if fd < 0:
        pytest.skip(f"no descriptor of another process: {os.strerror(ctypes.get_errno())}")
    return int(fd)


def set_queue(fd: int, flag: int) -> None:
    fcntl.ioctl(fd, _TUNSETQUEUE, struct.pack("16sH22x", b"", flag))


def test_the_set_of_queues_changes_under_load(space: Namespace, tmp_path: Path) -> None:
    """What its queue would have brought comes out of another, and is handed over: connections live
    on, every octet is right, and the share that `status` says is of frames handed over."""
    with Controlled(space, tmp_path, workers=3) as served:
        owned = workers_of(space, 3)
        clients = [client for _, client in owned.values()]
        clients += [call(space) for _ in range(21)]
        owners = [client.ask("/pid") for client in clients]
        queues = [tap_queue(owned[index][0]) for index in range(3)]
        try:
            for queue in (*queues, *queues):
                for flag in (_DETACH, _ATTACH):
                    for client in clients:
                        client.send("/200000")
                    set_queue(queue, flag)
                    for client in clients:
                        assert client.reply() == pattern(200_000)
                    assert call(space).ask("/1000") == pattern(1000)
        finally:
            for queue in queues:
                os.close(queue)
        assert [client.ask("/pid") for client in clients] == owners
        counted = served.counters()
        assert all(each["tcp_no_connection"] == 0 for each in counted)
        assert all(each["connections_reset"] == 0 for each in counted)
        status = served.status()
        workers = [each["counters"] for each in status["workers"]]
        handed = sum(each["handed_over"] for each in workers)
        received = sum(each["frames_in"] for each in workers)
        assert 0 < handed < received
        said = json.loads(served.ctl("status", "--json"))
        assert 0 < said["handed_over_share"] < 1
        served.wait_for_the_same_frames()


# -- waiting -----------------------------------------------------------------------------------


@pytest.mark.parametrize("link", [TAP, "kernel,address=127.0.0.1"])
def test_a_worker_that_spins_serves_and_sleeps_when_nothing_comes(
    space: Namespace, tmp_path: Path, link: str
) -> None:
    with Controlled(space, tmp_path, [link], spin_us=200) as served:
        client = call(space, served.ready[0])
        for _ in range(100):
            assert client.ask("/10") == pattern(10)
        (worker,) = served.status()["workers"]
        time.sleep(0.3)
        before = _cpu_seconds(worker["pid"])
        time.sleep(2.0)
        assert _cpu_seconds(worker["pid"]) - before < 0.5  # who never sleeps takes 2.0
        assert client.ask("/10") == pattern(10)
        assert served.program.end(signal.SIGTERM) == 0


def _cpu_seconds(pid: int) -> float:
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_only_their_user_may_tell_workers(space: Namespace) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    with tempfile.TemporaryDirectory(prefix="corten-") as folder:
        os.chmod(folder, 0o755)  # everybody gets here, and no further
        with Controlled(space, Path(folder)) as served:
            script = (
                "import os, socket\n"
                "os.setgid(65534); os.setuid(65534)\n"
                f"os.stat({served.path!r})\n"
                "end = socket.socket(socket.AF_UNIX)\n"
                f"print(end.connect_ex({served.path!r}))\n"
            )
            said = space.command([sys.executable, "-c", script])
            assert int(said) == errno.EACCES
