"""What a running server can be asked and told: the commands behind `corten ctl`.

    status                                 workers, links, figures
    counters [worker]                      what one worker, or all, have counted
    restart worker [now]                   a successor takes its seat
    add-link link [beside]                 one more link, for the workers of `beside`
    remove-link link
    add-address link address
    remove-address link address
    stop                                   drain, and end

Strategy. Each command is a function of the request; it answers at once, or when every worker that
it told something has said that it is done. A worker that ends meanwhile is done as well: its
successor finds everything as it is then. Only one change of links is under way at a time, so all
workers hear of them in one order.

Rules. A wrong request is a CortenError, one line. What could not be done everywhere is undone.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

from corten.endpoint.error import CortenError
from corten.worker.control import Answer
from corten.worker.control import Keeper as Later
from corten.worker.crew import Crew, StackCrew
from corten.worker.errand import Errand
from corten.worker.group_links import Held
from corten.worker.link import Link, parse_link, with_address
from corten.worker.plan import refuse_doubles
from corten.worker.seat import Seat

PATIENCE_S = 5.0  # with a worker that is told something
GLANCE_S = 0.5  # with one that is asked how it does
_SHOWN = (
    "frames_in",
    "handed_over",
    "handed_in",
    "hand_over_full",
    "segments_in",
    "segments_out",
    "datagrams_in",
    "datagrams_out",
    "connections_accepted",
    "connections_opened",
)

Request = dict[str, Any]


class Keeper(Later, Protocol):
    """The supervisor."""

    @property
    def is_stopping(self) -> bool:
        """Whether everything is on its way to the end."""

    def stop(self) -> None:
        """Drain and end."""

    def replace(self, seat: Seat, leave: Callable[[], object], seconds: float) -> None:
        """Let a successor take a seat."""


class Commands:
    """The commands of one server. `keeper`: its supervisor, or the worker that is alone."""

    def __init__(
        self, crews: list[Crew], keeper: Any, drain_seconds: float, supervised: bool = True
    ) -> None:
        self._crews = crews
        self._keeper = keeper
        self._drain_seconds = drain_seconds
        self._supervised = supervised
        self._is_changing = False
        self._began = time.monotonic()
        self._known: dict[str, Callable[[Request, Answer], None]] = {
            "status": self._status,
            "counters": self._counters,
            "restart": self._restart,
            "add-link": self._add_link,
            "remove-link": self._remove_link,
            "add-address": self._add_address,
            "remove-address": self._remove_address,
            "stop": self._stop,
        }

    def __call__(self, request: Request, answer: Answer) -> None:
        """Do what a request says."""
        command = self._known.get(request["command"])
        if command is None:
            known = ", ".join(self._known)
            raise CortenError(f"no command {request['command']!r}: {known}")
        if self._supervised and self._keeper.is_stopping and request["command"] != "status":
            raise CortenError("the server is stopping")
        command(request, answer)

    @property
    def _seats(self) -> list[Seat]:
        return [seat for crew in self._crews for seat in crew.seats]

    @property
    def _stacks(self) -> list[StackCrew]:
        return [crew for crew in self._crews if isinstance(crew, StackCrew)]

    def _present(self, seats: list[Seat]) -> list[Seat]:
        """Those of the seats that somebody sits in."""
        return [seat for seat in seats if seat.pid or not self._supervised]

    # -- looking ------------------------------------------------------------------------------

    def _status(self, request: Request, answer: Answer) -> None:
        seats = self._present([seat for crew in self._stacks for seat in crew.seats])

        def done(answers: dict[int, dict[str, Any]]) -> None:
            answer(
                {
                    "ok": True,
                    "pid": os.getpid(),
                    "at": time.monotonic(),
                    "stopping": self._supervised and self._keeper.is_stopping,
                    "workers": [w for crew in self._crews for w in self._workers_of(crew)],
                    "links": [link for crew in self._crews for link in _links_of(crew, answers)],
                }
            )

        Errand(self._keeper, seats, GLANCE_S, done).ask(lambda seat: {"figures": True})

    def _workers_of(self, crew: Crew) -> list[dict[str, Any]]:
        found = []
        for place, seat in enumerate(crew.seats):
            counted = crew.counters[place].snapshot() if crew.counters else {}
            found.append(
                {
                    "index": seat.index,
                    "pid": seat.pid if self._supervised else os.getpid(),  # 0: it is to be forked
                    "cpu": seat.cpu,
                    "starts": seat.starts,
                    "seconds": time.monotonic() - (seat.started or self._began),
                    "ready": seat.is_ready or not self._supervised,
                    "leaving": seat.is_leaving,
                    "leads": seat.leads,
                    "counters": {name: counted[name] for name in _SHOWN if name in counted},
                }
            )
        return found

    def _counters(self, request: Request, answer: Answer) -> None:
        """One worker's: all of them might be more than one answer holds."""
        seat = self._seat_of(request)
        for crew in self._crews:
            if seat in crew.seats:
                if not crew.counters:
                    raise CortenError(
                        f"worker {seat.index} serves the kernel's sockets: no counters"
                    )
                counted = crew.counters[crew.seats.index(seat)].snapshot()
                answer({"ok": True, "counters": counted})

    def _seat_of(self, request: Request) -> Seat:
        index = request.get("worker")
        for seat in self._seats:
            if seat.index == index:
                return seat
        raise CortenError(f"no worker {index}: there are 0 to {len(self._seats) - 1}")

    # -- workers ------------------------------------------------------------------------------

    def _restart(self, request: Request, answer: Answer) -> None:
        seat = self._seat_of(request)
        if not self._supervised:
            raise CortenError("this worker has no supervisor that could start it again")
        if seat.is_leaving:
            raise CortenError(f"worker {seat.index} is being restarted already")
        if not seat.pid or not seat.is_ready:
            raise CortenError(f"worker {seat.index} is not running: it is started soon")
        crew = next(crew for crew in self._crews if seat in crew.seats)
        seconds = 0.0 if request.get("now") else self._drain_seconds
        seat.taken = lambda: answer({"ok": True, "worker": seat.index, "pid": seat.pid})
        self._keeper.replace(seat, partial(crew.leave, seat, seconds), seconds)

    def _stop(self, request: Request, answer: Answer) -> None:
        answer({"ok": True})
        if self._supervised:
            self._keeper.stop()
        else:
            self._keeper.drain(self._drain_seconds)

    # -- links --------------------------------------------------------------------------------

    @contextmanager
    def _change(self, answer: Answer) -> Iterator[Answer]:
        """One change of links after the other: it is under way until it is answered, or refused
        within the block."""
        if self._is_changing:
            raise CortenError("another change of links is under way: try again in a moment")
        self._is_changing = True

        def done(message: dict[str, Any]) -> None:
            self._is_changing = False
            answer(message)

        try:
            yield done
        except BaseException:
            self._is_changing = False
            raise

    def _held(self, request: Request) -> tuple[StackCrew, Held]:
        """The link that a request names, and whose it is."""
        name = _text(request, "link")
        for crew in self._stacks:
            held = crew.links.find(name)
            if held is not None:
                return crew, held
        names = ", ".join(held.name for crew in self._stacks for held in crew.links.held)
        raise CortenError(f"no link {name!r}: there are {names or 'none'}")

    def _add_link(self, request: Request, answer: Answer) -> None:
        link = parse_link(_text(request, "link"))
        if link.driver == "kernel":
            raise CortenError("kernel links are opened at the start: the kernel's devices are used")
        if link.workers or link.cpus:
            raise CortenError("the workers there are serve it: leave out workers= and cpus=")
        crew = self._crew_for(request.get("beside"))
        links = [named(held) for each in self._stacks for held in each.links.held]
        refuse_doubles([*links, link])
        with self._change(answer) as done:
            held = crew.links.open(link)
        seats = self._present(crew.seats)

        def attached(answers: dict[int, dict[str, Any]]) -> None:
            error = _error_in(answers)
            if error is None:
                done({"ok": True, "link": held.name, "index": held.index})
            else:
                self._detach(crew, held, error, lambda: done({"error": error}))

        Errand(self._keeper, seats, PATIENCE_S, attached).ask(
            lambda seat: _attachment(crew, held, seat), lambda seat: _fds(crew, held, seat)
        )

    def _crew_for(self, beside: object) -> StackCrew:
        """Whose workers are to serve a new link."""
        stacks = self._stacks
        if beside is not None:
            return self._held({"link": beside})[0]
        if len(stacks) == 1:
            return stacks[0]
        shared = [crew for crew in stacks if not any(link.workers for link in crew.group.links)]
        if len(shared) == 1:
            return shared[0]
        if not stacks:
            raise CortenError("this server has the kernel's links alone: no stack to add a link to")
        raise CortenError("several groups of workers: say beside which link (--beside NAME)")

    def _remove_link(self, request: Request, answer: Answer) -> None:
        crew, held = self._held(request)
        if len(crew.links.held) == 1:
            raise CortenError(
                f"{held.name} is the last link of its workers: add another first, or stop"
            )
        with self._change(answer) as done:
            self._detach(crew, held, "asked by corten ctl", lambda: done({"ok": True}))

    def _detach(self, crew: StackCrew, held: Held, why: str, then: Callable[[], object]) -> None:
        """Take a link from every worker; its device is closed when the last has let it go."""
        crew.links.take_off(held)

        def detached(answers: dict[int, dict[str, Any]]) -> None:
            held.device.close()
            then()

        Errand(self._keeper, self._present(crew.seats), PATIENCE_S, detached).ask(
            lambda seat: {"detach": held.index, "why": why}
        )

    # -- addresses ----------------------------------------------------------------------------

    def _add_address(self, request: Request, answer: Answer) -> None:
        crew, held = self._held(request)
        more = with_address(held.link, _text(request, "address"), held.name)
        links = [named(each) for one in self._stacks for each in one.links.held]
        refuse_doubles([*(link for link in links if link.name != held.name), more])
        _refuse_hosts_own(more.addresses[-1])
        before = held.link
        with self._change(answer) as done:
            crew.links.add_address(held, more)

        def added(answers: dict[int, dict[str, Any]]) -> None:
            error = _error_in(answers)
            if error is None:
                done({"ok": True})
                return
            held.link = before
            held.device.remove_address(_bare(more))
            self._tell_address(crew, held, _bare(more), lambda _: done({"error": error}))

        text = more.addresses[-1]
        how = more.dad if ":" in text else ("on" if more.acd else "optimistic")
        Errand(self._keeper, self._present(crew.seats), PATIENCE_S, added).ask(
            lambda seat: {"address": text, "on": held.name, "more": True, "dad": how}
        )

    def _remove_address(self, request: Request, answer: Answer) -> None:
        crew, held = self._held(request)
        text = str(_ip(_text(request, "address")))
        with self._change(answer) as done:
            crew.links.remove_address(held, text)

        def removed(answers: dict[int, dict[str, Any]]) -> None:
            error = _error_in(answers)
            done({"ok": True} if error is None else {"error": error})

        self._tell_address(crew, held, text, removed)

    def _tell_address(
        self, crew: StackCrew, held: Held, text: str, then: Callable[[Any], object]
    ) -> None:
        Errand(self._keeper, self._present(crew.seats), PATIENCE_S, then).ask(
            lambda seat: {
                "address": text,
                "on": held.name,
                "more": False,
                "why": "asked by corten ctl",
            }
        )


# -- of requests and answers ----------------------------------------------------------------------


def _text(request: Request, name: str) -> str:
    value = request.get(name)
    if not isinstance(value, str) or not value:
        raise CortenError(f"{request.get('command', 'this')} needs {name}: a text")
    return value


def _ip(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        return ipaddress.ip_address(text.partition("/")[0])
    except ValueError:
        raise CortenError(f"address={text}: is no IP address") from None


def _bare(link: Link) -> str:
    """The last address of a link without its prefix length."""
    return link.addresses[-1].partition("/")[0]


def named(held: Held) -> Link:
    """A link under the name it turned out to have."""
    return replace(held.link, name=held.name)


def _refuse_hosts_own(text: str) -> None:
    """An address that this host has itself cannot be the stack's."""
    address = ipaddress.ip_interface(text).ip
    if address.is_link_local:
        return
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as end:
        try:
            end.bind((str(address), 0))
        except OSError:  # silent: it is not the host's, as it should be
            return
    raise CortenError(f"address {address} is in use: it is this host's own; choose another")


def _error_in(answers: dict[int, dict[str, Any]]) -> str | None:
    """The first error of several workers' answers."""
    for index in sorted(answers):
        if "error" in answers[index]:
            return str(answers[index]["error"])
    return None


def _attachment(crew: StackCrew, held: Held, seat: Seat) -> dict[str, Any]:
    found = crew.links.attachment(held, crew.seats.index(seat))
    return {"attach": found.message(), "speaks": seat.leads}


def _fds(crew: StackCrew, held: Held, seat: Seat) -> list[int]:
    return held.device.queue(crew.seats.index(seat)).fds


def _links_of(crew: Crew, answers: dict[int, dict[str, Any]]) -> list[dict[str, Any]]:
    """The links of a crew, with what its workers said of them."""
    workers = [seat.index for seat in crew.seats]
    if not isinstance(crew, StackCrew):
        return [
            {
                "name": "",
                "driver": "kernel",
                "addresses": crew.group.addresses,
                "queues": 0,
                "workers": workers,
            }
        ]
    return [_link_of(crew, held, workers, answers) for held in crew.links.held]


def _link_of(
    crew: StackCrew, held: Held, workers: list[int], answers: dict[int, dict[str, Any]]
) -> dict[str, Any]:
    figures = {
        index: each
        for index, said in answers.items()
        if index in workers
        for each in said.get("figures", [])
        if each["index"] == held.index
    }
    addresses = [text.partition("/")[0] for text in held.link.addresses]
    for index in sorted(figures):
        addresses += [text for text in figures[index]["addresses"] if text not in addresses]
    return {
        "name": held.name,
        "index": held.index,
        "driver": held.link.driver,
        "mac": held.mac,
        "mtu": held.device.mtu,
        "addresses": addresses,
        "prefixes": held.link.prefixes,
        "gateways": held.link.gateways,
        "queues": len(workers),
        "workers": workers,
        "figures": {
            str(index): [each["received"], each["transmitted"], each["dropped"]]
            for index, each in figures.items()
        },
    }
