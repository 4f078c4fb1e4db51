"""`python -m corten.sim --scenario NAME --seed N [--trace]`: run a scenario again, as it was.
`python -m corten.sim golden [--write]`: the table of what TCP gets out of a path.
`python -m corten.sim --seed 1 --count 100`: many seeds."""

from __future__ import annotations

import argparse
import logging
import sys
import time

from corten.sim import golden, scenario
from corten.sim.application import PlannedError
from corten.sim.trace import PacketTrace


def _is_unplanned(record: logging.LogRecord) -> bool:
    """Whether a line of the log tells of what no plan has asked for."""
    return not (record.exc_info and isinstance(record.exc_info[1], PlannedError))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m corten.sim", description=__doc__)
    parser.add_argument("command", nargs="?", choices=["run", "golden"], default="run")
    parser.add_argument("--scenario", default="random", choices=sorted(scenario.SCENARIOS))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=1, help="so many seeds from --seed on")
    parser.add_argument("--trace", action="store_true", help="print every packet as it is sent")
    parser.add_argument("--small", action="store_true", help="of the golden table, what is quick")
    parser.add_argument("--write", action="store_true", help="keep the golden table")
    options = parser.parse_args()
    if options.command == "golden":
        table = golden.measure(options.small)
        print(golden.text(table))
        if options.write:
            golden.keep(table)
        return 0
    PacketTrace.echo = options.trace
    logging.getLogger("corten").addFilter(_is_unplanned)
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
