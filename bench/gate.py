"""`python -m bench.gate [--write]`: whether the pure path has become dearer, in instructions.

One process under valgrind's callgrind plays each scenario of `bench.path` twice, N and then 3 N
requests; the instructions of the server's breaths in between, less those of the pipe that stands
where a device would, divided by 2 N, are the cost of one.
They are the same in every run of one build, so a growth of 3 % over what `instructions.json` keeps
is a change of ours, never noise. `--write` keeps what was counted now.

What a compiler makes of the same source differs by more than that. So the figures kept belong to a
compiler and a Python, and where there are none for those that built this tree, nothing is compared,
and that is said.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import re
import sys
import tempfile
from pathlib import Path

from bench import machine
from bench.callgrind import count_into
from tools import profiled

HERE = Path(__file__).resolve().parent
KEPT = HERE / "instructions.json"
GROWTH_MAX = 0.03
UNCOMPARED = 3  # exit status: no figures of this compiler and Python are kept
REQUESTS = {"bulk": 64, "close": 192}
_REQUESTS = 320
_TIMES = 3
_MARK = "getppid"  # a function that nobody calls but us: callgrind writes a part at each call
_PIPE = tuple(f"__pyx_f_6corten_6driver_4pipe_4Pipe_{way}" for way in ("receive", "transmit"))
_FUNCTION = re.compile(r"^(c?)fn=\((\d+)\)(?: (.*))?$")  # a name is written out once, then numbered
_TOTALS = re.compile(r"^totals: (\d+)", re.MULTILINE)
_GCC = re.compile(rb"(?:GCC: \([^)]*\)|clang version) (\d+(?:\.\d+)*)")


def toolchain() -> str | None:
    """What built the extensions and runs them: "gcc 12.2.0, CPython 3.11". None: not built."""
    tag = f"cpython-{sys.version_info[0]}{sys.version_info[1]}-"
    built = sorted((HERE.parent / "corten" / "worker").glob(f"breath.{tag}*.so"))
    if not built:
        return None
    code = built[0].read_bytes()
    found = _GCC.search(code)
    name = "clang" if found and b"clang" in found[0] else "gcc"
    version = found[1].decode() if found else "unknown"
    python = ".".join(platform.python_version_tuple()[:2])
    seen = ", profiled" if profiled.is_used() else ""
    return f"{name} {version}{seen}, CPython {python}, {platform.machine()}"


def kept() -> dict[str, dict[str, float]]:
    """Toolchain to scenario to instructions."""
    if not KEPT.exists():
        return {}
    found: dict[str, dict[str, float]] = json.loads(KEPT.read_text(encoding="utf-8"))
    return found


def obstacle() -> str | None:
    """Why nothing kept is of what built this tree, in one line."""
    known, ours = kept(), toolchain()
    if ours not in known:
        others = "; ".join(sorted(known)) or "nobody"
        return f"built by {ours}, the figures kept are of {others}: nothing was compared"
    return None


def count() -> dict[str, float]:
    """Instructions of one request or segment, by scenario."""
    with tempfile.TemporaryDirectory(prefix="corten-gate-") as directory:
        out = os.path.join(directory, "part")
        count_into(out, ["-m", "bench.gate", "--play"], f"--dump-before={_MARK}")
        numbers = range(1, len(os.listdir(directory)) + 1)
        paths = [path for number in numbers if (path := Path(f"{out}.{number}")).exists()]
        return divided([without_pipe(path.read_text(encoding="utf-8")) for path in paths])


def without_pipe(part: str) -> int:
    """The instructions of one part in callgrind's own format, less what calls of the pipe took."""
    total = _TOTALS.search(part)
    spent = int(total[1]) if total else 0
    names: dict[str, str] = {}
    called, follows = "", False
    for line in part.splitlines():
        if follows:  # the line after `calls=`: where, and what it took with all that it called
            follows = False
            if called.startswith(_PIPE):
                spent -= int(line.split()[1])
        elif found := _FUNCTION.match(line):
            name = names.setdefault(found[2], found[3] or "")
            called = name if found[1] else called
        follows = line.startswith("calls=")
    return spent


def divided(parts: list[int]) -> dict[str, float]:
    """The parts that `play_all` marked off, three a scenario: before it, N, and 3 N requests."""
    from bench.path import SCENARIOS

    found = {}
    for i, scenario in enumerate(SCENARIOS):
        few, many = parts[3 * i + 1 : 3 * i + 3]
        requests = REQUESTS.get(scenario, _REQUESTS)
        found[scenario] = round((many - few) / (requests * (_TIMES - 1)), 1)
    return found


def play_all() -> None:
    """What runs under valgrind."""
    from bench.path import SCENARIOS, play
    from bench.segments import stream

    gc.disable()  # when it runs depends on what else was allocated before
    for scenario in SCENARIOS:
        run = stream if SCENARIOS[scenario] < 0 else play
        requests = REQUESTS.get(scenario, _REQUESTS)
        os.getppid()
        run(scenario, requests)
        os.getppid()
        run(scenario, _TIMES * requests)
        os.getppid()


def compare(now: dict[str, float], before: dict[str, float]) -> tuple[list[str], list[str]]:
    """A line for each scenario, and those of them that have grown too much."""
    lines, grown = [], []
    for scenario, cost in now.items():
        if scenario not in before:
            lines.append(f"{scenario:10} {cost:10,.0f}  (none kept)")
            continue
        growth = cost / before[scenario] - 1
        lines.append(f"{scenario:10} {cost:10,.0f}  {growth:+7.1%} of {before[scenario]:,.0f}")
        if growth > GROWTH_MAX + 1e-9:
            grown.append(f"{scenario} {growth:+.1%}")
    return lines, grown


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.gate")
    parser.add_argument("--write", action="store_true", help="keep what is counted now")
    parser.add_argument("--play", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.play:
        play_all()
        return 0
    ours = toolchain()
    if ours is None:
        print("nothing is built for this Python: ./dev build")
        return 2
    if reason := machine.missing(["valgrind"]):
        print(reason)
        return 2
    if not options.write and (reason := obstacle()):
        print(reason)
        return UNCOMPARED
    now = count()
    lines, grown = compare(now, kept().get(ours, {}))
    print(f"{ours}: instructions of one request or segment\n" + "\n".join(lines))
    if options.write:
        KEPT.write_text(json.dumps({**kept(), ours: now}, indent=1) + "\n", encoding="utf-8")
        return 0
    if grown:
        again = "worth it? python -m bench.gate --write"
        print(f"more than {GROWTH_MAX:.0%}: {', '.join(grown)}; {again}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
