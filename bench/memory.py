"""`python -m bench.memory`: request and reply over shared memory, both ends Corten, a core each.

Three contenders, one after the other in each round, each round beginning with another:

    kernel   `corten httpd` and `corten load` over the kernel's loopback sockets
    memif    the same two programs over a memif link: Corten's stack at both ends
    ring     no stack: two processes that answer frames of the same length over the same rings
             (`bench.ring`): what memif cannot be faster than

A file of 100 octets, one request outstanding on each connection; the server on one core, the client
on the other. With --busy-poll no end ever sleeps. CPU a request is the server's. A round counts if
the host took no more than 3 % of a core away, and others used no more than 10 % of one.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import statistics
import sys
import tempfile
from dataclasses import dataclass
from typing import Any

from bench import machine
from bench.process import Process, ProcessError
from bench.server import corten
from bench.summary import ratio_of

_HERE = os.path.dirname(os.path.abspath(__file__))
_ROOT = os.path.dirname(_HERE)
CONTENDERS = ("kernel", "memif", "ring")
STEAL_MAX = 0.03
FOREIGN_MAX = 0.10
BODY_LEN = 100
_PORT = 8080
_REQUEST_LEN = 120  # octets of a frame with the request, and with the reply
_REPLY_LEN = 360
_SERVER_CORE, _CLIENT_CORE = 0, 1
_OPENING_S = 30.0


@dataclass(frozen=True)
class Setting:
    """Where things lie for all runs."""

    work: str
    seconds: float
    options: tuple[str, ...]  # further ones, of server and client

    @property
    def socket(self) -> str:
        return os.path.join(self.work, "memif.sock")


def commands(contender: str, setting: Setting, connections: int) -> tuple[list[str], list[str]]:
    """The server's words, and the client's."""
    if contender == "ring":
        words = [sys.executable, "-m", "bench.ring"]
        client = ["client", setting.socket, str(_REQUEST_LEN), str(connections)]
        return (
            [*words, "server", setting.socket, str(_REPLY_LEN)],
            [*words, *client, str(setting.seconds)],
        )
    if contender == "kernel":
        links, host = ["kernel,address=127.0.0.1"] * 2, "127.0.0.1"
    else:
        name, host = f"memif:{setting.socket}", "10.9.0.2"
        links = [f"{name},address={host}/24", f"{name},role=client,address=10.9.0.1/24"]
    server = [*corten(), "httpd", str(_PORT), os.path.join(setting.work, "site")]
    server += ["--link", links[0], *setting.options]
    client = [*corten(), "load", f"http://{host}:{_PORT}/a.htm", "--link", links[1], "--json"]
    client += ["-c", str(connections), "-d", str(setting.seconds), *setting.options]
    return server, client


def run(contender: str, setting: Setting, connections: int) -> dict[str, Any]:
    """One run: requests a second, and of a second in which either core is busy."""
    words = commands(contender, setting, connections)
    server = Process(words[0], None, _SERVER_CORE, directory=_ROOT)
    try:
        server.expect("ready")
        watch = machine.Watch([_SERVER_CORE, _CLIENT_CORE])
        client = Process(words[1], None, _CLIENT_CORE, directory=_ROOT)
        try:
            before = sum(machine.own_times(server.pids()))
            text = client.wait(setting.seconds + _OPENING_S)
            server_cpu = sum(machine.own_times(server.pids())) - before
            use = watch.stop([*server.pids(), client.pid])
        finally:
            client.stop()
    finally:
        server.stop()
    found = json.loads(text.strip().splitlines()[-1])
    if found["errors"]:
        raise ProcessError(f"{contender}: {found['errors']}")
    busy = [core.busy / use.seconds for core in use.cores]
    count = found["requests_per_second"] * setting.seconds
    return {
        "rate": found["requests_per_second"],
        "server_cpu_us": server_cpu / count * 1e6,
        "p50_us": found.get("p50_us"),
        "p99_us": found.get("p99_us"),
        "server_busy": busy[0],
        "client_busy": busy[1],
        "steal": use.steal_share(),
        "foreign": use.foreign_share(),
    }


class Memory:
    """All rounds of all numbers of connections."""

    def __init__(self, options: argparse.Namespace, setting: Setting) -> None:
        self.options, self.setting = options, setting
        self.rounds: list[dict[str, Any]] = []

    def round(self, connections: int, number: int) -> None:
        """Each contender once; void when the machine was not ours alone."""
        turn = number % len(CONTENDERS)
        for _ in range(self.options.attempts):
            order = [*CONTENDERS[turn:], *CONTENDERS[:turn]]
            found = {each: run(each, self.setting, connections) for each in order}
            steal = max(each["steal"] for each in found.values())
            foreign = max(each["foreign"] for each in found.values())
            void = None
            if steal > STEAL_MAX or foreign > self.options.foreign:
                void = f"steal {steal:.1%}, others {foreign:.1%}"
            record = {"connections": connections, "round": number, "void": void}
            self.rounds.append({**record, "runs": found})
            rates = "  ".join(f"{each} {found[each]['rate']:9,.0f}" for each in CONTENDERS)
            print(f"{number + 1:3} {connections:5}  {rates}  {void or ''}", flush=True)
            if void is None:
                return

    def table(self) -> str:
        """Medians, and ratios of runs of the same round with their 95 % intervals."""
        lines = [
            "| connections | kernel, requests/s | memif, requests/s | memif / kernel [95 %] "
            "| rings alone, answers/s | memif / rings | p50, p99 kernel, ms | p50, p99 memif, ms "
            "| server CPU a request, us: kernel, memif | rounds (void) |",
            "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
        ]
        for connections in self.options.connections:
            of = [r for r in self.rounds if r["connections"] == connections]
            runs = [r["runs"] for r in of if r["void"] is None]
            if not runs:
                lines.append(f"| {connections} " + "| - " * 8 + f"| 0 ({len(of)}) |")
                continue
            rate = {c: statistics.median(r[c]["rate"] for r in runs) for c in CONTENDERS}
            ratio = ratio_of([(r["memif"]["rate"], r["kernel"]["rate"]) for r in runs])
            assert ratio is not None
            times = {
                c: ", ".join(
                    f"{statistics.median(r[c][name] for r in runs) / 1000:.2f}"
                    for name in ("p50_us", "p99_us")
                )
                for c in ("kernel", "memif")
            }
            cost = {
                c: f"{statistics.median(r[c]['server_cpu_us'] for r in runs):.2f}"
                for c in ("kernel", "memif")
            }
            lines.append(
                f"| {connections} | {rate['kernel']:,.0f} | {rate['memif']:,.0f} | {ratio.text()} "
                f"| {rate['ring']:,.0f} | {rate['memif'] / rate['ring']:.2f} | {times['kernel']} "
                f"| {times['memif']} | {cost['kernel']}, {cost['memif']} "
                f"| {len(runs)} ({len(of) - len(runs)}) |"
            )
        return "\n".join(lines)


def _publish(bench: Memory) -> None:
    about, options = machine.describe(), bench.options
    head = (
        f"Commit {about['commit']}, Linux {about['kernel']}, {about['cpu']}"
        f"{', profiled build' if about['profiled'] else ''}; "
        f"`python -m bench.memory`, {options.rounds} rounds of {options.seconds:g} s, a file of "
        f"{BODY_LEN} octets, one request outstanding a connection, a core for each end.\n"
    )
    text = f"{head}\n{bench.table()}\n"
    print("\n" + text)
    os.makedirs(options.output, exist_ok=True)
    stem = os.path.join(options.output, datetime.datetime.now().strftime("memory-%Y%m%d-%H%M%S"))
    with open(f"{stem}.md", "w", encoding="utf-8") as file:
        file.write(text)
    chosen = {k: v for k, v in vars(options).items() if k != "output"}
    with open(f"{stem}.json", "w", encoding="utf-8") as file:
        json.dump({"machine": about, "options": chosen, "rounds": bench.rounds}, file, indent=1)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.memory", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--attempts", type=int, default=3)
    parser.add_argument("--connections", type=int, nargs="+", default=[64, 1000])
    parser.add_argument("--foreign", type=float, default=FOREIGN_MAX, help="share that voids")
    parser.add_argument("--busy-poll", action="store_true", help="no end ever sleeps")
    parser.add_argument("--output", default=os.path.join(_HERE, "results"), metavar="DIRECTORY")
    options = parser.parse_args()
    if reason := machine.missing(["taskset"]):
        print(reason)
        return 2
    with tempfile.TemporaryDirectory(prefix="corten-memory-") as work:
        os.mkdir(os.path.join(work, "site"))
        with open(os.path.join(work, "site", "a.htm"), "wb") as file:
            file.write(b"x" * BODY_LEN)
        further = ("--busy-poll",) if options.busy_poll else ()
        bench = Memory(options, Setting(work, options.seconds, further))
        _measure(bench, options)
    _publish(bench)
    return 0


def _measure(bench: Memory, options: argparse.Namespace) -> None:
    for number in range(options.rounds):
        for connections in options.connections:
            try:
                bench.round(connections, number)
            except (ProcessError, OSError) as error:
                print(f"{number + 1:3} {connections:5}  failed: {error}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
