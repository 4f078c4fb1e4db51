"""The supervisor: owns devices, queues and shared memory; forks workers, and re-forks the dead.

It never runs a stack, a thread or an event loop. Everything that a worker needs is open before the
first fork, so a worker that dies is replaced by a child with the same queue, the same rings and the
same secrets: nobody else's flows move. If the supervisor dies, the kernel ends the workers.
"""

from __future__ import annotations

import ctypes
import gc
import json
import logging
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from corten.endpoint.error import CortenError
from corten.worker.seat import Seat

logger = logging.getLogger("corten")

RESTART_FAST = 5  # deaths within `STEADY_S` of their start, in a row, that end everything
STEADY_S = 1.0
RESTART_PAUSE_S = 0.1  # before the second and later of them
GRACE_S = 2.0  # beyond the drain before a worker is killed
_PR_SET_PDEATHSIG = 1

Report = Callable[[list[dict[str, int]]], object]


class Supervisor:
    """The seats, and the loop that keeps them occupied."""

    def __init__(
        self,
        seats: list[Seat],
        ready: Callable[[], object] | None = None,
        drain_seconds: float = 5.0,
        report: Callable[[], object] | None = None,
        report_seconds: float = 1.0,
        forked: Callable[[Seat], object] | None = None,
    ) -> None:
        """`forked(seat)` runs in a worker's process before anything else does."""
        self._seats = seats
        self._by_index = {seat.index: seat for seat in seats}
        self._ready = ready
        self._drain_seconds = drain_seconds
        self._report = report
        self._report_seconds = report_seconds
        self._forked = forked
        self._later: list[tuple[float, Callable[[], object]]] = []
        self._poll = select.poll()
        self._by_fd: dict[int, Callable[[], object]] = {}
        self._stop_at = 0.0  # when the last worker is killed; 0: not stopping
        self._failure = ""
        self._signals = socket.socketpair()

    def run(self) -> int:
        """Fork, watch, restart; the exit code once every worker is gone. CortenError when a worker
        could not begin."""
        old = self._take_signals()
        try:
            gc.collect()
            gc.freeze()  # what is shared with the children stays shared: no collector writes to it
            for seat in self._seats:
                self._fork(seat)
            self._elect()
            self._watch()
        finally:
            for seat in self._seats:
                self._kill(seat)
            gc.unfreeze()
            self._give_signals_back(old)
        if self._failure:
            raise CortenError(self._failure)
        return 0

    def watch(self, fd: int, function: Callable[[], object] | None) -> None:
        """Call `function` when `fd` is readable; None: no more."""
        if self._by_fd.pop(fd, None) is not None:
            self._poll.unregister(fd)
        if function is not None:
            self._by_fd[fd] = function
            self._poll.register(fd, select.POLLIN)

    def call_later(self, seconds: float, function: Callable[[], object]) -> None:
        """Call `function` once after so long."""
        self._later.append((time.monotonic() + seconds, function))

    @property
    def is_stopping(self) -> bool:
        """Whether everything is on its way to the end."""
        return self._stop_at > 0

    def stop(self) -> None:
        """Drain and end, as after SIGTERM."""
        if not self._stop_at:
            self._stop()

    def replace(self, seat: Seat, leave: Callable[[], object], seconds: float) -> None:
        """Let a successor take a seat: `leave()` asks whoever sits there to go, who is killed when
        he has not within `seconds` and a little."""
        pid = seat.pid
        seat.is_leaving = True
        leave()

        def insist() -> None:
            if seat.pid == pid and seat.is_leaving:
                seat.signal(signal.SIGKILL)

        self.call_later(seconds + GRACE_S, insist)

    # -- signals ------------------------------------------------------------------------------

    def _take_signals(self) -> dict[int, Any]:
        for end in self._signals:
            end.setblocking(False)
        old: dict[int, Any] = {
            number: signal.signal(number, self._on_signal)
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        old[0] = signal.set_wakeup_fd(self._signals[1].fileno(), warn_on_full_buffer=False)
        self._poll.register(self._signals[0], select.POLLIN)
        return old

    def _give_signals_back(self, old: dict[int, Any]) -> None:
        signal.set_wakeup_fd(old.pop(0))
        for number, handler in old.items():
            signal.signal(number, handler)
        for end in self._signals:
            end.close()

    def _on_signal(self, number: int, frame: object) -> None:
        """First: drain. Again: no more patience."""
        if not self._stop_at:
            self._stop()
        else:
            self._stop_at = time.monotonic()

    def _stop(self) -> None:
        self._stop_at = time.monotonic() + self._drain_seconds + GRACE_S
        for seat in self._seats:
            seat.due = 0.0
            seat.signal(signal.SIGTERM)

    # -- the loop -----------------------------------------------------------------------------

    def _watch(self) -> None:
        next_report = time.monotonic() + self._report_seconds
        while any(seat.pid or seat.due for seat in self._seats):
            now = time.monotonic()
            if self._stop_at and now >= self._stop_at:
                for seat in self._seats:
                    self._kill(seat)
                return
            for seat in self._seats:
                if seat.due and now >= seat.due:
                    self._fork(seat)
                    self._elect()
            if self._report is not None and now >= next_report and not self._stop_at:
                next_report = now + self._report_seconds
                self._report()
            self._call_due(now)
            for fd, _ in self._poll.poll(self._patience(now, next_report)):
                self._dispatch(fd)

    def _call_due(self, now: float) -> None:
        """What `call_later` scheduled."""
        due = [function for at, function in self._later if at <= now]
        self._later = [(at, function) for at, function in self._later if at > now]
        for function in due:
            function()

    def _patience(self, now: float, next_report: float) -> int | None:
        """Milliseconds until something is due; None: until something happens."""
        moments = [seat.due for seat in self._seats if seat.due]
        moments += [at for at, _ in self._later]
        if self._stop_at:
            moments.append(self._stop_at)
        elif self._report is not None:
            moments.append(next_report)
        return max(0, int((min(moments) - now) * 1000) + 1) if moments else None

    def _dispatch(self, fd: int) -> None:
        if fd == self._signals[0].fileno():
            with suppress(BlockingIOError):  # silent: read already
                self._signals[0].recv(4096)
            return
        function = self._by_fd.get(fd)  # gone: the seat died in this very round
        if function is not None:
            function()

    # -- one worker ---------------------------------------------------------------------------

    def _fork(self, seat: Seat) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        seat.due = 0.0
        seat.starts += 1
        seat.started = time.monotonic()
        sys.stdout.flush()
        sys.stderr.flush()
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            os._exit(self._child(seat, theirs, ours, parent))
        theirs.close()
        ours.setblocking(False)
        seat.control = ours
        seat.pid = pid
        seat.pidfd = os.pidfd_open(pid)
        seat.is_ready = seat.is_drained = seat.is_leaving = False
        self.watch(seat.pidfd, partial(self._died, seat))
        self.watch(ours.fileno(), partial(self._heard, seat))
        if seat.starts > 1:
            self._let_teach(seat)

    def _let_teach(self, seat: Seat) -> None:
        """A successor is told by one of its fellows which neighbours there are."""
        for index in seat.fellows:
            fellow = self._by_index[index]
            if fellow is not seat and fellow.is_ready and fellow.pid:
                fellow.tell(teach=seat.fellows.index(seat.index))
                return

    def _child(self, seat: Seat, control: socket.socket, other: socket.socket, parent: int) -> int:
        """The worker's process from its first instruction to its exit code."""
        code = 1
        try:
            _end_with(parent)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            other.close()
            for end in self._signals:
                end.close()
            for fellow in self._seats:
                if fellow is not seat and fellow.control is not None:
                    fellow.control.close()
            os.sched_setaffinity(0, {seat.cpu})
            control.setblocking(False)
            seat.control = control
            if self._forked is not None:
                self._forked(seat)
            seat.body(seat)
            code = 0
        except CortenError as error:
            seat.tell(failed=str(error))
        except BaseException:
            logger.exception("worker %d ended with an error", seat.index)
            seat.tell(failed=f"worker {seat.index} could not begin: see the traceback above")
        finally:
            with suppress(Exception):  # silent: nobody reads what it had to say
                sys.stdout.flush()
                sys.stderr.flush()
        return code

    def _heard(self, seat: Seat) -> None:
        """A message from a worker: it serves, or why it cannot."""
        assert seat.control is not None
        data = last_word(seat.control)
        if not data:
            self.watch(seat.control.fileno(), None)
            return
        message = json.loads(data)
        if "answer" in message:
            seat.take_answer(message)
        if "learnt" in message and seat.heard is not None:
            seat.heard(message)
        if "failed" in message and not self._everyone_was_ready():
            self._failure = self._failure or str(message["failed"])
            self._stop()
        if message.get("drained"):
            seat.is_drained = True
            self._release(seat)
        if message.get("ready"):
            seat.is_ready = True
            if seat.taken is not None:
                taken, seat.taken = seat.taken, None
                taken()
            if self._ready is not None and all(each.is_ready for each in self._seats):
                callback, self._ready = self._ready, None
                callback()

    def _release(self, seat: Seat) -> None:
        """Drained workers stop when their last fellow has drained: an unattended queue would
        swallow what is for the others. One that drains alone is replaced at once."""
        together = [self._by_index[i] for i in seat.fellows] if self._stop_at else [seat]
        if all(each.is_drained or not each.pid for each in together):
            for each in together:
                each.tell(stop=True)

    def _everyone_was_ready(self) -> bool:
        """A failure after that is a death like any other; before, it is the caller's to know."""
        return all(seat.starts > 1 or seat.is_ready for seat in self._seats)

    def _died(self, seat: Seat) -> None:
        """Reap it; unless everything stops, its seat is taken again, at once the first time."""
        _, status = os.waitpid(seat.pid, 0)
        now = time.monotonic()
        while seat.control is not None and seat.control.fileno() in self._by_fd:
            self._heard(seat)  # its last words, to the end
        self._vacate(seat)
        if self._stop_at:
            self._release(seat)
            return
        if seat.is_leaving:
            logger.info("worker %d makes room for its successor", seat.index)
            seat.due = now
            self._elect()
            return
        seat.fast_deaths = seat.fast_deaths + 1 if now - seat.started < STEADY_S else 0
        how = _how(status)
        if seat.fast_deaths >= RESTART_FAST:
            self._failure = f"worker {seat.index} {how} {RESTART_FAST} times in a row: giving up"
            self._stop()
            return
        logger.warning("worker %d %s: starting it again", seat.index, how)
        seat.due = now + (RESTART_PAUSE_S if seat.fast_deaths > 1 else 0.0)
        self._elect()

    def _vacate(self, seat: Seat) -> None:
        self.watch(seat.pidfd, None)
        os.close(seat.pidfd)
        if seat.control is not None:
            self.watch(seat.control.fileno(), None)
            seat.control.close()
        seat.pid, seat.pidfd, seat.control = 0, -1, None
        seat.end_questions()

    def _kill(self, seat: Seat) -> None:
        """The end of patience."""
        if seat.pid:
            seat.signal(signal.SIGKILL)
            with suppress(ChildProcessError):  # silent: somebody else has waited for it
                os.waitpid(seat.pid, 0)
            self._vacate(seat)

    def _elect(self) -> None:
        """The lowest live worker of each group leads: it announces, and answers for all."""
        for seat in self._seats:
            live = [i for i in seat.fellows if self._by_index[i].pid]
            leads = bool(live) and seat.index == min(live)
            if leads != seat.leads or seat.pid:
                seat.leads = leads
                seat.tell(leads=leads)


def _end_with(parent: int) -> None:
    """Die when the parent does, even if it was killed before this call."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def last_word(control: socket.socket) -> bytes:
    """The next message of a worker, b"" when it is gone. Of one that ended before it had read what
    we said, the kernel tells that first, as an error, and then what it had said."""
    for _ in range(2):
        try:
            return control.recv(65536)
        except ConnectionResetError:  # silent: what it said comes next
            continue
        except OSError:  # silent: a worker that is gone says nothing more
            break
    return b""


def _how(status: int) -> str:
    if os.WIFSIGNALED(status):
        return f"was killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"ended with exit code {os.waitstatus_to_exitcode(status)}"
