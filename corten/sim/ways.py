"""Routes: the shortest way from each host and router to each address, by the number of links.

Strategy. For each link the routers are put in levels by breadth: 0 are attached to it, 1 are a link
away, and so on. The next router on the way to a link is a neighbour of a lower level, the first
that was made. Routers learn a way for each address; hosts with one link need only their gateway,
hosts with several a route for each subnet beyond.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from corten.sim.addresses import Given, Subnet
from corten.sim.link import Link
from corten.sim.machine import Machine
from corten.sim.router import Router

Node = Machine | Router


@dataclass
class Span:
    """A link, its ends, their addresses, its subnets."""

    ends: tuple[Node, Node]
    link: Link
    addresses: list[list[Given]]
    subnets: list[Subnet]


class Ways:
    """All spans, and the routes that follow from them."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self._is_settled = True
        self._given: set[tuple[str, str, str]] = set()  # routes that hosts have

    def add(
        self,
        ends: tuple[Node, Node],
        link: Link,
        addresses: list[list[Given]],
        subnets: list[Subnet],
    ) -> None:
        self.spans.append(Span(ends, link, addresses, subnets))
        self._is_settled = False

    def settle(self, machines: Sequence[Machine], routers: Sequence[Router]) -> None:
        """Tell routers and hosts what they need to know since links were added."""
        if self._is_settled:
            return
        self._is_settled = True
        for span in self.spans:
            levels = self._levels(span, routers)
            for router in routers:
                self._teach_router(router, span, levels)
            for machine in machines:
                self._teach_machine(machine, span, levels)

    def _levels(self, span: Span, routers: Sequence[Router]) -> dict[Router, int]:
        levels = {end: 0 for end in span.ends if isinstance(end, Router)}
        front = list(levels)
        while front:
            reached = []
            for router in front:
                for other, _ in self._neighbours(router):
                    if other not in levels:
                        levels[other] = levels[router] + 1
                        reached.append(other)
            front = reached
        return levels

    def _neighbours(self, node: Node) -> list[tuple[Router, Span]]:
        """The routers at the other ends of a node's links."""
        found: list[tuple[Router, Span]] = []
        for span in self.spans:
            if node in span.ends:
                other = span.ends[1 - span.ends.index(node)]
                if isinstance(other, Router):
                    found.append((other, span))
        return found

    def _next(self, node: Node, levels: dict[Router, int]) -> tuple[Router, Span] | None:
        """The router to send to, and the link it is reached on."""
        known = [step for step in self._neighbours(node) if step[0] in levels]
        return min(known, key=lambda step: levels[step[0]], default=None)

    def _teach_router(self, router: Router, span: Span, levels: dict[Router, int]) -> None:
        if router in span.ends:
            out, towards = _port(router, span.link), None
        else:
            step = self._next(router, levels)
            if router not in levels or step is None:
                return
            out, towards = _port(router, step[1].link), _port(step[0], step[1].link)
        for end, addresses in zip(span.ends, span.addresses, strict=True):
            if end is not router:
                station = (towards or _port(end, span.link)).mac_octets
                for each in addresses:
                    router.ways[each.ip.packed] = (out, station)

    def _teach_machine(self, machine: Machine, span: Span, levels: dict[Router, int]) -> None:
        if machine in span.ends or len(machine.host.ports) < 2:
            return
        step = self._next(machine, levels)
        if step is None:
            return
        interface = _port(machine, step[1].link).interface
        gateways = step[1].addresses[step[1].ends.index(step[0])]
        for subnet in span.subnets:
            gateway = next((g for g in gateways if g.version == subnet.version), None)
            key = (machine.name, str(subnet), str(gateway))
            if gateway is not None and key not in self._given:
                self._given.add(key)
                machine.host.stack.add_route(str(subnet), interface, str(gateway.ip))


def _port(node: Node, link: Link) -> Any:
    ports: list[Any] = node.ports if isinstance(node, Router) else node.host.ports
    return next(port for port in ports if port.link is link)
