"""`python -m corten.sim --scenario NAME --seed N [--trace]`: run a scenario again, as it was.
`python -m corten.sim grid`: the table of goodput. `python -m corten.sim --seed 1 --count 100`."""

from __future__ import annotations

import argparse
import sys
import time

from corten.sim import grid, scenario
from corten.sim.trace import PacketTrace


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m corten.sim", description=__doc__)
    parser.add_argument("command", nargs="?", choices=["run", "grid"], default="run")
    parser.add_argument("--scenario", default="random", choices=sorted(scenario.SCENARIOS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1, help="so many seeds from --seed on")
    parser.add_argument("--trace", action="store_true", help="print every packet as it is sent")
    options = parser.parse_args()
    if options.command == "grid":
        print(grid.text(grid.table(options.seed)))
        return 0
    PacketTrace.echo = options.trace
    failed = 0
    started = time.perf_counter()
    for seed in range(options.seed, options.seed + options.count):
        try:
            network = scenario.SCENARIOS[options.scenario](seed)
        except AssertionError as error:
            failed += 1
            print(f"seed {seed} FAILED: {error}\n", flush=True)
            continue
        if options.count == 1:
            print(f"seed {seed}: {network.checker.segments} segments, all as it should be")
    took = time.perf_counter() - started
    if options.count > 1:
        print(f"{options.count} seeds, {failed} failed, {took:.1f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
