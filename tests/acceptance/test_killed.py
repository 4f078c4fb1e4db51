"""SIGKILL of a worker under load: the other's connections live on, the worker is back at once.

Who owns a connection shows while one worker is stopped: its connections are silent.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from bench.namespace import Namespace
from bench.process import Process
from tests.acceptance.serving import URL, Httpd, call, instants, readable
from tests.netns import Client

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
CONNECTIONS = 16
SILENCE_S = 0.4
CALM = 30  # requests after a silence, until the kernel believes in a short round trip again
PAGE = "/size/100.htm"
LARGE = "/499.htm"


def owned_by(victim: int, clients: list[Client], small: bytes) -> list[Client]:
    """Those of `clients` that hear nothing while `victim` is stopped."""
    os.kill(victim, signal.SIGSTOP)
    try:
        for client in clients:
            client.send(PAGE)
        answered = readable(clients, SILENCE_S)
    finally:
        os.kill(victim, signal.SIGCONT)
    assert {client.reply() for client in clients} == {small}
    for _ in range(CALM):
        assert {client.ask(PAGE) for client in clients} == {small}
    return [client for client in clients if client not in answered]


def clients_of_both(
    space: Namespace, victim: int, small: bytes
) -> tuple[list[Client], list[Client]]:
    """Long-lived connections: the victim's, and the other worker's."""
    for _ in range(5):
        clients = [call(space) for _ in range(CONNECTIONS)]
        lost = owned_by(victim, clients, small)
        if 0 < len(lost) < CONNECTIONS:
            return lost, [client for client in clients if client not in lost]
    raise AssertionError("all connections found the same worker")


def seconds_until_reset(lost: list[Client]) -> float:
    """Ask on connections that nobody knows any more, until their worker's successor resets one."""
    begun = time.monotonic()
    for client in lost:
        client.send(PAGE)
    for client in readable(lost, 5.0):
        with pytest.raises(ConnectionError):
            client.reply()
        return time.monotonic() - begun
    raise AssertionError("nobody answers where the killed worker was")


def kill_one(server: Httpd, site: Path, pause: float, turn: int) -> float:
    """One death. How long the connections of the dead were without an answer."""
    small, large = ((site / name[1:]).read_bytes() for name in (PAGE, LARGE))
    before = server.worker_pids()
    victim = before[turn % 2]
    lost, kept = clients_of_both(server.client, victim, small)
    for client in kept:
        client.send(LARGE)  # on their way while the other dies
    time.sleep(pause)
    os.kill(victim, signal.SIGKILL)
    gone = seconds_until_reset(lost)
    for client in kept:
        assert client.reply() == large
    until = time.monotonic() + 1.0
    while time.monotonic() < until:
        assert all(client.ask(PAGE) == small for client in kept)
    after = server.worker_pids()
    assert len(after) == 2
    assert victim not in after
    assert {*before} - {victim} < {*after}
    for client in (*lost, *kept):
        client.close()
    return gone


@pytest.mark.parametrize(
    "times", [3, pytest.param(10, marks=[pytest.mark.soak, pytest.mark.timeout(120)])]
)
def test_a_killed_worker(space: Namespace, site: Path, times: int) -> None:
    with Httpd(space, site, workers=2) as server:
        words = ["wrk", "-t1", "-c100", "-d600s", URL + PAGE[1:]]
        load = Process(words, space, None)
        try:
            time.sleep(0.3)
            pauses = instants(times, times)
            gone = [kill_one(server, site, pause, turn) for turn, pause in enumerate(pauses)]
            load.check()
        finally:
            load.stop()
    print("without an answer:", *(f"{1000 * each:.1f} ms" for each in gone))
    assert max(gone) < 1.0
