"""From links and numbers of workers to groups: who serves which links on which processors."""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass, field

from corten.endpoint.error import CortenError
from corten.worker.link import WORKERS_MAX, Link


@dataclass
class Group:
    """Workers that serve the same links: each opens one queue on every one of them."""

    links: list[Link]
    workers: int
    cpus: list[int]  # by worker of the group
    first: int = 0  # index of its first worker among all

    @property
    def is_kernel(self) -> bool:
        """Whether the kernel's sockets are served instead of a stack."""
        return self.links[0].driver == "kernel"

    @property
    def addresses(self) -> list[str]:
        """The addresses served, without prefix lengths."""
        return [address.partition("/")[0] for link in self.links for address in link.addresses]


@dataclass
class Plan:
    """Every group, and how many workers there are."""

    groups: list[Group] = field(default_factory=list)

    @property
    def workers(self) -> int:
        return sum(group.workers for group in self.groups)


def plan(links: list[Link], workers: int = 1, cpus: list[int] | None = None) -> Plan:
    """Links that name workers of their own are a group each; the others share the global workers,
    those of the kernel apart from those of a stack."""
    if not links:
        raise CortenError("no link: give at least one, such as --link tap,address=10.0.2.2/24")
    if not 1 <= workers <= WORKERS_MAX:
        raise CortenError(f"workers={workers}: from 1 to {WORKERS_MAX}")
    refuse_doubles(links)
    allowed = sorted(os.sched_getaffinity(0))
    pool = cpus or allowed
    made = Plan()
    shared = [link for link in links if not link.workers]
    stacks = [link for link in shared if link.driver != "kernel"]
    kernels = [link for link in shared if link.driver == "kernel"]
    for together in (stacks, kernels):
        if together:
            own = together[0].cpus if len(together) == 1 else []
            _add(made, together, workers, own or pool, bool(own or cpus), allowed)
    for link in links:
        if link.workers:
            _add(made, [link], link.workers, link.cpus or pool, bool(link.cpus or cpus), allowed)
    return made


def _add(
    made: Plan, links: list[Link], workers: int, pool: list[int], asked: bool, allowed: list[int]
) -> None:
    """One more group; processors are dealt in turn, going on where the last group stopped."""
    missing = [cpu for cpu in pool if cpu not in allowed]
    if missing:
        raise CortenError(
            f"processor {missing[0]} is not available here: choose from {_ranges(allowed)}"
        )
    start = 0 if asked and links[0].cpus else made.workers
    dealt = [pool[(start + i) % len(pool)] for i in range(workers)]
    made.groups.append(Group(links, workers, dealt, made.workers))


def refuse_doubles(links: list[Link]) -> None:
    """Two links of one name or one address would be in each other's way."""
    names: set[str] = set()
    addresses: set[str] = set()
    for link in links:
        if link.name and link.name in names:
            raise CortenError(f"two links are named {link.name}: give each a name of its own")
        names.add(link.name)
        for address in link.addresses:
            ip = address.partition("/")[0]
            if ip in addresses and link.driver != "kernel":
                raise CortenError(f"address {ip} is on two links: give each link its own")
            addresses.add(ip)
    _refuse_shared_prefixes([link for link in links if link.driver != "kernel"])


def _refuse_shared_prefixes(links: list[Link]) -> None:
    """What is one link's as a whole cannot be another's in part."""
    for link in links:
        for text in link.prefixes:
            prefix = ipaddress.ip_network(text)
            for other in links:
                if other is link:
                    continue
                held = [ipaddress.ip_interface(each).ip for each in other.addresses]
                wide = [ipaddress.ip_network(each) for each in other.prefixes]
                found = [str(ip) for ip in held if ip in prefix]
                found += [
                    str(each)
                    for each in wide
                    if each.version == prefix.version and prefix.overlaps(each)
                ]
                if found:
                    raise CortenError(f"prefix {text} of one link has {found[0]} of another in it")


def _ranges(cpus: list[int]) -> str:
    """[0, 1, 2, 5] as 0-2, 5."""
    parts: list[str] = []
    start = last = cpus[0]
    for cpu in [*cpus[1:], -1]:
        if cpu != last + 1:
            parts.append(str(start) if start == last else f"{start}-{last}")
            start = cpu
        last = cpu
    return ", ".join(parts)
