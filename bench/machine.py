"""What the machine did during a run: busy, stolen and foreign time of each core.

Busy is everything in /proc/stat but idle and I/O wait, softirq included, steal excluded, and
without `nice` while something keeps the cores awake (`bench.awake`). Foreign is the time of
processes that are not of this run: on a machine with other users a run is as worthless with much of
it as with much steal.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass

from bench import awake
from tools import profiled

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_IDLE = ("idle", "iowait", "steal")
_FIELDS = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")

# program -> Debian package
_PACKAGES = {
    "wrk": "wrk",
    "nginx": "nginx-light",
    "curl": "curl",
    "ip": "iproute2",
    "taskset": "util-linux",
    "unshare": "util-linux",
    "gcc": "gcc",
    "valgrind": "valgrind",
}


def missing(programs: Iterable[str]) -> str | None:
    """One line that names what to install, or None."""
    absent = sorted({_PACKAGES[name] for name in programs if find(name) is None})
    return f"missing: apt-get install {' '.join(absent)}" if absent else None


def find(program: str) -> str | None:
    """The program's path; /usr/sbin is searched too, for ordinary users."""
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def core_times() -> list[dict[str, float]]:
    """Seconds of each kind on each core since boot."""
    cores = []
    with open("/proc/stat", encoding="ascii") as file:
        for line in file:
            if line.startswith("cpu") and line[3].isdigit():
                ticks = [int(word) * _TICK_S for word in line.split()[1:9]]
                cores.append(dict(zip(_FIELDS, ticks, strict=True)))
    return cores


def process_times() -> dict[int, float]:
    """CPU seconds of each process and its waited-for children; kernel threads are left out."""
    found: dict[int, float] = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                words = file.read().rpartition(")")[2].split()
        except OSError:
            continue  # silent: the process ended while we looked
        if words[1] != "2" and name != "2":
            found[int(name)] = sum(int(word) for word in words[11:15]) * _TICK_S
    return found


def own_times(pids: Iterable[int]) -> tuple[float, float]:
    """User and system seconds of these processes, their softirqs on the way included."""
    user = system = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            words = file.read().rpartition(")")[2].split()
        user += int(words[11])
        system += int(words[12])
    return user * _TICK_S, system * _TICK_S


@dataclass
class CoreUse:
    """What one core did between two readings, in seconds."""

    busy: float
    steal: float
    softirq: float
    user: float
    system: float


@dataclass
class Use:
    """What the machine did between two readings."""

    seconds: float
    cores: list[CoreUse]
    foreign: float

    def steal_share(self) -> float:
        """The largest share of a core that the host took away."""
        return max(core.steal / self.seconds for core in self.cores)

    def foreign_share(self) -> float:
        """Seconds of others' processes per second of the run (of all cores)."""
        return self.foreign / self.seconds


class Watch:
    """Reads the counters when made and again at `stop`."""

    def __init__(self, cores: Iterable[int]) -> None:
        self.cores = list(cores)
        self._processes = process_times()
        self._before = core_times()
        self._started = time.monotonic()

    def stop(self, ours: Iterable[int]) -> Use:
        """The use since the start. `ours`: pids whose time is not foreign."""
        seconds = time.monotonic() - self._started
        after = core_times()
        idle = (*_IDLE, "nice") if awake.pids else _IDLE
        uses = []
        for number in self.cores:
            delta = {name: after[number][name] - self._before[number][name] for name in _FIELDS}
            busy = sum(delta[name] for name in _FIELDS if name not in idle)
            uses.append(
                CoreUse(busy, delta["steal"], delta["softirq"], delta["user"], delta["system"])
            )
        own = set(ours) | awake.pids | {os.getpid()}
        # a child's time moves to its parent when it is waited for: only the sums can be compared
        foreign = _outside(process_times(), own) - _outside(self._processes, own)
        return Use(seconds, uses, max(0.0, foreign))


def _outside(times: dict[int, float], own: set[int]) -> float:
    return sum(spent for pid, spent in times.items() if pid not in own)


def describe() -> dict[str, object]:
    """Kernel, processor, memory and commit: what a figure is worth nothing without."""
    model = "unknown"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    with open("/proc/meminfo", encoding="ascii") as file:
        memory_kib = int(file.readline().split()[1])
    return {
        "kernel": platform.release(),
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gib": round(memory_kib / 2**20, 1),
        "python": platform.python_version(),
        "commit": _commit(),
        "profiled": profiled.is_used(),
        "versions": {name: _version(words) for name, words in _VERSIONS.items()},
    }


_VERSIONS = {
    "wrk": ["wrk", "-v"],
    "nginx": ["nginx", "-v"],
    "gcc": ["gcc", "-dumpfullversion"],
}


def _version(words: list[str]) -> str:
    program = find(words[0])
    if program is None:
        return "absent"
    done = subprocess.run([program, *words[1:]], capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0][:60] if lines else "unknown"


def _commit() -> str:
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    try:
        done = subprocess.run(
            ["git", "-C", here, "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:  # silent: a tree without git still has its bench
        return "unknown"
    return done.stdout.strip() or "unknown"
