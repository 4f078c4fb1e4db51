"""`python -m bench.goodput`: bulk goodput over a bad path, Corten and a Linux kernel at its ends.

One relay (`relay.c`) stands between two ends and gives delay, rate, a queue and seeded loss. Three
pairs run for each round trip and loss: kernel to kernel, Corten to kernel, kernel to Corten; with
loss at the same time, each over a relay of its own with the same seed, so that their figures are
from the same moment (with the other round trips and losses, too: at 100 Mbit/s, 0.1 % leaves
flows that keep no core busy). The ends hang on TAP devices. Corten holds its device's descriptor
itself, so the relay listens on that device by AF_PACKET. No offloads: the relay moves segments of
the MTU.

A figure is goodput as the receiving application counts it, over SECONDS from the first octet.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import socket
import statistics
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from bench import machine
from bench.awake import awake
from bench.namespace import Namespace, NamespaceError, cubic_allowed
from bench.process import Process, ProcessError
from bench.server import compile_program
from bench.summary import ratio_of

_HERE = os.path.dirname(os.path.abspath(__file__))
_ROOT = os.path.dirname(_HERE)
_SO_SNDBUFFORCE = 32
_SO_RCVBUFFORCE = 33
_SOL_PACKET = 263
_PACKET_IGNORE_OUTGOING = 23
_BUFFER = 1 << 26
_QUEUE_LEN = "10000"
_ETH_P_ALL = 0x0003
SENDER, RECEIVER = "10.9.0.1", "10.9.0.2"
THIN_LOSS = 0.001
PAIRS = ("kernel-kernel", "corten-kernel", "kernel-corten")


@dataclass(frozen=True)
class Cell:
    """One path. The queue holds a bandwidth-delay product, at least 64 frames."""

    rtt_ms: float
    loss: float
    rate: int  # bits a second

    @property
    def queue(self) -> int:
        return max(64 * 1514, int(self.rate * self.rtt_ms / 8000))

    def name(self) -> str:
        return f"{self.rtt_ms:g} ms, {self.loss:.1%}"


class End:
    """One end: a namespace, its program, and the descriptor that the relay moves frames by."""

    def __init__(self, kind: str, side: str, core: int) -> None:
        self.kind, self.side, self.core = kind, side, core
        self.own, self.other = (SENDER, RECEIVER) if side == "send" else (RECEIVER, SENDER)
        self.space = Namespace(f"{kind}-{side}")
        self.fd = -1
        self.process: Process | None = None

    def start(self, seconds: float) -> None:
        """The device, and for Corten or a receiver the program too."""
        if self.kind == "kernel":
            self.fd = self.space.tap("end0")
            self.space.ip("link", "set", "end0", "txqueuelen", _QUEUE_LEN, "up")
            self.space.ip("address", "add", f"{self.own}/24", "dev", "end0")
            if self.side == "receive":
                self._run(["kernel", "receive", self.own, str(seconds)])
            return
        link = f"tap:end0,address={self.own}/24,host=none,offload=off"
        words = ["corten", self.side, link]
        words += [self.other] if self.side == "send" else []
        self._run([*words, str(seconds)])
        self.fd = self._packet("end0")

    def go(self, seconds: float) -> None:
        """Send, when both ends are there (Corten's sender waits a moment by itself)."""
        if self.kind == "kernel" and self.side == "send":
            self._run(["kernel", "send", self.other, str(seconds)])

    def _run(self, words: list[str]) -> None:
        command = [sys.executable, "-m", "bench.flow", *words]
        self.process = Process(
            command, self.space, self.core, {"PYTHONUNBUFFERED": "1"}, directory=_ROOT
        )
        if words[:2] != ["kernel", "send"]:
            self.process.expect("ready")

    def _packet(self, name: str) -> int:
        with self.space.inside():
            found = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
            found.setblocking(False)
            found.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
            found.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _BUFFER)
            found.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
            found.bind((name, _ETH_P_ALL))
        return found.detach()

    def close(self) -> None:
        if self.process is not None:
            self.process.stop(1.0)
        if self.fd >= 0:
            os.close(self.fd)
        self.space.close()


class Running:
    """A pair under way; `result` waits for its figure."""

    def __init__(self, pair: str, cell: Cell, seconds: float, seed: int, relay: str) -> None:
        self.pair, self.seconds = pair, seconds
        sender, receiver = pair.split("-")
        self.stack = ExitStack()
        try:
            self.ends = [End(sender, "send", 0), End(receiver, "receive", 1)]
            for end in self.ends:
                self.stack.callback(end.close)
            self.ends[1].start(seconds)
            self.ends[0].start(seconds)
            fds = [end.fd for end in self.ends]
            words = [relay, *map(str, fds), str(int(cell.rtt_ms * 500)), str(cell.rate)]
            words += [str(cell.queue), str(int(cell.loss * 1e6)), str(seed)]
            self.relay = Process(words, None, None, keep=fds)
            self.stack.callback(self.relay.stop)
            self.relay.expect("relaying")
            self.ends[0].go(seconds)
        except BaseException:
            self.stack.close()
            raise

    def result(self) -> dict[str, Any]:
        """Goodput in bits a second, and what the relay did."""
        with self.stack:
            receiver = self.ends[1].process
            assert receiver is not None
            text = receiver.wait(self.seconds + 20.0)
            counted = json.loads(text.strip().splitlines()[-1])
            self.relay.popen.terminate()
            relayed = json.loads(self.relay.wait(5.0).strip().splitlines()[-1])
        if any(relayed["refused"]):
            raise ProcessError(f"{self.pair}: a device refused {relayed['refused']} frames")
        return {"goodput": counted["octets"] * 8 / counted["seconds"], **relayed}


def _groups(cells: list[Cell]) -> list[list[Cell]]:
    """What runs at the same time: thin flows, those that lose some, keep no core busy."""
    thin = [cell for cell in cells if cell.loss >= THIN_LOSS]
    groups = [thin] if thin else []
    return groups + [[cell] for cell in cells if cell.loss < THIN_LOSS]


class Goodput:
    """All rounds of all cells."""

    def __init__(self, options: argparse.Namespace, relay: str) -> None:
        self.options, self.relay = options, relay
        self.runs: list[dict[str, Any]] = []

    def round(self, cells: list[Cell], number: int) -> None:
        """One figure of each pair of each cell; all void when the machine was taken away meanwhile.
        Cells with loss run at the same time."""
        for _ in range(self.options.attempts):
            watch = machine.Watch([0, 1])
            if cells[0].loss:
                results = self._together(cells, number)
            else:
                results = [self._in_turn(cell, number) for cell in cells]
            steal = watch.stop([]).steal_share()
            void = f"steal {steal:.1%}" if steal > 0.03 else None
            for cell, pairs in zip(cells, results, strict=True):
                record = {"rtt_ms": cell.rtt_ms, "loss": cell.loss, "round": number, "void": void}
                self.runs.append(record | {"pairs": pairs})
                text = f"{number + 1:3} {cell.name():14} {_line(pairs)}  {void or ''}"
                print(text, flush=True)
            if void is None:
                return

    def _together(self, cells: list[Cell], number: int) -> list[dict[str, Any]]:
        options = self.options
        running = [
            [Running(p, cell, options.seconds, number + 1, self.relay) for p in options.pairs]
            for cell in cells
        ]
        return [{r.pair: r.result() for r in pairs} for pairs in running]

    def _in_turn(self, cell: Cell, number: int) -> dict[str, Any]:
        """Without loss a pair uses much of a core: one after the other, each round from another."""
        turn = number % len(self.options.pairs)
        order = [*self.options.pairs[turn:], *self.options.pairs[:turn]]
        return {
            p: Running(p, cell, self.options.seconds, number + 1, self.relay).result()
            for p in order
        }

    def table(self, cells: list[Cell]) -> str:
        """Median goodput of the kernel's pair, and the ratios of the others to it."""
        lines = ["| round trip, loss | kernel to kernel, Mbit/s | Corten sends | Corten receives |"]
        lines.append("|---|---:|---:|---:|")
        for cell in cells:
            runs = [
                r["pairs"]
                for r in self.runs
                if (r["rtt_ms"], r["loss"]) == (cell.rtt_ms, cell.loss) and r["void"] is None
            ]
            base = [r["kernel-kernel"]["goodput"] for r in runs]
            ratios = []
            for pair in PAIRS[1:]:
                found = ratio_of([(r[pair]["goodput"], b) for r, b in zip(runs, base, strict=True)])
                ratios.append(found.text() if found else "-")
            middle = f"{statistics.median(base) / 1e6:.2f}" if base else "-"
            lines.append(f"| {cell.name()} | {middle} | {ratios[0]} | {ratios[1]} |")
        return "\n".join(lines)


def _line(results: dict[str, Any]) -> str:
    return "  ".join(f"{p} {r['goodput'] / 1e6:8.3f} Mbit/s" for p, r in sorted(results.items()))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.goodput", description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--attempts", type=int, default=3)
    parser.add_argument("--rtt", type=float, nargs="+", default=[20.0, 100.0], metavar="MS")
    parser.add_argument("--loss", type=float, nargs="+", default=[0.0, 0.1, 1.0, 5.0], metavar="%")
    parser.add_argument("--rate", type=int, default=100, metavar="MBIT")
    parser.add_argument("--pairs", nargs="+", default=list(PAIRS), choices=PAIRS)
    parser.add_argument("--output", default=os.path.join(_HERE, "results"), metavar="DIRECTORY")
    options = parser.parse_args()
    if os.geteuid() != 0:
        print("goodput needs root: it makes network namespaces")
        return 2
    if reason := machine.missing(["ip", "taskset", "gcc"]):
        print(reason)
        return 2
    cells = [
        Cell(rtt, loss / 100, options.rate * 10**6) for rtt in options.rtt for loss in options.loss
    ]
    with (
        tempfile.TemporaryDirectory(prefix="corten-goodput-") as work,
        cubic_allowed(),
        awake([0, 1]),
    ):
        relay = os.path.join(work, "relay")
        compile_program(os.path.join(_HERE, "relay.c"), relay)
        bench = Goodput(options, relay)
        for number in range(options.rounds):
            for group in _groups(cells):
                try:
                    bench.round(group, number)
                except (NamespaceError, ProcessError, OSError) as error:
                    names = "; ".join(cell.name() for cell in group)
                    print(f"{number + 1:3} {names} failed: {error}", flush=True)
    _publish(bench, cells)
    return 0


def _publish(bench: Goodput, cells: list[Cell]) -> None:
    about, options = machine.describe(), bench.options
    head = (
        f"Commit {about['commit']}, Linux {about['kernel']}, {about['cpu']}; "
        f"`python -m bench.goodput`, {options.rounds} rounds of {options.seconds:g} s, "
        f"{options.rate} Mbit/s, a queue of one bandwidth-delay product, CUBIC on both, "
        "cores kept awake.\n"
    )
    text = f"{head}\n{bench.table(cells)}\n"
    print("\n" + text)
    os.makedirs(options.output, exist_ok=True)
    stem = os.path.join(options.output, datetime.datetime.now().strftime("goodput-%Y%m%d-%H%M%S"))
    with open(f"{stem}.md", "w", encoding="utf-8") as file:
        file.write(text)
    chosen = {k: v for k, v in vars(options).items() if k != "output"}
    with open(f"{stem}.json", "w", encoding="utf-8") as file:
        json.dump({"machine": about, "options": chosen, "runs": bench.runs}, file, indent=1)


if __name__ == "__main__":
    sys.exit(main())
