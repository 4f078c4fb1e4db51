"""A router of a simulated network as a host sees one: it advertises, and answers for itself.

    router = Advertiser(network, wire, prefixes=["2001:db8:1::/64"], lifetime=1800)
    router.dies()

Rules. It is no stack: it makes its frames by hand, so that a host's neighbour discovery is not
judged by itself. It forwards nothing; what it was given to forward lies in `passed`.
"""

from __future__ import annotations

import ipaddress
import struct
from typing import TYPE_CHECKING, Any

from corten.core.arena import checksum_of

if TYPE_CHECKING:
    from corten.sim.link import Link
    from corten.sim.network import Network

ALL_NODES = ipaddress.IPv6Address("ff02::1")
ALL_NODES_MAC = bytes.fromhex("333300000001")
SOLICITATION, ROUTER_SOLICITATION = 135, 133
SECOND = 1_000_000_000


class Advertiser:
    """Attached to a link as a port of its own, beside the hosts'."""

    def __init__(
        self,
        network: Network,
        link: Link,
        address: str = "fe80::1",
        prefixes: tuple[str, ...] = (),
        lifetime: int = 1800,
        interval: float = 200.0,
        preference: int = 0,
    ) -> None:
        """`lifetime` and `interval` in seconds; `preference` 1, 0 or -1 (RFC 4191)."""
        self.network = network
        self.link = link
        self.name = address
        self.address = ipaddress.IPv6Address(address)
        self.mac_octets = bytes.fromhex(network.next_mac().replace(":", ""))
        self.prefixes = [ipaddress.IPv6Network(prefix) for prefix in prefixes]
        self.lifetime = lifetime
        self.interval = interval
        self.preference = preference
        self.is_up = True
        self.passed: list[bytes] = []
        link.attach(self)  # type: ignore[arg-type]  # a port as far as a link needs one
        network.at(network.now, self._advertise_on)

    @property
    def host(self) -> Any:
        """Who hears what arrives at this port."""
        return self

    def dies(self) -> None:
        """It says nothing from now on."""
        self.is_up = False

    def arrive(self, now: int, port: object, frame: bytes, intact: bool) -> None:
        """Answer for our address, and routers' questions; count what is to be forwarded."""
        if not self.is_up or len(frame) < 54 or frame[12:14] != b"\x86\xdd":
            return
        kind = frame[54] if frame[20] == 58 and len(frame) > 54 else 0
        if kind == ROUTER_SOLICITATION:
            self.advertise(now)
        elif kind == SOLICITATION and frame[62:78] == self.address.packed:
            self._answer(now, frame)
        elif frame[:6] == self.mac_octets and kind != 136:
            self.passed.append(frame)

    def advertise(self, now: int) -> None:
        """A router advertisement to everybody (RFC 4861 4.2)."""
        flags = (self.preference & 3) << 3
        message = struct.pack("!BBHBBHII", 134, 0, 0, 64, flags, self.lifetime, 0, 0)
        message += b"\x01\x01" + self.mac_octets
        for prefix in self.prefixes:
            head = struct.pack("!BBBBIII", 3, 4, prefix.prefixlen, 0xC0, 86400, 14400, 0)
            message += head + prefix.network_address.packed
        self._send(now, ALL_NODES_MAC, ALL_NODES, message)

    def _advertise_on(self, now: int) -> None:
        if self.is_up:
            self.advertise(now)
            self.network.at(now + int(self.interval * SECOND), self._advertise_on)

    def _answer(self, now: int, frame: bytes) -> None:
        answer = advertisement(self.mac_octets, self.address.packed, frame)
        self.link.send(now, self, answer)  # type: ignore[arg-type]  # as above

    def _send(self, now: int, station: bytes, to: ipaddress.IPv6Address, message: bytes) -> None:
        frame = _icmpv6(station, self.mac_octets, self.address.packed, to.packed, message)
        self.link.send(now, self, frame)  # type: ignore[arg-type]  # as above


def advertisement(mac: bytes, address: bytes, asked: bytes) -> bytes:
    """The answer to the solicitation in the frame `asked`: a neighbour advertisement that says
    router, asked for, override (RFC 4861 4.4)."""
    message = struct.pack("!BBHI", 136, 0, 0, 0xE000_0000) + address + b"\x02\x01" + mac
    return _icmpv6(asked[6:12], mac, address, asked[22:38], message)


def _icmpv6(station: bytes, mac: bytes, source: bytes, target: bytes, message: bytes) -> bytes:
    """A frame with an ICMPv6 message whose checksum is not filled in yet."""
    pseudo = source + target + struct.pack("!II", len(message), 58)
    sealed = bytearray(message)
    sealed[2:4] = checksum_of(pseudo + message).to_bytes(2, "big")
    head = struct.pack("!IHBB", 6 << 28, len(message), 58, 255)
    return station + mac + b"\x86\xdd" + head + source + target + bytes(sealed)
