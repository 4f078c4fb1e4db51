"""A worker's names: its resolver, and `connect` to a name.

Rules. The resolver is made when a name is first asked for. Its servers are those given by hand,
else what the links have learnt (DHCP, router advertisements), looked at for each question.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from corten.core.chance import Chance
from corten.dns.opening import Opening
from corten.dns.resolver import Resolver
from corten.endpoint.connection import Connection
from corten.endpoint.error import CortenError
from corten.endpoint.handler import Handler
from corten.endpoint.loop import Loop
from corten.wire.address import format_address, parse_address


def is_number(text: str) -> bool:
    """Whether it is an address, with or without a zone, and no name."""
    try:
        parse_address(text.partition("%")[0])
    except ValueError:  # silent: that is the answer
        return False
    return True


def check_servers(servers: list[str]) -> list[str]:
    """The same; CortenError for one that is no address."""
    for server in servers:
        if not is_number(server):
            raise CortenError(f"name server {server!r}: an IP address is wanted")
    return servers


class Names:
    """What `Worker.connect` and `Worker.resolve` stand on."""

    def __init__(
        self,
        loop: Loop,
        learnt: Callable[[], list[str]],
        sort: Callable[[list[tuple[int, int]]], list[tuple[int, int]]],
    ) -> None:
        self._loop = loop
        self._learnt = learnt
        self._sort = sort
        self.given: list[str] = []  # name servers, instead of what is learnt
        self._resolver: Resolver | None = None

    @property
    def resolver(self) -> Resolver:
        """The worker's resolver, with the servers of this moment."""
        if self._resolver is None:
            seed = int.from_bytes(os.urandom(8), "big")
            self._resolver = Resolver(self._loop, [], Chance(seed))
        self._resolver.servers = self.given or self._learnt()
        return self._resolver

    def connect(
        self, name: str, port: int, factory: Callable[[], Handler], options: dict[str, object]
    ) -> Connection:
        """Resolve, and race what was found (RFC 8305); `factory()` is called at once."""
        handler = factory()
        return Opening(self._loop, self.resolver, name, port, handler, options, self._sorted)

    def _sorted(self, addresses: list[str]) -> list[str]:
        """The one to try first at the front (RFC 6724 6)."""
        return [format_address(*a) for a in self._sort([parse_address(a) for a in addresses])]

    def close(self) -> None:
        """Ask no more."""
        if self._resolver is not None:
            self._resolver.close()
