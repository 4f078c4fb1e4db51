"""Seats and their occupants, without any network: births, deaths, elections, ends."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable

import pytest

from corten.endpoint.error import CortenError
from corten.worker.supervisor import Seat, Supervisor, last_word

pytestmark = pytest.mark.slow
CPU = min(os.sched_getaffinity(0))


class Board:
    """Lines that children and supervisor write, in order."""

    def __init__(self) -> None:
        self.reader, self.writer = os.pipe()
        os.set_blocking(self.reader, False)

    def write(self, line: str) -> None:
        os.write(self.writer, line.encode() + b"\n")

    def lines(self) -> list[str]:
        try:
            return os.read(self.reader, 1 << 16).decode().split()
        except BlockingIOError:
            return []

    def close(self) -> None:
        os.close(self.reader)
        os.close(self.writer)


def obey(board: Board, seat: Seat) -> None:
    """A worker that does nothing well: ready, then drained when told, then gone."""
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
    assert seat.control is not None
    seat.tell(ready=True)
    while True:
        ready, _, _ = select.select([seat.control], [], [], 0.02)
        if asked:
            asked.clear()
            seat.tell(drained=True)
        if ready:
            message = json.loads(seat.control.recv(4096))
            if message.get("leads"):
                board.write(f"lead-{seat.index}")
            if "stop" in message:
                board.write(f"stop-{seat.index}")
                return


def seats(body: Callable[[Seat], None], count: int = 2) -> list[Seat]:
    return [Seat(i, CPU, body, list(range(count))) for i in range(count)]


def run(supervisor: Supervisor, *actions: tuple[float, Callable[[], object]]) -> int:
    """Run it, with something happening meanwhile."""
    timers = [threading.Timer(after, action) for after, action in actions]
    for timer in timers:
        timer.start()
    try:
        return supervisor.run()
    finally:
        for timer in timers:
            timer.cancel()
            timer.join()


def wait(for_what: Callable[[], bool]) -> None:
    """Until it is so, or 20 s have gone."""
    until = time.monotonic() + 20
    while not for_what() and time.monotonic() < until:
        time.sleep(0.01)


def kill(seat: Seat) -> None:
    """Not before it has a process: 0 would mean all of ours, the tests and what runs them too."""
    wait(lambda: seat.pid > 0)
    assert seat.pid > 0
    os.kill(seat.pid, signal.SIGKILL)


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_ready_once_and_a_clean_end() -> None:
    board = Board()
    made = seats(lambda seat: obey(board, seat))
    supervisor = Supervisor(made, lambda: (board.write("ready"), terminate()))
    assert supervisor.run() == 0
    lines = board.lines()
    assert lines.count("ready") == 1
    assert {"lead-0", "stop-0", "stop-1"} <= set(lines)
    assert "lead-1" not in lines
    board.close()


def test_the_dead_are_replaced_and_the_lowest_live_one_leads() -> None:
    board = Board()
    made = seats(lambda seat: obey(board, seat))
    supervisor = Supervisor(made)

    def replace_and_stop() -> None:
        kill(made[0])
        wait(lambda: made[0].starts == 2)
        terminate()

    assert run(supervisor, (0.5, replace_and_stop)) == 0
    assert made[0].starts == 2
    assert made[1].starts == 1
    assert {"lead-0", "lead-1"} <= set(board.lines())
    board.close()


def test_a_seat_without_a_process_signals_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between a death and the next start its process is 0, and `kill(0)` is for all of a group."""
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    seat = Seat(0, CPU, lambda _: None)
    seat.signal(signal.SIGKILL)
    assert not sent
    seat.pid = 4242
    seat.signal(signal.SIGTERM)
    assert sent == [(4242, signal.SIGTERM)]


def test_who_cannot_begin_ends_everything_with_its_own_words() -> None:
    def body(seat: Seat) -> None:
        raise CortenError("no such directory")

    with pytest.raises(CortenError, match=r"^no such directory$"):
        Supervisor(seats(body)).run()


def test_the_words_of_who_ends_without_having_read_ours_are_heard() -> None:
    def body(seat: Seat) -> None:
        time.sleep(0.2)  # who leads has been said by now
        raise CortenError("no such directory")

    def report() -> None:
        time.sleep(0.6)  # busy elsewhere until the worker is gone

    with pytest.raises(CortenError, match=r"^no such directory$"):
        run(Supervisor(seats(body, 1), None, 5.0, report, 0.05))


def test_who_dies_again_and_again_is_given_up() -> None:
    with pytest.raises(CortenError, match="worker 0 ended with exit code 3 5 times in a row"):
        Supervisor(seats(lambda seat: os._exit(3), 1)).run()


def test_who_does_not_stop_is_killed_in_the_end() -> None:
    def body(seat: Seat) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        seat.tell(ready=True)
        time.sleep(60)

    begun = time.monotonic()
    supervisor = Supervisor(seats(body, 1), terminate, drain_seconds=-1.5)
    assert supervisor.run() == 0
    assert time.monotonic() - begun < 30.0


def test_a_report_comes_while_it_runs() -> None:
    board = Board()
    made = seats(lambda seat: obey(board, seat), 1)
    reports: list[int] = []
    supervisor = Supervisor(made, report=lambda: reports.append(1), report_seconds=0.05)

    def stop() -> None:
        wait(lambda: bool(reports))
        terminate()

    assert run(supervisor, (0.1, stop)) == 0
    assert reports
    board.close()


def test_the_last_words_of_one_who_did_not_listen() -> None:
    """A worker that fails before it has read that it leads: the reason is still heard."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    ours.send(b"you lead")
    theirs.send(b"no such file")
    theirs.close()
    assert last_word(ours) == b"no such file"
    assert last_word(ours) == b""
    ours.close()
    assert last_word(ours) == b""
