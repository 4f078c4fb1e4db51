"""A DNS server for a simulated network: it answers from the network's book, at port 53.

UDP and TCP as any other (`corten.app.nameserver`), over whatever the links do to it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from corten.app.nameserver import ByDatagram, ByStream
from corten.core.chance import Chance
from corten.dns.resolver import Found, Resolver
from corten.endpoint.error import NoSuchName

if TYPE_CHECKING:
    from corten.sim.machine import Machine

PORT = 53
Book = Callable[[], dict[str, list[str]]]


class Authority(Resolver):
    """A resolver that asks nobody: what the book does not have does not exist."""

    def __init__(self, machine: Machine, book: Book) -> None:
        super().__init__(machine, [], Chance(0))
        self.book = book

    def lookup(self, name: str, kind: int, found: Found) -> None:
        self.hosts = self.book()
        if self._known(name, kind) is None:
            error = NoSuchName(f"{name}: no such name in this network")
            self.loop.call_soon(found, [], error)
        else:
            super().lookup(name, kind, found)


def serve_book(machine: Machine, book: Book) -> None:
    """Answer questions at port 53 of every address of a host."""
    authority = Authority(machine, book)
    machine.bind(PORT, ByDatagram(lambda: authority))
    machine.listen(PORT, partial(ByStream, lambda: authority))
