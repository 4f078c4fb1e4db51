"""DHCP on a worker's links: the clients, what leases change, what workers tell each other.

Strategy. One endpoint on port 68 serves the clients of all links of a worker. A reply reaches the
worker whose queue it falls into; that one passes a copy to the others of the link, so that all take
the same lease at the same moment (see `corten.dhcp.client`).

Rules. A lease is an address, the routes that came with it and name servers; when it ends they go,
and connections from the address with them. A copy between workers comes from a port of its own, and
is never passed on.
"""

from __future__ import annotations

import logging
from ipaddress import ip_address, ip_interface
from typing import TYPE_CHECKING, Any

from corten.core.chance import Chance
from corten.dhcp.client import DhcpClient
from corten.dhcp.frame import broadcast_frame, copied_frame
from corten.dhcp.lease import Lease
from corten.endpoint.datagram import DatagramHandler, Endpoint
from corten.wire.dhcp import CLIENT_PORT, SERVER_PORT

if TYPE_CHECKING:
    from corten.worker.worker import Worker

log = logging.getLogger("corten.link")


class LinkClient:
    """The client of one link, and what its lease changed."""

    def __init__(self, leases: Leases, interface: Any, leads: bool) -> None:
        self.leases, self.interface = leases, interface
        worker = leases.worker
        seed = leases.chance.next64()
        self.lease: Lease | None = None
        self.client = DhcpClient(
            worker,
            Chance(seed),
            interface.mac,
            self._transmit,
            self._bound,
            self._lost,
            leads,
        )

    def _transmit(self, octets: bytes, server: str | None) -> None:
        if server is None:
            frame = broadcast_frame(self.interface.mac, self.interface.vlan, octets)
            self.interface.outgoing.append(frame)
        elif self.leases.endpoint is not None:
            self.leases.endpoint.send(octets, (server, SERVER_PORT))

    def _bound(self, lease: Lease) -> None:
        stack, interface, before = self.leases.worker.stack, self.interface, self.lease
        self.lease = lease
        if before is not None and before.network == lease.network:
            if _routes(before) != _routes(lease):
                self._change_routes(before, lease)
            return
        stack.add_address(interface, lease.network)
        self._change_routes(before, lease)
        if interface.is_leader:
            hours = f"for {lease.expires_s / 3600:.1f} h" if lease.expires_s < 1e9 else "for ever"
            log.info("link %s: %s %s from %s", interface.name, lease.network, hours, lease.server)

    def _lost(self, lease: Lease) -> None:
        stack, interface = self.leases.worker.stack, self.interface
        self._change_routes(lease, None)
        stack.remove_address(interface, lease.address, "its lease ended")
        if self.lease is lease:
            self.lease = None

    def _change_routes(self, before: Lease | None, after: Lease | None) -> None:
        stack = self.leases.worker.stack
        old = _routes(before) if before is not None else {}
        new = _routes(after) if after is not None else {}
        for network in old.keys() - new.keys():
            stack.routes.remove(network, self.interface)
        for network, gateway in new.items():
            if old.get(network) != gateway:
                if network in old:
                    stack.routes.remove(network, self.interface)
                stack.add_route(network, self.interface, gateway)


def _routes(lease: Lease) -> dict[str, str]:
    """Network to gateway. A gateway that is not on the link is none that we could use."""
    found = dict(lease.routes)
    if lease.gateway is not None:
        found["0.0.0.0/0"] = lease.gateway
    link = ip_interface(lease.network).network
    return {network: gateway for network, gateway in found.items() if ip_address(gateway) in link}


class Leases(DatagramHandler):
    """All DHCP of one worker."""

    def __init__(self, worker: Worker, chance: Chance) -> None:
        self.worker = worker
        self.chance = chance
        self.clients: list[LinkClient] = []
        self.endpoint: Endpoint | None = None

    def add(self, interface: Any, leads: bool, known: tuple[Lease, float] | None = None) -> None:
        """Begin on one more link. `known`: the lease of a worker before us, and since when."""
        if self.endpoint is None:
            self.endpoint = self.worker.bind(CLIENT_PORT, self)
        client = LinkClient(self, interface, leads)
        self.clients.append(client)
        if known is None:
            client.client.start()
        else:
            client.client.resume(*known)

    def remove(self, interface: Any) -> None:
        """End on one link: its address is given back, if we lead."""
        for link in list(self.clients):
            if link.interface is interface:
                link.client.stop()
                self.clients.remove(link)

    def client_of(self, interface: Any) -> DhcpClient | None:
        """The client of a link, if it has one."""
        for link in self.clients:
            if link.interface is interface:
                return link.client
        return None

    def on_datagram(self, endpoint: Endpoint, data: bytes, peer: tuple[str, int]) -> None:
        for link in self.clients:
            # to whom an offer is may be another worker's question: whoever asked knows its number
            ours = link.client.is_for(data)
            link.client.receive(data)
            if ours and peer[1] == SERVER_PORT:
                copy = copied_frame(link.interface.mac, link.interface.vlan, data, peer[0])
                self.worker.tell_others(link.interface.index, copy)

    def on_close(self, endpoint: Endpoint, error: Exception | None) -> None:
        if endpoint is self.endpoint:
            self.endpoint = None

    def lead(self, leads: bool) -> None:
        """Whether this worker speaks for the others now."""
        for link in self.clients:
            link.client.leads = leads

    def name_servers(self) -> list[str]:
        """What the leases named."""
        return [s for link in self.clients if link.lease for s in link.lease.name_servers]

    def close(self) -> None:
        """Give the addresses back, if we lead. Draining has closed the endpoint."""
        if self.endpoint is None:
            self.endpoint = self.worker.bind(CLIENT_PORT, self)
        for link in self.clients:
            link.client.stop()
