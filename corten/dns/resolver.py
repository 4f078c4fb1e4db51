"""Names to addresses: a stub resolver (RFC 1035, RFC 1123 6.1.3) over a loop's own endpoints.

    resolver = Resolver(worker, ["10.0.0.53"], chance)
    resolver.resolve("example.com", lambda addresses, error: ...)

Strategy. Both kinds of address are asked for at once. Questions under way for the same name and
type are one; replies are kept as long as their TTL says. Names are absolute: there is no search
list. Numbers are their own addresses, `localhost` is the loopback (RFC 6761 6.3), and `hosts` says
what is known without asking.

Rules. All that is kept is bounded. A CNAME chain is followed within a reply and then by new
questions, `ALIASES_MAX` in all; records for names off the chain are ignored (RFC 5452 6).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from corten.core.chance import Chance
from corten.dns.cache import Cache
from corten.dns.query import Query
from corten.endpoint.error import NoSuchAddress, NoSuchName, ResolutionError
from corten.endpoint.loop import Loop
from corten.wire.address import parse_address
from corten.wire.dns import AAAA, CNAME, NAME_ERROR, SOA, A, DnsMalformed, Message, check_name

ALIASES_MAX = 8
QUESTIONS_MAX = 256  # under way at once
SERVERS_MAX = 8
LOOPBACK = {A: ["127.0.0.1"], AAAA: ["::1"]}
FAMILIES = {4: (A,), 6: (AAAA,), 0: (AAAA, A)}

Found = Callable[[list[str], Exception | None], None]


class Lookup:
    """One question under way, and everybody who waits for it."""

    def __init__(self, name: str, kind: int) -> None:
        self.name, self.kind = name, kind
        self.alias = name  # where the chain of CNAMEs has led
        self.aliases = 0
        self.ttl = float("inf")
        self.waiting: list[Found] = []
        self.query: Query | None = None


class Resolver:
    """One loop's resolver. `servers` may be changed at any time: the next question uses them."""

    def __init__(
        self,
        loop: Loop,
        servers: list[str],
        chance: Chance,
        hosts: dict[str, list[str]] | None = None,
    ) -> None:
        self.loop = loop
        self.servers = list(servers[:SERVERS_MAX])
        self.chance = chance
        self.hosts = {name.lower(): list(found) for name, found in (hosts or {}).items()}
        self.cache = Cache()
        self._lookups: dict[tuple[str, int], Lookup] = {}

    # -- asking -------------------------------------------------------------------------------

    def resolve(self, name: str, found: Found, family: int = 0) -> None:
        """Call `found(addresses, error)` once: IPv6 before IPv4, each as the server ordered them;
        or an empty list and a ResolutionError. Never from inside this call."""
        kinds = FAMILIES[family]
        results: dict[int, list[str]] = {}
        errors: list[Exception] = []

        def one(kind: int, addresses: list[str], error: Exception | None) -> None:
            results[kind] = addresses
            if error is not None:
                errors.append(error)
            if len(results) == len(kinds):
                everything = [address for k in kinds for address in results[k]]
                found(everything, None if everything else errors[0])

        for kind in kinds:
            self.lookup(name, kind, partial(one, kind))

    def lookup(self, name: str, kind: int, found: Found) -> None:
        """As `resolve`, for one type of record: A or AAAA."""
        entry = self.cache.find(name.removesuffix("."), kind, self.loop.time())
        known = entry.addresses if entry is not None else self._known(name, kind)
        if known is not None:
            missing = entry is not None and entry.missing
            none = None if known else _nothing(name, missing)
            self.loop.call_soon(found, list(known), none)
            return
        try:
            wire_name = check_name(name)
        except DnsMalformed as error:
            self.loop.call_soon(found, [], ResolutionError(str(error)))
            return
        key = (wire_name.lower(), kind)
        lookup = self._lookups.get(key)
        if lookup is None:
            if len(self._lookups) >= QUESTIONS_MAX:
                many = ResolutionError(f"{name}: {QUESTIONS_MAX} questions are under way")
                self.loop.call_soon(found, [], many)
                return
            lookup = self._lookups[key] = Lookup(wire_name, kind)
            self._ask(lookup)
        lookup.waiting.append(found)

    def _known(self, name: str, kind: int) -> list[str] | None:
        """What needs no question: a number, `localhost`, a host given by hand."""
        try:
            parse_address(name)
        except ValueError:  # silent: a name then
            pass
        else:
            return [name] if (":" in name) == (kind == AAAA) else []
        lower = name.rstrip(".").lower()
        if lower in self.hosts:
            return [a for a in self.hosts[lower] if (":" in a) == (kind == AAAA)]
        if lower == "localhost" or lower.endswith(".localhost"):
            return LOOPBACK[kind]
        return None

    def _ask(self, lookup: Lookup) -> None:
        lookup.query = Query(
            self.loop,
            self.chance,
            self.servers,
            lookup.alias,
            lookup.kind,
            partial(self._answered, lookup),
        )
        self.loop.call_soon(lookup.query.start)

    # -- answers ------------------------------------------------------------------------------

    def _answered(self, lookup: Lookup, reply: Message | None, why: str) -> None:
        if reply is None:
            self._finish(lookup, [], ResolutionError(f"{lookup.name}: {why}"))
            return
        addresses = self._follow(lookup, reply)
        if addresses:
            self._keep(lookup, addresses, lookup.ttl, False)
            self._finish(lookup, addresses, None)
        elif lookup.alias.lower() != reply.name.lower() and lookup.aliases <= ALIASES_MAX:
            self._ask(lookup)  # the chain leads out of this reply
        else:
            missing = reply.code == NAME_ERROR
            self._keep(lookup, [], _negative_ttl(reply), missing)
            self._finish(lookup, [], _nothing(lookup.name, missing))

    def _follow(self, lookup: Lookup, reply: Message) -> list[str]:
        """Follow the chain of aliases in a reply; the addresses at its end."""
        while lookup.aliases <= ALIASES_MAX:
            here = [r for r in reply.answers if r.name.lower() == lookup.alias.lower()]
            found = [r for r in here if r.type == lookup.kind]
            if found:
                lookup.ttl = min([lookup.ttl, *(r.ttl for r in found)])
                return [str(r.data) for r in found]
            alias = next((r for r in here if r.type == CNAME), None)
            if alias is None:
                break
            lookup.ttl = min(lookup.ttl, alias.ttl)
            lookup.alias = str(alias.data)
            lookup.aliases += 1
        return []

    def _keep(self, lookup: Lookup, addresses: list[str], ttl: float, missing: bool) -> None:
        self.cache.keep(lookup.name, lookup.kind, addresses, ttl, self.loop.time(), missing)

    def _finish(self, lookup: Lookup, addresses: list[str], error: Exception | None) -> None:
        self._lookups.pop((lookup.name.lower(), lookup.kind), None)
        for found in lookup.waiting:
            self.loop.call_soon(found, list(addresses), error)

    def close(self) -> None:
        """Ask no more; who waits hears of it."""
        for lookup in list(self._lookups.values()):
            if lookup.query is not None:
                lookup.query.cancel()
            self._finish(lookup, [], ResolutionError(f"{lookup.name}: the resolver was closed"))


def _nothing(name: str, missing: bool) -> ResolutionError:
    if missing:
        return NoSuchName(f"{name}: no such name")
    return NoSuchAddress(f"{name}: no address of this family")


def _negative_ttl(reply: Message) -> float:
    """RFC 2308 5: the smaller of the SOA's TTL and its MINIMUM; without a SOA not to be kept."""
    for record in reply.authorities:
        if record.type == SOA and isinstance(record.data, int):
            return float(min(record.ttl, record.data))
    return 0.0
