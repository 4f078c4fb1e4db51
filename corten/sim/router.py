"""A router of a simulated network: it passes packets on between its links. `Net.router` makes one.

Strategy. It is no stack. What it knows comes from the network's builder: for each address of the
network the link to send on and the station to send to (`Net` computes shortest ways). It answers
for its own addresses (ARP, neighbour solicitations) and reports what it cannot pass on by ICMP.

Rules. It takes no time and has no queue of its own: delay, rate and queue are the links'. IPv4
packets that may be fragmented are, where the next link is narrower (RFC 791 3.2); all others that
are too big come back as ICMP errors (RFC 1191, RFC 8201).
"""

from __future__ import annotations

import struct
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from corten.sim.addresses import Given
from corten.sim.advertiser import advertisement
from corten.sim.icmp_error import (
    ADDRESS,
    ETHERNET_LEN,
    IPV4_LEN,
    IPV6_LEN,
    V6_ADDRESS,
    no_route,
    too_big,
    too_old,
)
from corten.sim.packet import checksum

if TYPE_CHECKING:
    from corten.sim.link import Link
    from corten.sim.network import Network

ARP, IPV4, IPV6 = b"\x08\x06", b"\x08\x00", b"\x86\xdd"
SOLICITATION = 135
_DONT_FRAGMENT, _MORE, _OFFSET = 0x4000, 0x2000, 0x1FFF


class RouterPort:
    """Where a router is attached to a link."""

    def __init__(self, router: Router, link: Link, addresses: list[Given], mtu: int) -> None:
        self.host = router
        self.link = link
        self.mtu = mtu
        self.mac_octets = bytes.fromhex(router.network.next_mac().replace(":", ""))
        self.name = router.name if not router.ports else f"{router.name}.{len(router.ports)}"
        self.addresses = addresses
        self.packed = {each.ip.packed for each in addresses}
        self.v4 = next((each.ip.packed for each in addresses if each.version == 4), ADDRESS)
        self.v6 = next((each.ip.packed for each in addresses if each.version == 6), V6_ADDRESS)


Way = tuple[RouterPort, bytes]  # the port to send on, and the station to send to


class Router:
    """Ports, and the table of ways."""

    is_router = True

    def __init__(self, network: Network, name: str) -> None:
        self.network = network
        self.name = name
        self.ports: list[RouterPort] = []
        self.ways: dict[bytes, Way] = {}
        self.given: list[Given] = []
        self.addresses: list[str] = []

    def attach(
        self, link: Any, addresses: list[Given], mtu: int, gateways: list[str]
    ) -> RouterPort:
        """A port on a link, with these addresses. `gateways`: it needs none."""
        port = RouterPort(self, link, addresses, mtu)
        self.ports.append(port)
        link.attach(port)
        return port

    def arrive(self, now: int, port: RouterPort, frame: bytes, intact: bool) -> None:
        """A frame has reached a port."""
        kind = frame[12:14]
        if kind == ARP:
            self._answer_arp(now, port, frame)
        elif kind == IPV6 and frame[0] & 1:
            self._answer_solicitation(now, port, frame)
        elif frame[:6] == port.mac_octets and kind in (IPV4, IPV6):
            packet = frame[ETHERNET_LEN:]
            if kind == IPV4 and checksum(packet[: (packet[0] & 15) * 4]):
                return  # a damaged header: a router sees that, and nothing more
            self._pass_on(now, port, frame, packet, kind)

    def _pass_on(
        self, now: int, port: RouterPort, frame: bytes, packet: bytes, kind: bytes
    ) -> None:
        is_v4 = kind == IPV4
        target = packet[16:20] if is_v4 else packet[24:40]
        if target in port.packed:
            if not is_v4:
                self._answer_solicitation(now, port, frame)
            return
        way = self.ways.get(target)
        if way is None:
            self._say(now, port, no_route(frame, port.v4, port.v6))
            return
        if packet[8 if is_v4 else 7] <= 1:
            self._say(now, port, too_old(frame, port.v4, port.v6))
            return
        out, station = way
        parts = [packet]
        if len(packet) > out.mtu:
            parts = fragments(packet, out.mtu) if is_v4 else []
            if not parts:
                self._say(now, port, too_big(frame, out.mtu, port.v4, port.v6))
        for part in parts:
            aged = _aged(part, is_v4)
            out.link.send(now, out, station + out.mac_octets + kind + aged)  # type: ignore[arg-type]  # a port as far as a link needs one

    def _say(self, now: int, port: RouterPort, answer: bytes | None) -> None:
        if answer is not None:
            port.link.send(now, port, answer)  # type: ignore[arg-type]  # as above

    def _answer_arp(self, now: int, port: RouterPort, frame: bytes) -> None:
        """RFC 826: a request for an address of this port."""
        body = frame[ETHERNET_LEN:]
        if len(body) < 28 or body[6:8] != b"\x00\x01" or body[24:28] not in port.packed:
            return
        asker = body[8:18]
        reply = body[:6] + b"\x00\x02" + port.mac_octets + body[24:28] + asker
        self._say(now, port, asker[:6] + port.mac_octets + ARP + reply)

    def _answer_solicitation(self, now: int, port: RouterPort, frame: bytes) -> None:
        """RFC 4861 7.2.4: a solicitation for an address of this port."""
        packet = frame[ETHERNET_LEN:]
        is_asked = packet[6] == 58 and packet[IPV6_LEN] == SOLICITATION
        if is_asked and packet[48:64] in port.packed and any(packet[8:24]):
            target = ip_address(packet[48:64])
            self._say(now, port, advertisement(port.mac_octets, target.packed, frame))


def _aged(packet: bytes, is_v4: bool) -> bytes:
    """The same, one hop older."""
    if not is_v4:
        return packet[:7] + bytes([packet[7] - 1]) + packet[8:]
    size = (packet[0] & 15) * 4
    header = bytearray(packet[:size])
    header[8] -= 1
    header[10:12] = b"\0\0"
    header[10:12] = checksum(bytes(header)).to_bytes(2, "big")
    return bytes(header) + packet[size:]


def fragments(packet: bytes, mtu: int) -> list[bytes]:
    """The pieces of an IPv4 packet (RFC 791 3.2); none when it may not be cut. Options are copied
    to each."""
    size = (packet[0] & 15) * 4
    (word,) = struct.unpack_from("!H", packet, 6)
    if word & _DONT_FRAGMENT:
        return []
    body = packet[size:]
    step = (mtu - size) // 8 * 8
    found = []
    for at in range(0, len(body), step):
        part = body[at : at + step]
        more = _MORE if at + step < len(body) else word & _MORE
        header = bytearray(packet[:size])
        struct.pack_into("!H", header, 2, size + len(part))
        struct.pack_into("!H", header, 6, more | ((word & _OFFSET) + at // 8))
        header[10:12] = b"\0\0"
        header[10:12] = checksum(bytes(header)).to_bytes(2, "big")
        found.append(bytes(header) + part)
    return found


__all__ = ["IPV4_LEN", "Router", "RouterPort", "Way", "fragments"]
