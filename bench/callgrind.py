"""`python -m bench.callgrind [SCENARIO…]`: instructions a request costs in user space.

Timings on a shared machine are noise; instructions are not. Valgrind counts those of the server's
breath alone (receive, timers, handlers, output) while `bench.path` plays N and then 3 N requests;
the difference, divided by 2 N, is the cost of one, free of set-up. What the pipe costs, which
stands where a device would, is told apart and not part of the total.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter

from bench import machine
from bench.path import SCENARIOS
from bench.report import table

_HERE = os.path.dirname(os.path.abspath(__file__))
BREATH = "__pyx_f_6corten_6worker_6breath_6Breath_breathe"
_LINE = re.compile(r"^\s*([\d,]+)\s+(?:\([^)]*\)\s+)?\S*?:(\S.*?)(?: \[([^\]]*)\])?$")
_PARTS = {
    "input": "corten.stack.stack.Stack.receive",
    "timers": "corten.stack.stack.Stack.expire",
    "handlers": "corten.stack.stack.Stack.deliver",
    "release": "corten.stack.stack.Stack.release",
    "output": "corten.stack.stack.Stack.transmit",
    "pipe in": "corten.driver.pipe.Pipe.receive",
    "pipe out": "corten.driver.pipe.Pipe.transmit",
}
REQUESTS = 1600
_TOP = 40
_INCLUSIVE_MIN = 40


def count_into(out: str, words: list[str], *options: str) -> None:
    """Run Python under callgrind, which counts the server's breaths into the file `out`. The
    program ends here where it cannot."""
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"]
    command += ["--collect-atstart=no", f"--toggle-collect={BREATH}", *options]
    settings = {**os.environ, "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [*command, sys.executable, *words],
        capture_output=True,
        text=True,
        cwd=os.path.dirname(_HERE),
        env=settings,
        check=False,
    )
    if done.returncode:
        sys.exit(f"valgrind: {done.stderr.strip()[-500:]}")


def count(scenario: str, requests: int, inclusive: bool, directory: str) -> Counter[str]:
    """Instructions by function, `total` among them."""
    out = os.path.join(directory, f"{scenario}.{requests}")
    if not os.path.exists(out):
        count_into(out, ["-m", "bench.path", scenario, str(requests)])
    words = ["callgrind_annotate", "--threshold=100", f"--inclusive={'yes' if inclusive else 'no'}"]
    done = subprocess.run([*words, out], capture_output=True, text=True, check=True)
    found: Counter[str] = Counter()
    for line in done.stdout.splitlines():
        if "PROGRAM TOTALS" in line:
            found["total"] = int(line.split()[0].replace(",", ""))
        elif match := _LINE.match(line):
            found[_short(match[2])] += int(match[1].replace(",", ""))
    return found


def _short(function: str) -> str:
    """A function's name as people know it: Cython's `__pyx_f_6corten_3tcp_3ack_advance` is
    `corten.tcp.ack.advance`, a wrapper's ends in "(wrapper)"."""
    match = re.match(r"__pyx_(f|pw|pf)_(\d.*?)('\d+)?$", function)
    if not match:
        return re.sub(r"'\d+$", "", function)
    kind, rest = match[1], match[2]
    words = []
    while found := re.match(r"_?(\d+)", rest):
        length = int(found[1])
        words.append(rest[found.end() : found.end() + length])
        rest = rest[found.end() + length :]
    name = ".".join(word for word in [*words, rest.removeprefix("_")] if word)
    return name if kind == "f" else f"{name} (wrapper)"


def measure(scenario: str, requests: int, directory: str) -> dict[str, object]:
    """The cost of one request: in all, by part, and by function."""
    few, many = requests, 3 * requests
    divisor = many - few
    whole = _difference(scenario, few, many, True, directory)
    own = _difference(scenario, few, many, False, directory)
    parts = {
        part: round(sum(n for name, n in whole.items() if name == mark) / divisor, 1)
        for part, mark in _PARTS.items()
    }
    pipe = parts["pipe in"] + parts["pipe out"]
    total = own.pop("total")
    whole.pop("total")
    return {
        "instructions": round(total / divisor - pipe, 1),
        "parts": parts,
        "functions": {name: round(n / divisor, 1) for name, n in own.most_common(_TOP)},
        "inclusive": {
            name: round(n / divisor, 1)
            for name, n in whole.most_common()
            if name.startswith("corten") and n >= divisor * _INCLUSIVE_MIN
        },
    }


def _difference(
    scenario: str, few: int, many: int, inclusive: bool, directory: str
) -> Counter[str]:
    first = count(scenario, few, inclusive, directory)
    second = count(scenario, many, inclusive, directory)
    second.subtract(first)
    return second


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.callgrind")
    parser.add_argument("names", nargs="*", default=list(SCENARIOS), metavar="SCENARIO")
    parser.add_argument("--requests", type=int, default=REQUESTS)
    parser.add_argument("--output", help="write the figures to this JSON file")
    options = parser.parse_args()
    if line := machine.missing(["valgrind"]):
        print(line)
        return 2
    found = {}
    with tempfile.TemporaryDirectory(prefix="corten-callgrind-") as directory:
        for name in options.names:
            found[name] = measure(name, options.requests, directory)
            _print(name, found[name])
    if options.output:
        with open(options.output, "w", encoding="utf-8") as file:
            json.dump({"commit": machine.describe()["commit"], "figures": found}, file, indent=1)
    return 0


def _print(name: str, figures: dict[str, object]) -> None:
    print(f"\n{name}: {figures['instructions']:,} instructions a request, without the pipe")
    for key, title in (
        ("parts", "part"),
        ("functions", "function, itself"),
        ("inclusive", "function, with what it calls"),
    ):
        found = figures[key]
        assert isinstance(found, dict)
        rows = [[title, "instructions"], *([each, f"{n:,.0f}"] for each, n in found.items())]
        print(f"\n{table(rows)}")


if __name__ == "__main__":
    sys.exit(main())
