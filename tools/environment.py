"""The virtual environments that everything runs in, and what the machine must have for them.

One `.venv` a tree for the Python that runs ./dev, one `.venv-pyXY` for any other. A stamp in each
holds the hash of the pins it was made from: an environment that fits is used as it is. A linked git
worktree uses the main tree's environment while its pins are the same.

Rules. Standard library only: this runs before anything is installed. What is missing is said in one
line that names the Debian package.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STAMP = "corten-pins"

# what the end-to-end tests call: program -> Debian package
PROGRAMS = {
    "curl": "curl",
    "wrk": "wrk",
    "nginx": "nginx",
    "chromium": "chromium",
    "dig": "bind9-dnsutils",
    "dnsmasq": "dnsmasq-base",
    "dpdk-testpmd": "dpdk-dev librte-net-memif23",
    "ip": "iproute2",
    "ethtool": "ethtool",
    "nmap": "nmap",
    "openssl": "openssl",
    "tshark": "tshark",
    "valgrind": "valgrind",
    "pg_lsclusters": "postgresql",
    "ping": "iputils-ping",
    "radvd": "radvd",
    "redis-server": "redis-server",
    "ssh": "openssh-client",
    "sshd": "openssh-server",
}


class Missing(Exception):
    """The machine lacks something. The text is one line that says what to install."""


@dataclass(frozen=True)
class Python:
    """An interpreter: how to start it, and its version as (3, 11)."""

    path: str
    version: tuple[int, int]

    @property
    def tag(self) -> str:
        return f"py{self.version[0]}{self.version[1]}"


def this_python() -> Python:
    return Python(sys.executable, sys.version_info[:2])


def probe(name: str) -> Python | None:
    """The CPython behind `name`, if it starts at all: a version manager's shim may not."""
    code = "import sys; print(sys.implementation.name, *sys.version_info[:2], sys.executable)"
    try:
        done = subprocess.run(
            [name, "-c", code], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):  # silent: the caller counts it as not there
        return None
    words = done.stdout.split(maxsplit=3)
    if done.returncode != 0 or len(words) != 4 or words[0] != "cpython":
        return None
    return Python(words[3].strip(), (int(words[1]), int(words[2])))


def pins() -> list[str]:
    """Every package with its version, as pyproject.toml states them."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return sorted(groups["dependency-groups"]["dev"])


def _stamp(python: Python) -> str:
    text = "\n".join([str(python.version), *pins()])
    return hashlib.sha256(text.encode()).hexdigest()


def _main_tree() -> Path | None:
    """The main tree of a linked git worktree; None in the main tree itself, or without git."""
    git = ROOT / ".git"
    if not git.is_file():
        return None
    folder = Path(git.read_text(encoding="utf-8").removeprefix("gitdir:").strip())
    common = folder.parent.parent  # <main tree>/.git/worktrees/<name>
    return common.parent if common.name == ".git" else None


def missing_for_build(python: Python) -> dict[str, list[str]]:
    """What an environment and a build would not find -> the Debian packages that have it."""
    debian = f"python{python.version[0]}.{python.version[1]}"
    code = "import sysconfig; print(sysconfig.get_paths()['include'])"
    done = subprocess.run([python.path, "-c", code], capture_output=True, text=True, check=True)
    missing = {}
    if not (Path(done.stdout.strip()) / "Python.h").exists():
        missing[f"Python.h of {python.path}"] = [f"{debian}-dev"]
    code = "import venv, ensurepip"
    done = subprocess.run([python.path, "-c", code], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        missing[f"the venv module of {python.path}"] = [f"{debian}-venv"]
    if not (os.environ.get("CC") or shutil.which("gcc") or shutil.which("cc")):
        missing["a C compiler"] = ["gcc", "libc6-dev"]
    return missing


def _run(arguments: list[str], why: str) -> None:
    done = subprocess.run(arguments, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise Missing(f"{why} failed: {' '.join(arguments)}")


def ensure(python: Python) -> str:
    """The interpreter of an environment that has every pin, made now if need be."""
    name = ".venv" if python.version == sys.version_info[:2] else f".venv-{python.tag}"
    stamp = _stamp(python)
    for tree in filter(None, (ROOT, _main_tree())):
        ready = tree / name / STAMP
        if ready.exists() and ready.read_text(encoding="utf-8") == stamp:
            return str(tree / name / "bin" / "python")
    for what, packages in missing_for_build(python).items():
        raise Missing(f"{what} is missing: apt-get install {' '.join(packages)}")
    where = ROOT / name
    print(f"making {name} ({len(pins())} packages)", flush=True)
    _run([python.path, "-m", "venv", "--clear", str(where)], "making the environment")
    inside = str(where / "bin" / "python")
    quiet = ["--quiet", "--disable-pip-version-check", "--no-input"]
    _run([inside, "-m", "pip", "install", *quiet, *pins()], "installing the packages")
    (where / STAMP).write_text(stamp, encoding="utf-8")
    return inside


def missing_programs() -> dict[str, list[str]]:
    """The programs that the end-to-end tests would not find -> their Debian packages."""
    return {name: package.split() for name, package in PROGRAMS.items() if not shutil.which(name)}
