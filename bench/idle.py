"""Idle connections: what one costs in memory, and whether serving goes on beside very many.

The client is `corten load --hold` on a stack of its own, on a second TAP device in the same
namespace, with several addresses (one has some 16,000 ephemeral ports); the kernel forwards between
the two devices. Each connection asks once and is then held. Memory is the resident set of the
server's processes, before the first connection and with all of them held, divided by their number.

While they are held, nothing is asked for some seconds: the server's CPU in them is what its ticks
cost. Then wrk asks for the small file; its longest wait shows a collector that pauses. At the end
as many connections again are asked in turn, each after all others: the time to the first octet of
one that nobody has touched for long.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from bench import client
from bench.client import Load
from bench.machine import own_times
from bench.namespace import NamespaceError, write_setting
from bench.process import Process, ProcessError
from bench.report import table
from bench.scenario import lay_out, scenarios
from bench.server import CLIENT_ADDRESS, PORT, SERVER_ADDRESS, CortenTap, Setting, corten

_PORTS_AN_ADDRESS = 16_000
_LOAD_NETWORK = "10.99.0"
_HOLD_S = 15.0
_IDLE_S = 3.0
_OPENING_S = 300.0
_ASKED_A_SECOND = 200
_SIDE_CONNECTIONS = 100
_SIDE_SECONDS = 5.0
PER_CONNECTION_MAX = 1024


class PatientTap(CortenTap):
    """The static server, told not to close idle connections, and the way to the holder."""

    def link(self) -> str:
        return f"{super().link()},gateway={CLIENT_ADDRESS}"

    def words(self) -> list[str]:
        return [*super().words(), "--idle-timeout", "3600", "--header-timeout", "3600"]


def measure(options: argparse.Namespace, work: str) -> dict[str, Any]:
    """Each number of connections that was asked for, one after the other: their figures."""
    cores = (options.server_core, options.client_core)
    return {"sizes": [measure_one(cores, work, count) for count in options.connections]}


def measure_one(
    cores: tuple[int, int], work: str, count: int, asks_again: bool = True
) -> dict[str, Any]:
    """Hold `count` connections; the figures by name, or `failure`."""
    small = scenarios()["small"]
    root = lay_out(small.name, small.files, work)
    setting = Setting(root, work, cores)
    try:
        with PatientTap(setting) as server:
            client.fetch(server.client, server.url + small.load.path)
            with server.client.inside():
                write_setting("net/ipv4/ip_forward", "1")
            found = _hold(server, cores[1], count)
            return {**found, **_first_octet(server, cores[1], count)} if asks_again else found
    except (NamespaceError, ProcessError, OSError) as error:
        print(f"idle: {error}", flush=True)
        return {"connections": count, "failure": str(error)}


def _hold(server: PatientTap, core: int, count: int) -> dict[str, Any]:
    before = resident(server.pids())
    holder = Process(_load_words(count, "--hold", "-d", str(_HOLD_S)), server.client, core)
    try:
        holder.expect("holding", _OPENING_S)
        spent, began = sum(own_times(server.pids())), time.monotonic()
        time.sleep(_IDLE_S)
        ticks = (sum(own_times(server.pids())) - spent) / (time.monotonic() - began)
        with_all = resident(server.pids())
        side = _side(server)
        after_side = resident(server.pids())
        output = holder.wait(_HOLD_S + 60)
    finally:
        holder.stop()
    each = (with_all - before) / count
    print(f"idle: {count:,} connections, {each:,.0f} octets each", flush=True)
    return {
        "connections": count,
        "idle_percent": round(100 * ticks, 2),
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


def _first_octet(server: PatientTap, core: int, count: int) -> dict[str, Any]:
    """Latencies of requests on connections that are asked in turn, a few a second."""
    seconds = str(_SIDE_SECONDS)
    words = _load_words(count, "--rate", str(_ASKED_A_SECOND), "-d", seconds, anew=True)
    asker = Process(words, server.client, core)
    try:
        found = json.loads(asker.wait(_OPENING_S + 60).strip().splitlines()[-1])
    finally:
        asker.stop()
    return {"first_p50_us": found["p50_us"], "first_p99_us": found["p99_us"]}


def _load_words(count: int, *options: str, anew: bool = False) -> list[str]:
    """The load client. `anew`: from addresses of its own, for the server may not be done yet with
    the connections of one that came before."""
    addresses_len = -(-count // _PORTS_AN_ADDRESS)
    first = 2 + (addresses_len if anew else 0)
    addresses = [f"address={_LOAD_NETWORK}.{first + i}/24" for i in range(addresses_len)]
    host = f"{_LOAD_NETWORK}.1"
    link = ",".join(["tap:load", *addresses, f"host={host}/24", f"gateway={host}"])
    return [
        *corten(),
        "load",
        f"http://{SERVER_ADDRESS}:{PORT}/small.htm",
        *("--link", link, "--json", "-c", str(count), *options),
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
    """The figures as a table, a row for each number of connections."""
    heads = ["connections", "octets each", f"within {PER_CONNECTION_MAX}", "CPU while idle"]
    heads += ["first octet p50 ms", "p99", "requests/s beside them", "p99 ms", "longest wait ms"]
    rows = [heads]
    remarks = []
    for size in found["sizes"]:
        if "failure" in size:
            remarks.append(f"\n* {size['connections']:,} not measured: {size['failure']}\n")
            continue
        times = ["first_p50_us", "first_p99_us", "side_p99_us", "side_max_us"]
        first50, first99, side99, longest = (f"{size[each] / 1000:.2f}" for each in times)
        rows.append(
            [
                f"{size['connections']:,}",
                f"{size['octets_each']:,.0f}",
                "yes" if size["octets_each"] <= PER_CONNECTION_MAX else "NO",
                f"{size['idle_percent']:.1f} %",
                *(first50, first99, f"{size['side_rate']:,.0f}", side99, longest),
            ]
        )
    return f"### idle: connections that do nothing\n\n{table(rows)}\n{''.join(remarks)}"
