"""memif between processes: DPDK's testpmd in both roles; Cortens that are killed and come back."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.machine import find
from bench.namespace import Namespace
from bench.process import Process
from bench.server import corten
from corten.driver.device import Device, Wanted
from tests.driver.memif_link import Keeper, received, send
from tests.netns import ROOT, Program, namespace

memif = pytest.importorskip("corten.driver.memif", exc_type=ImportError)
from corten.driver.memif_device import open_device  # noqa: E402

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
PEER_SECONDS = 12.0  # after which testpmd ends by itself: it burns a core


@pytest.fixture
def space() -> Iterator[Namespace]:
    with namespace("memif") as made:
        yield made


# -- DPDK -------------------------------------------------------------------------------------


@contextmanager
def dpdk(folder: Path, role: str, mode: str) -> Iterator[Path]:
    """DPDK's test program at the other end, until the block ends; the socket's path."""
    program = find("dpdk-testpmd")
    if program is None or (os.cpu_count() or 1) < 2:
        pytest.skip("no dpdk-testpmd")
    path = folder / "s"
    words = ["timeout", "-s", "TERM", str(PEER_SECONDS), program, "-l", "0-1", "--no-huge"]
    words += ["-m", "256", "--no-pci", "--no-shconf", "--no-telemetry"]
    words += [f"--file-prefix=corten{os.getpid()}", "--vdev"]
    words += [f"net_memif0,role={role},id=0,socket={path},socket-abstract=no,rsize=8"]
    words += ["--", f"--forward-mode={mode}", "--total-num-mbufs=4096", "--no-mlockall"]
    words += ["--stats-period=1"]  # without it the end of its standard input is its own
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            yield path
        finally:
            process.terminate()
            process.wait(10)
    said = (folder / "log").read_text(errors="replace")
    if "failed to parse device" in said.lower():
        pytest.skip("no librte-net-memif")


def until(true: object, seconds: float, keeper: Keeper | None = None) -> bool:
    """Whether it became true in time."""
    assert callable(true)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if keeper is not None:
            keeper.turn()
        if true():
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("role", ["server", "client"])
def test_dpdk_answers_our_ping(space: Namespace, tmp_path: Path, role: str) -> None:
    link = f"memif:{tmp_path / 's'},address=10.9.0.2/24"
    link += ",role=client" if role == "server" else ""
    words = [*corten(), "ping", "10.9.0.1", "-c", "4", "-i", "1", "-W", "6", "--link", link]
    pinger = Process(words, space, None, directory=str(ROOT)) if role == "client" else None
    if pinger is not None:
        assert until((tmp_path / "s").exists, 10.0)  # testpmd tries once
    with dpdk(tmp_path, role, "icmpecho") as path:
        assert until(path.exists, 8.0)
        pinger = pinger or Process(words, space, None, directory=str(ROOT))
        try:
            said = pinger.wait(20)
        finally:
            pinger.stop()
    assert "4 packets transmitted, 4 received, 0% packet loss" in said


@pytest.mark.parametrize("role", ["server", "client"])
def test_dpdk_returns_every_frame(tmp_path: Path, role: str) -> None:
    """`macswap`: a thousand frames of many lengths, each back with its addresses exchanged."""
    if find("dpdk-testpmd") is None:
        pytest.skip("no dpdk-testpmd")
    ours = "client" if role == "server" else "server"
    wanted = Wanted("memif", str(tmp_path / "s"), mtu=1500, options={"role": ours})
    device: Device | None = open_device(wanted) if ours == "server" else None
    keeper = Keeper()
    with dpdk(tmp_path, role, "macswap") as path:
        assert until(path.exists, 8.0)
        device = device or open_device(wanted)
        device.attend(keeper)
        assert until(lambda: device.queue(0).fds, 8.0, keeper)
        driver = memif.open_queue(device.queue(0).own())
        one, two = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
        # testpmd throws away what waits when it begins
        assert until(lambda: send(driver, one + two + bytes(48)) and received(driver), 8.0, keeper)
        until(lambda: not received(driver), 2.0, keeper)
        sent: list[bytes] = []
        back: list[bytes] = []

        def all_back() -> bool:
            back.extend(frame for frame in received(driver) if frame[12:14] == b"\x08\0")
            return len(back) >= len(sent)

        for i in range(1000):
            frame = one + two + bytes([8, 0]) + i.to_bytes(4, "big") + bytes(i + 42)
            assert send(driver, frame) == 1
            sent.append(two + one + frame[12:])
            if i % 16 == 15:
                assert until(all_back, 5.0)
        until(all_back, 5.0)
        assert back == sent
        assert driver.broken == driver.unreadable == 0
        driver.close()
        device.close()


@pytest.mark.soak
def test_dpdk_sends_as_fast_as_it_can(tmp_path: Path) -> None:
    with dpdk(tmp_path, "server", "txonly") as path:
        assert until(path.exists, 8.0)
        device = open_device(Wanted("memif", str(path), mtu=1500, options={"role": "client"}))
        keeper = Keeper()
        device.attend(keeper)
        assert until(lambda: device.queue(0).fds, 8.0, keeper)
        driver = memif.open_queue(device.queue(0).own())
        assert until(lambda: received(driver)[:1] and driver.received > 100_000, 8.0)
        assert driver.broken == driver.unreadable == 0
        driver.close()
        device.close()


# -- two Cortens ------------------------------------------------------------------------------


class Served:
    """The tests' server over memif."""

    def __init__(self, space: Namespace, path: Path, workers: int) -> None:
        links = [f"memif:{path},address=10.9.0.2/24"]
        text = json.dumps({"links": links, "workers": workers})
        self.program = Program(space, "-m", "tests.worker.server", text)
        self.workers: list[int] = []
        is_ready = False
        while not is_ready or len(self.workers) < workers:
            message = self.program.line()
            is_ready = is_ready or "ready" in message
            self.workers += [message["up"][0]] if "up" in message else []

    def close(self) -> None:
        self.program.close()


def asker(space: Namespace, path: Path) -> Program:
    link = f"memif:{path},role=client,address=10.9.0.1/24"
    return Program(space, "-m", "tests.driver.memif_asker", link, "10.9.0.2")


def goes_on(client: Program, count: int = 20) -> None:
    """So many answers more."""
    first = client.wait_for("answered")
    while client.wait_for("answered") < first + count:
        pass


@pytest.mark.parametrize("workers", [1, 2])
def test_whoever_is_killed_comes_back(space: Namespace, tmp_path: Path, workers: int) -> None:
    """The server, its worker, the client: each by SIGKILL, and each time answers come again."""
    path = tmp_path / "s"
    server = Served(space, path, workers)
    client = asker(space, path)
    try:
        goes_on(client)
        for pid in server.workers:
            os.kill(pid, signal.SIGKILL)
            goes_on(client)
        server.close()
        server = Served(space, path, workers)
        client.wait_for("answered")
        goes_on(client)
        client.close()
        client = asker(space, path)
        goes_on(client)
        assert server.program.end(signal.SIGTERM) == 0
        assert not path.exists()
    finally:
        client.close()
        server.close()


def test_both_sleep_when_nothing_happens(space: Namespace, tmp_path: Path) -> None:
    """Two seconds of idleness cost almost no time of either."""
    path = tmp_path / "s"
    server = Served(space, path, 1)
    client = asker(space, path)
    try:
        goes_on(client)
        os.kill(client.process.pid, signal.SIGSTOP)
        time.sleep(0.7)
        before = spent(server.workers[0])
        time.sleep(2.0)
        assert spent(server.workers[0]) - before < 0.5
        os.kill(client.process.pid, signal.SIGCONT)
        goes_on(client)
    finally:
        client.close()
        server.close()


def spent(pid: int) -> float:
    """Seconds of CPU."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        words = file.read().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


# -- what cannot be ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("link", "says"),
    [
        ("memif,address=10.9.0.2/24", "which device\\? write memif:NAME"),
        ("memif:/nowhere/s,address=10.9.0.2/24", "no directory /nowhere"),
        ("memif:/tmp/s,role=both,address=10.9.0.2/24", "role=both: is server or client"),
        ("memif:/tmp/s,secret=aaaaaaaaaaaaaaaaaaaaaaaaa,address=10.9.0.2/24", "more than 24"),
        ("memif:/tmp/s,size=15,address=10.9.0.2/24", "from 3 to 14"),
        ("memif:/tmp/s,host=10.9.0.1,address=10.9.0.2/24", "has no host"),
    ],
)
def test_a_wrong_link_is_one_line(space: Namespace, link: str, says: str) -> None:
    words = [*corten(), "ping", "10.9.0.1", "-c", "1", "--link", link]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT, timeout=20)
    assert done.returncode == 2
    assert re.search(says, done.stderr), done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_an_ordinary_user_needs_nothing(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    script = (
        "import os\n"
        "from corten.driver.device import Wanted\n"
        "from corten.driver.memif_device import open_device\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "open_device(Wanted('memif', f'@corten-{os.getpid()}', mtu=1500)).close()\n"
        "try: open_device(Wanted('memif', '/usr/s', mtu=1500))\n"
        "except Exception as error: print(error)\n"
    )
    words = [sys.executable, "-c", script]
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=ROOT, timeout=20)
    assert not done.stderr
    assert "needs the right to write in /usr" in done.stdout
