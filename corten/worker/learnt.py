"""What a worker's links have learnt, in words that its successor understands.

A worker that dies takes its leases and the routers' advertisements with it, and its successor would
be without addresses until a server or a router has answered again. So the worker that leads tells
the supervisor what it has learnt, as plain values; whoever takes a seat later is given them.

Rules. Instants are of the clock that all processes of a machine share. What is over when it is
taken up is left out; nothing is asked, and nobody is told.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from corten.core.limit import LINK_LOCAL_HIGH
from corten.dhcp.lease import Lease
from corten.wire.address import format_address, parse_address

Learnt = dict[str, Any]


def learnt_of(worker: Any, interface: Any) -> Learnt:
    """Of one link: its lease, and what routers have said."""
    found: Learnt = {}
    client = worker.leases.client_of(interface) if worker.leases is not None else None
    if client is not None and client.lease is not None:
        found["lease"] = {**asdict(client.lease), "since": client.leased}
    if interface.slaac is not None:
        hops = interface.hops
        found["routers"] = [
            [format_address(each.high, each.low), each.until, each.preference]
            for each in hops.routers
        ]
        found["prefixes"] = [
            [format_address(each.high, each.low), each.prefix_len, each.until]
            for each in hops.prefixes
        ]
        found["addresses"] = [
            [each.text(), each.preferred_until, each.valid_until]
            for each in interface.addresses
            if each.is_auto and each.high != LINK_LOCAL_HIGH
        ]
    return found


def take_up(worker: Any, interface: Any, learnt: Learnt) -> None:
    """Go on where the worker that told `learnt` was."""
    now = worker.stack.host.now
    for text, until, preference in learnt.get("routers", ()):
        if until > now:
            interface.hops.hear_router(*parse_address(text), until, preference, now)
    for text, prefix_len, until in learnt.get("prefixes", ()):
        if until > now:
            interface.hops.hear_prefix(*parse_address(text), prefix_len, until, now)
    worker.stack.routes.changed()
    if interface.slaac is not None:
        for text, preferred_until, valid_until in learnt.get("addresses", ()):
            if valid_until > now:
                interface.slaac.take_up(text, preferred_until, valid_until, now)


def lease_in(learnt: Learnt) -> tuple[Lease, float] | None:
    """The lease of `learnt`, and when it began."""
    if "lease" not in learnt:
        return None
    values = dict(learnt["lease"])
    since = values.pop("since")
    values["routes"] = tuple((network, gateway) for network, gateway in values["routes"])
    values["name_servers"] = tuple(values["name_servers"])
    return Lease(**values), since
