"""Install what the tests call, on Debian and Ubuntu, when asked to or in CI.

Rules. Only as root, only what is missing, never a question: tshark is told that only root captures,
and no service that a package brings is started (nginx would take port 80).
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POLICY = Path("/usr/sbin/policy-rc.d")  # asked by every package before it starts its service
ANSWERS = "wireshark-common wireshark-common/install-setuid boolean false\n"


def can_install() -> bool:
    return Path("/etc/debian_version").exists() and os.geteuid() == 0


def is_wanted(asked: bool) -> bool:
    """Whether to install at all: --install, or a CI run."""
    return asked or os.environ.get("CI") == "true" or bool(os.environ.get("CORTEN_REQUIRE_ALL"))


@contextmanager
def no_services() -> Iterator[None]:
    """While this holds, packages start nothing."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n", encoding="ascii")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)


def install(packages: list[str]) -> bool:
    """Install packages; whether that worked. What fails is printed by apt itself."""
    settings = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    print(f"installing {' '.join(packages)}", flush=True)
    subprocess.run(["debconf-set-selections"], input=ANSWERS, text=True, check=False)
    apt = ["apt-get", "-qq", "-y", "-o", "Dpkg::Use-Pty=0", "-o", "DPkg::Lock::Timeout=120"]
    commands = [
        [*apt, "update"],
        [*apt, "install", "--no-install-recommends", *packages],
    ]
    with no_services():
        for command in commands:
            done = subprocess.run(
                command,
                env=settings,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                check=False,
            )
            if done.returncode != 0:
                return False
    return True
