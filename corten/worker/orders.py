"""A worker's side of the talk with its supervisor: what it is told to do, and what it tells.

Each message is one order; `ask` in it wants an answer: `{"answer": number}`, with `error` where it
could not be obeyed. Orders are obeyed one after the other, in the order they came, so that all
workers of a group have the same links under the same numbers.

    leads      announce and answer for all workers of the links, or no more
    attach     serve one more link; its descriptors come beside the message
    detach     serve a link no more
    address    a link has one more address, or one less
    renew      a link's queue is another one now
    teach      tell another worker what is known of the neighbours
    figures    say how the links are doing
    leave      make room for a successor: new connections are the others', ours end when idle
    stop       end
"""

from __future__ import annotations

import json
import logging
import socket
from collections.abc import Callable
from typing import Any

from corten.endpoint.error import CortenError
from corten.ip.teaching import taught
from corten.worker.attachment import Attachment, attach
from corten.worker.learnt import Learnt, learnt_of
from corten.worker.seat import Seat

logger = logging.getLogger("corten")

MESSAGE_LEN = 1 << 16  # octets of a message
MESSAGE_FDS = 253  # descriptors that one can bring: the kernel's bound
ORDERS = frozenset(
    "leads attach detach address renew teach figures leave stop".split()  # noqa: SIM905
)
LEARNT_SECONDS = 1.0  # between two looks at what the links have learnt

Reply = Callable[..., None]


class Orders:
    """What one worker is told."""

    def __init__(self, seat: Seat, worker: Any) -> None:
        self._seat = seat
        self._worker = worker
        self._told: dict[int, Learnt] = {}
        self._looks = False  # at what the links learn

    def begin(self) -> None:
        """Report ready, and listen from here on."""
        seat, worker = self._seat, self._worker
        self._look()
        if seat.control is None:
            seat.obey = self.obey
            return
        worker.watch(seat.control.fileno(), self._hear)
        worker.on_drained = lambda: seat.tell(drained=True)
        seat.tell(ready=True)

    def _hear(self) -> None:
        """One message; the supervisor's silence for ever ends the worker."""
        fds: list[int] = []
        control = self._seat.control
        assert control is not None
        try:
            data, fds, _, _ = socket.recv_fds(
                control, MESSAGE_LEN, MESSAGE_FDS, socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:  # silent: nothing was said
            return
        except OSError:  # silent: a supervisor that is gone is one that says nothing
            data = b""
        if not data:
            self._worker.watch(control.fileno(), None)
            self._worker.stop()
            return
        self.obey(json.loads(data), fds)

    def obey(self, message: dict[str, Any], fds: list[int]) -> None:
        """Do what a message says; the descriptors are ours."""
        number = message.pop("ask", None)

        def reply(**answer: object) -> None:
            if number is None:
                return
            if self._seat.control is None:
                self._seat.take_answer({"answer": number, **answer})
            else:
                self._seat.tell(None, answer=number, **answer)

        for word in ORDERS & message.keys():
            try:
                getattr(self, f"_{word}")(message[word], message, fds, reply)
            except CortenError as error:
                reply(error=str(error))
            except Exception as error:
                logger.exception("order %r failed", word)
                reply(error=f"worker {self._seat.index}: {error!r}")

    # -- one function an order ----------------------------------------------------------------

    def _leads(self, leads: bool, message: Any, fds: list[int], reply: Reply) -> None:
        self._worker.lead(leads)

    def _stop(self, value: Any, message: Any, fds: list[int], reply: Reply) -> None:
        self._worker.stop()

    def _leave(self, seconds: float, message: Any, fds: list[int], reply: Reply) -> None:
        self._worker.leave(seconds)

    def _renew(self, index: int, message: Any, fds: list[int], reply: Reply) -> None:
        self._worker.renew(index, message["values"], fds)

    def _attach(self, value: Any, message: Any, fds: list[int], reply: Reply) -> None:
        attach(self._worker, Attachment.from_message(value, fds), message["speaks"])
        self._look()
        reply()

    def _detach(self, index: int, message: Any, fds: list[int], reply: Reply) -> None:
        for interface in self._worker.stack.interfaces:
            if interface.index == index:
                self._worker.remove_link(interface.name, message["why"], reply)
                return
        reply()  # it was never attached here

    def _address(self, text: str, message: Any, fds: list[int], reply: Reply) -> None:
        if message["more"]:
            self._worker.add_address(message["on"], text, message["dad"])
        else:
            self._worker.remove_address(message["on"], text, message["why"])
        reply()

    def _teach(self, place: int, message: Any, fds: list[int], reply: Reply) -> None:
        exchange = self._worker.exchange
        for interface in self._worker.stack.interfaces:
            for each in taught(interface):
                exchange.teach(place, interface.index, each)

    def _figures(self, value: Any, message: Any, fds: list[int], reply: Reply) -> None:
        reply(figures=self._worker.figures())

    # -- what is told unasked -------------------------------------------------------------------

    def _look(self) -> None:
        """Begin to look at what the links learn, where they learn anything."""
        links = self._worker.stack.interfaces
        if not self._looks and self._seat.control is not None:
            leases = self._worker.leases
            if leases is not None or any(link.slaac is not None for link in links):
                self._looks = True
                self._tell_learnt()

    def _tell_learnt(self) -> None:
        """Say what is new on the links, if this worker leads."""
        for interface in self._worker.stack.interfaces:
            if not interface.is_leader:
                continue
            found = learnt_of(self._worker, interface)
            if found != self._told.get(interface.index, {}):
                self._told[interface.index] = found
                self._seat.tell(learnt=found, index=interface.index)
        self._worker.call_later(LEARNT_SECONDS, self._tell_learnt)
