"""The addresses that a load comes from: those of the links, or as many more as `--sources` says.

One address has some 64,000 ports towards a server, and each is taken until the server's TIME-WAIT
is over (four minutes by the book, one as deployed): who opens 10,000 connections a second for
longer than that needs ten addresses. A number takes so many addresses from the link's own on, in
its network; a prefix takes all of its hosts, and the server needs a route to it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv6Address,
    IPv6Interface,
    ip_address,
    ip_interface,
    ip_network,
)

from corten.endpoint.error import CortenError
from corten.worker.link import parse_link

SOURCES_MAX = 4096

_Ip = IPv4Address | IPv6Address
_Own = IPv4Interface | IPv6Interface


def sources_of(links: list[str], target: str, wanted: str) -> tuple[list[str], list[str]]:
    """The links, with the addresses that `wanted` adds, and the addresses to come from ("" takes
    the links' own). CortenError for what cannot be."""
    own = {text: [ip_interface(each) for each in parse_link(text).addresses] for text in links}
    try:
        there = ip_address(target.partition("%")[0])
    except ValueError:  # silent: a name, whoever resolves it
        if wanted:
            raise CortenError("--sources needs an address in the URL, not a name") from None
        return links, []
    if not wanted:
        known = [each.ip for addresses in own.values() for each in addresses]
        return links, [str(address) for address in known if _reaches(address, there)]
    home = next((t for t in links if any(_reaches(a.ip, there) for a in own[t])), None)
    if home is None:
        raise CortenError(f"--sources: no link has an address that reaches {target}")
    first = next(each for each in own[home] if _reaches(each.ip, there))
    if parse_link(home).driver == "kernel":  # 127.0.0.0/8 is all its own
        first = ip_interface(f"{first.ip}/{8 if first.version == 4 else 64}")
    more = _more(wanted, first, _taken(home, own[home], there))
    if not all(each.version == there.version for each in more):
        raise CortenError(f"--sources {wanted}: {target} is of the other family")
    sources = [str(each.ip) for each in more]
    if parse_link(home).driver == "kernel":
        return links, sources  # the kernel has them, or says that it has not
    there_already = {each.ip for each in own[home]}
    options = [f"address={each}" for each in more if each.ip not in there_already]
    return [",".join([text, *options]) if text == home else text for text in links], sources


def _reaches(own: _Ip, there: _Ip) -> bool:
    """Whether packets from `own` can go there: of its family, and of its scope."""
    return own.version == there.version and own.is_link_local == there.is_link_local


def _taken(text: str, own: list[_Own], there: _Ip) -> set[_Ip]:
    """What somebody else on the link has: the server, the kernel's side, the routers."""
    link = parse_link(text)
    others = [ip_interface(each).ip for each in [*link.hosts, *link.gateways]]
    return {there, *others} - {each.ip for each in own}


def _more(wanted: str, first: _Own, taken: set[_Ip]) -> list[_Own]:
    """The addresses that `wanted` names, each with the length of its prefix."""
    if wanted.isdecimal():
        count, network = int(wanted), first.network
        if not 1 <= count <= SOURCES_MAX:
            raise CortenError(f"--sources {wanted}: from 1 to {SOURCES_MAX}")
        found: Iterator[_Ip] = (
            address
            for address in (first.ip + i for i in range(SOURCES_MAX + len(taken) + 2))
            if address in network
            and address not in taken
            and (network.version == 6 or address != network.broadcast_address)
        )
    else:
        try:
            network = ip_network(wanted)
        except ValueError as error:
            raise CortenError(f"--sources {wanted}: {error}") from None
        if network.num_addresses > SOURCES_MAX:
            raise CortenError(f"--sources {wanted}: more than {SOURCES_MAX} addresses")
        count = network.num_addresses
        found = (address for address in network.hosts() if address not in taken)
    more = [ip_interface(f"{each}/{network.prefixlen}") for each in itertools.islice(found, count)]
    if not more or (wanted.isdecimal() and len(more) < count):
        raise CortenError(f"--sources {wanted}: {network} has only {len(more)} addresses left")
    return more
