"""Idle connections: what one costs in memory, and whether serving goes on beside very many.

The client is `corten load --hold` on a stack of its own, on a second TAP device in the same
namespace, with several addresses (one has some 16,000 ephemeral ports); the kernel forwards between
the two devices. Each connection asks once and is then held. Memory is the resident set of the
server's processes, before the first connection and with all of them held, divided by their number.
While they are held, wrk asks for the small file; its longest wait shows a collector that pauses.
"""

from __future__ import annotations

import argparse
from typing import Any

from bench import client
from bench.client import Load
from bench.namespace import NamespaceError, write_setting
from bench.process import Process, ProcessError
from bench.report import table
from bench.scenario import lay_out, scenarios
from bench.server import CLIENT_ADDRESS, PORT, SERVER_ADDRESS, CortenTap, Setting, corten

_PORTS_AN_ADDRESS = 16_000
_LOAD_NETWORK = "10.99.0"
_HOLD_S = 15.0
_OPENING_S = 180.0
_SIDE_CONNECTIONS = 100
_SIDE_SECONDS = 5.0
PER_CONNECTION_MAX = 1536


class PatientTap(CortenTap):
    """The static server, told not to close idle connections, and the way to the holder."""

    def link(self) -> str:
        return f"{super().link()},gateway={CLIENT_ADDRESS}"

    def words(self) -> list[str]:
        return [*super().words(), "--idle-timeout", "3600"]


def measure(options: argparse.Namespace, work: str) -> dict[str, Any]:
    """Hold `options.connections` connections; the figures by name, or `failure`."""
    small = scenarios()["small"]
    root = lay_out(small, work)
    setting = Setting(root, work, (options.server_core, options.client_core))
    try:
        with PatientTap(setting) as server:
            client.fetch(server.client, server.url + small.load.path)
            with server.client.inside():
                write_setting("net/ipv4/ip_forward", "1")
            return _hold(server, options)
    except (NamespaceError, ProcessError, OSError) as error:
        print(f"idle: {error}", flush=True)
        return {"connections": options.connections, "failure": str(error)}


def _hold(server: PatientTap, options: argparse.Namespace) -> dict[str, Any]:
    before = resident(server.pids())
    holder = Process(_holder_words(options), server.client, options.client_core)
    try:
        holder.expect("holding", _OPENING_S)
        with_all = resident(server.pids())
        side = _side(server)
        after_side = resident(server.pids())
        output = holder.wait(_HOLD_S + 60)
    finally:
        holder.stop()
    each = (with_all - before) / options.connections
    print(f"idle: {options.connections:,} connections, {each:,.0f} octets each", flush=True)
    return {
        "connections": options.connections,
        "resident_before": before,
        "resident_with": with_all,
        "resident_after_load": after_side,
        "octets_each": round(each, 1),
        "side_rate": round(side.rate, 1),
        "side_p99_us": side.p99_us,
        "side_max_us": side.max_us,
        "side_errors": side.errors,
        "holder": output.strip().splitlines()[-1],
    }


def _holder_words(options: argparse.Namespace) -> list[str]:
    count = -(-options.connections // _PORTS_AN_ADDRESS)
    addresses = [f"address={_LOAD_NETWORK}.{2 + i}/24" for i in range(count)]
    host = f"{_LOAD_NETWORK}.1"
    link = ",".join(["tap:load", *addresses, f"host={host}/24", f"gateway={host}"])
    return [
        *corten(),
        "load",
        f"http://{SERVER_ADDRESS}:{PORT}/small.htm",
        *("--link", link, "--hold", "--json"),
        *("-c", str(options.connections), "-d", str(_HOLD_S)),
    ]


def _side(server: PatientTap) -> client.Result:
    """wrk beside the idle ones."""
    load = Load(_SIDE_CONNECTIONS, "small.htm")
    return client.drive(server, load, _SIDE_SECONDS)


def resident(pids: list[int]) -> int:
    """Octets of physical memory that these processes hold, shared pages counted by their share."""
    return sum(_rollup(pid, "Pss:") for pid in pids)


def _rollup(pid: int, name: str) -> int:
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            if line.startswith(name):
                return int(line.split()[1]) * 1024
    return 0


def text(found: dict[str, Any]) -> str:
    """The figures as a table."""
    title = f"### idle: {found['connections']:,} idle connections\n"
    if "failure" in found:
        return f"{title}\n* not measured: {found['failure']}\n"
    held = "held" if found["octets_each"] <= PER_CONNECTION_MAX else "NOT held"
    rows = [
        ["figure", "value", "bound"],
        [
            "memory each, handler included",
            f"{found['octets_each']:,.0f} octets",
            f"{PER_CONNECTION_MAX} {held}",
        ],
        ["requests/s beside them", f"{found['side_rate']:,.0f}", "-"],
        ["p99 beside them", f"{found['side_p99_us'] / 1000:.2f} ms", "-"],
        ["longest wait beside them", f"{found['side_max_us'] / 1000:.2f} ms", "-"],
    ]
    return f"{title}\n{table(rows)}\n"
