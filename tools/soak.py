"""Long campaigns, beyond what CI has time for: `./dev soak [HOURS] [--first SEED]`.

First every test marked `soak` (the acceptance runs at their full size), once; then the simulator
over seeds nobody has tried, block after block, until the hours (1 unless said) are over. It stops
at the first failure, whose seed the simulator names; `--first` begins again at such a seed.
"""

from __future__ import annotations

import argparse
import os
import secrets
import subprocess
import sys
import time

from tools.environment import ROOT

BLOCK = 4000  # seeds of one round


def _pytest(marker: str, **settings: str) -> int:
    command = [sys.executable, "-m", "pytest", "-q", "-m", marker]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **settings}, check=False).returncode


def main(arguments: list[str]) -> int:
    """Run until the time is over or something fails; 0 when nothing did."""
    parser = argparse.ArgumentParser(prog="./dev soak", description=__doc__)
    parser.add_argument("hours", nargs="?", type=float, default=1.0)
    parser.add_argument("--first", type=int, help="begin at this seed, without the soak tests")
    options = parser.parse_args(arguments)
    end = time.monotonic() + options.hours * 3600
    first = options.first
    if first is None:
        first = secrets.randbelow(1 << 48)
        if status := _pytest("soak"):
            return status
    while time.monotonic() < end:
        print(f"seeds {first} to {first + BLOCK - 1}", flush=True)
        seeds = {"CORTEN_SEEDS": str(BLOCK), "CORTEN_FIRST_SEED": str(first)}
        if status := _pytest("sim and not slow", **seeds):
            return status
        first += BLOCK
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
