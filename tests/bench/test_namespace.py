"""Namespaces of the bench: made, joined, used, and gone without a trace."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from bench.machine import missing
from bench.namespace import Namespace, NamespaceError, connect, steer
from bench.process import Process, ProcessError
from bench.server import Setting
from bench.servers import SERVERS

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces take root"),
]


def test_two_namespaces_reach_each_other_and_leave_nothing() -> None:
    before = os.readlink("/proc/self/ns/net")
    left, right = Namespace("left"), Namespace("right")
    try:
        connect(left, right, "10.1.0.1/24", "10.1.0.2/24")
        steer(left, "wire", 0)
        assert "10.1.0.1" in left.ip("-4", "address", "show", "dev", "wire")
        assert "wire" not in os.listdir("/sys/class/net")
        with pytest.raises(NamespaceError, match="ip link show dev none"):
            left.ip("link", "show", "dev", "none")
    finally:
        left.close()
        right.close()
    assert os.readlink("/proc/self/ns/net") == before


@pytest.mark.parametrize("apart", [False, True])
def test_replies_are_steered_where_each_end_is_to_receive_on_its_own_core(
    apart: bool, tmp_path: Path
) -> None:
    if line := missing(["ip", "taskset", "unshare"]):
        pytest.skip(line)
    tmp_path.chmod(0o755)
    setting = Setting(str(tmp_path), str(tmp_path), (0, 1), apart=apart)
    for name in ("corten-tap", "corten-kernel"):
        with SERVERS[name](setting) as running:
            look = "mount -t sysfs look /sys; cat /sys/class/net/wire/queues/rx-0/rps_cpus"
            mask = running.client.command(["unshare", "-m", "sh", "-ec", look])
        assert int(mask, 16) == (2 if apart else 0)


def is_running(pid: int) -> bool:
    """Whether it is there and no zombie: an orphan waits for init to collect it."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_program_is_ended_with_its_children() -> None:
    process = Process(["sh", "-c", "sleep 60 & echo started; trap '' TERM; wait"], None, 0)
    process.expect("started")
    family = process.pids()
    assert len(family) == 2
    process.stop(0.2)
    time.sleep(0.1)
    assert not any(is_running(pid) for pid in family)


def test_a_program_that_fails_says_what_it_said() -> None:
    process = Process(["sh", "-c", "echo no such thing; exit 3"], None, None)
    with pytest.raises(ProcessError, match="exit 3: no such thing"):
        process.wait(5)
    process.stop()
