"""A link of the stack: its addresses, its neighbours, and the frames that leave on it."""

from __future__ import annotations

from typing import Any

import cython
from cython.cimports.corten.core.arena import Arena
from cython.cimports.corten.core.chance import Chance
from cython.cimports.corten.core.clock import NEVER
from cython.cimports.corten.core.counter import Counters
from cython.cimports.corten.core.frame import TransmitBatch
from cython.cimports.corten.core.limit import LINK_GROUPS_HIGH, NODE_GROUPS_HIGH, U32, V4_ALL_ONES
from cython.cimports.corten.ip.first_hop import FirstHops
from cython.cimports.corten.ip.membership import Membership
from cython.cimports.corten.ip.neighbour import Neighbour
from cython.cimports.corten.ip.neighbour_table import NeighbourTable
from cython.cimports.corten.ip.probation import Claim, Duplicates
from cython.cimports.corten.ip.steering import Steering
from cython.cimports.corten.wire.address_field import in_prefix, is_link_local_v6, is_v4
from cython.cimports.corten.wire.ethernet import ETHERNET_LEN, emit_ethernet
from cython.cimports.corten.wire.ipv6 import IPV6_MTU_MIN, is_source_v6
from cython.cimports.corten.wire.vlan import VID_MAX, VLAN_LEN, emit_vlan

from corten.endpoint.error import CortenError
from corten.wire.address import (
    format_address,
    holds_hosts,
    is_too_wide,
    parse_address,
    parse_mac,
    parse_network,
)

if not cython.compiled:
    HOP_LIMIT = 64  # RFC 1700, until a router says another (RFC 4861 6.3.2)
    ALL_NODES_LOW = 1
    SOLICITED_NODE = 0x1FF  # ff02::1:ffXX:XXXX: the low half without its last 24 bits


@cython.final
@cython.cclass
class Address:
    """One of our own addresses, with its subnet."""

    high: cython.ulonglong
    low: cython.ulonglong
    prefix_len: cython.int  # of 128
    broadcast: cython.ulonglong  # low half of the subnet's broadcast address; 0: it has none
    network: cython.ulonglong  # low half of the subnet's own address
    deprecated: cython.bint  # writable; not for new connections, if there is a better (RFC 4862)
    temporary: cython.bint  # writable; to be preferred as a source (RFC 8981)
    is_auto: cython.bint  # made from a router's prefix, which alone says what is on-link (RFC 5942)
    preferred_until: cython.longlong
    valid_until: cython.longlong
    octets: bytes  # as on the wire, of IPv6
    trial: Duplicates | None  # is it somebody else's? In use meanwhile if it is among `addresses`
    claim: Claim | None  # our claim to it, of IPv4

    def __init__(self, text: str) -> None:
        high, low, prefix_len = parse_network(text)
        self.high = high
        self.low = low
        self.prefix_len = prefix_len
        self.broadcast = 0
        self.network = 0
        self.deprecated = False
        self.temporary = False
        self.is_auto = False
        self.preferred_until = self.valid_until = NEVER
        self.octets = ((high << 64) | low).to_bytes(16, "big")
        self.trial = None
        self.claim = None
        if prefix_len >= 96 and high == 0 and prefix_len < 127:
            host_bits = (1 << (128 - prefix_len)) - 1
            self.broadcast = low | host_bits
            self.network = low & ~host_bits

    def text(self) -> str:
        """As one writes it, without the prefix length."""
        return format_address(self.high, self.low)

    @cython.ccall
    def contains(self, high: cython.ulonglong, low: cython.ulonglong) -> cython.bint:
        """Whether an address lies in this subnet."""
        return in_prefix(high, low, self.high, self.low, self.prefix_len)


@cython.final
@cython.cclass
class Interface:
    """One link. `outgoing` holds the frames to send; its owner flushes and clears it."""

    name: str
    index: cython.int
    mac: cython.ulonglong
    link_len: cython.Py_ssize_t  # of the link's header: 14 for Ethernet, 18 tagged, 0 for bare IP
    vlan: cython.uint  # its frames carry this tag; 0: none
    mtu: cython.uint
    offload_checksum: cython.bint  # the link completes checksums
    offload_segmentation: cython.bint  # the link cuts super-segments
    is_leader: cython.bint  # of the workers of this link: announces, answers broadcasts
    is_loopback: cython.bint  # what is sent on it comes back: see stack/loopback
    outgoing: TransmitBatch
    neighbours: NeighbourTable
    counters: Counters
    addresses: list  # of Address
    prefixes: list  # of Address: all that each subnet holds is ours, beside `addresses`
    gateways: list  # (high, low) of each default router set by hand
    tentative: list  # of Address that may not be used yet
    gained: list  # of Address in use since the stack last looked
    lost: list  # of (Address, why) that are ours no more, until the stack has told connections
    groups: Membership
    slaac: Any  # the Slaac of a link that configures itself; None
    name_servers: list  # (high, low) of those that routers have told (RFC 8106)
    search_names: list
    hop_limit: cython.uint  # of IPv6 packets
    mtu_v6: cython.uint
    chance: Chance
    hops: FirstHops  # what routers have told
    routes: Any  # the RouteTable that the link is in
    asking: list  # of Neighbour with a timer
    failed: list  # of Neighbour that did not answer, and somebody wants to hear of it
    due_at: cython.longlong  # when something of this link is due
    timer: cython.int  # of the stack's wheel …
    armed_at: cython.longlong  # … and for when it is set
    other_end: Neighbour | None  # of a link without Ethernet: everybody's next hop
    steering: Steering  # writable; which worker's queue what arrives comes out of

    def __init__(
        self,
        name: str,
        index: int,
        mac: str,
        addresses: list[str],
        counters: Counters,
        mtu: int = 1500,
        gateway: str | list[str] | None = None,
        chance: Chance | None = None,
    ) -> None:
        if not 68 <= mtu <= 65535:
            raise CortenError(f"mtu={mtu}: must be between 68 and 65535")
        self.name = name
        self.index = index
        self.mac = parse_mac(mac)
        self.link_len = ETHERNET_LEN
        self.vlan = 0
        self.mtu = mtu
        self.offload_checksum = False
        self.offload_segmentation = False
        self.is_leader = True
        self.is_loopback = False
        self.outgoing = TransmitBatch()
        self.counters = counters
        self.chance = chance or Chance(self.mac)
        self.neighbours = NeighbourTable(counters, self.chance)
        self.tentative = []
        self.gained = []
        self.lost = []
        self.groups = Membership(self.chance)
        self.slaac = None
        self.name_servers = []
        self.search_names = []
        self.hop_limit = HOP_LIMIT
        self.mtu_v6 = mtu
        self.prefixes = []
        self.addresses = [self.parse_own(text) for text in addresses]
        self.hops = FirstHops(self.neighbours, counters)
        self.routes = None
        self.asking = []
        self.failed = []
        self.due_at = NEVER
        self.timer = -1
        self.armed_at = NEVER
        self.other_end = None
        self.steering = Steering()
        self.gateways = []
        for text in [gateway] if isinstance(gateway, str) else gateway or []:
            self._add_gateway(text)

    def _add_gateway(self, text: str) -> None:
        """A default router, of the family of its address; an IPv6 one may be link-local."""
        try:
            high, low = parse_address(text)
        except ValueError as error:
            raise CortenError(f"gateway={text}: {error}") from None
        if not self.on_link(high, low):
            raise CortenError(f"gateway={text}: not in a subnet of link {self.name}")
        self.gateways.append((high, low))

    def parse_own(self, text: str) -> Address:
        """An address for this link, with its prefix length. CortenError for what cannot be."""
        try:
            address = Address(text)
        except ValueError as error:
            raise CortenError(f"address={text}: {error}") from None
        prefix: Address
        for prefix in self.prefixes:
            if _overlap(address, prefix):
                raise CortenError(f"address={text}: its subnet overlaps a prefix= of this link")
        if is_v4(address.high, address.low):
            return address
        if self.mtu < IPV6_MTU_MIN:
            raise CortenError(f"address={text}: IPv6 needs mtu={IPV6_MTU_MIN} or more")
        if not is_source_v6(address.high, address.low) or address.high == address.low == 0:
            raise CortenError(f"address={text}: not an address that a host can have")
        return address

    def parse_prefix(self, text: str) -> Address:
        """A prefix ("10.9.0.0/16") that is to be ours as a whole. CortenError for what cannot be.

        It must lie beside the link's subnets: others have addresses there. And the link needs an
        address of its own in the family: neighbours are asked from it. Link-local addresses, groups
        and the loopback's cannot be had by the prefix.
        """
        try:
            prefix = Address(text)
        except ValueError as error:
            raise CortenError(f"prefix={text}: {error}") from None
        v4: cython.bint = is_v4(prefix.high, prefix.low)
        if is_too_wide(prefix.high, prefix.low, prefix.prefix_len):
            raise CortenError(f"prefix={text}: wider than one host can have")
        whole: Any = int.from_bytes(prefix.octets, "big")
        beyond: Any = 128 - prefix.prefix_len  # no C number: it shifts by more than 63 bits
        if whole >> beyond << beyond != whole:
            raise CortenError(f"prefix={text}: there are bits behind its length")
        if not holds_hosts(prefix.high, prefix.low):
            raise CortenError(f"prefix={text}: has no addresses that a host can have")
        has_own: bool = False
        address: Address
        for address in self.addresses + self.tentative:
            if _overlap(address, prefix):
                raise CortenError(f"prefix={text}: overlaps {address.text()}'s subnet of the link")
            has_own = has_own or is_v4(address.high, address.low) == v4
        if not has_own:
            family = "IPv4" if v4 else "IPv6"
            raise CortenError(f"prefix={text}: give the link an {family} address of its own too")
        return prefix

    def add_static(self, address: str, mac: str) -> None:
        """A station set by hand. CortenError for what cannot be."""
        try:
            high, low = parse_address(address)
            station = parse_mac(mac)
        except ValueError as error:
            raise CortenError(f"neighbour={address}={mac}: {error}") from None
        entry: Neighbour = self.neighbours.obtain(high, low, 0)
        entry.make_static(station)

    @cython.ccall
    def has_v6(self) -> cython.bint:
        """Whether IPv6 is spoken here: an address of it is ours, or may be."""
        if self.slaac is not None:
            return True
        address: Address
        for address in self.addresses:
            if not is_v4(address.high, address.low):
                return True
        return False

    def set_offload(self, checksum: bool, segmentation: bool) -> None:
        """What the link does for us; segmentation needs the checksum too."""
        self.offload_checksum = checksum
        self.offload_segmentation = segmentation and checksum

    @property
    def unresolved(self) -> list[Neighbour]:
        """Who is being asked for, with packets waiting."""
        return [entry for entry in self.asking if entry.waiting is not None]

    @cython.cfunc
    def readdressed(self) -> cython.void:
        """An address, a prefix or a redirect came or went: paths are made anew."""
        if self.routes is not None:
            self.routes.changed()

    @cython.cfunc
    @cython.exceptval(check=False)
    def wake(self, at: cython.longlong) -> cython.void:
        """Something of this link is due at `at`."""
        self.due_at = min(self.due_at, at)

    def set_vlan(self, vlan: int) -> None:
        """Tag what leaves, and take nothing else (IEEE 802.1Q)."""
        if not 1 <= vlan <= VID_MAX:
            raise CortenError(f"vlan={vlan}: must be between 1 and {VID_MAX}")
        self.vlan = vlan
        self.link_len = VLAN_LEN

    def set_bare(self) -> None:
        """The link carries IP packets and no Ethernet: there is one station, the other end."""
        self.link_len = 0
        self.mac = 0
        other_end: Neighbour = self.neighbours.obtain(0, 0, 0)
        other_end.make_static(1)  # any address but none: it is never written
        self.other_end = other_end

    @cython.cfunc
    def emit_link(
        self,
        arena: Arena,
        at: cython.Py_ssize_t,
        to: cython.ulonglong,
        ethertype: cython.uint,
    ) -> cython.Py_ssize_t:
        """Write the header of a frame to station `to`; its length, `link_len`."""
        if self.link_len == 0:
            return 0
        if self.vlan != 0:
            return emit_vlan(arena, at, to, self.mac, self.vlan, ethertype)
        return emit_ethernet(arena, at, to, self.mac, ethertype)

    @cython.ccall
    def own(self, high: cython.ulonglong, low: cython.ulonglong) -> Address | None:
        """Our address with these halves, if it is one of this link's."""
        address: Address
        for address in self.addresses:
            if address.low == low and address.high == high:
                return address
        return None

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def owns(self, high: cython.ulonglong, low: cython.ulonglong) -> cython.bint:
        """Whether the address is one of ours on this link."""
        address: Address
        for address in self.addresses:
            if address.low == low and address.high == high:
                return True
        return len(self.prefixes) != 0 and self.holds(high, low)

    @cython.ccall
    def holds(self, high: cython.ulonglong, low: cython.ulonglong) -> cython.bint:
        """Whether the address is ours because its whole prefix is."""
        prefix: Address
        for prefix in self.prefixes:
            if prefix.contains(high, low):
                return True
        return False

    @cython.cfunc
    def listens(self, high: cython.ulonglong, low: cython.ulonglong) -> cython.bint:
        """Whether an IPv6 group is one that this link listens to: all nodes, and the solicited-node
        group of each own address (RFC 4291 2.8), which a prefix has all of."""
        if high != LINK_GROUPS_HIGH:
            return high == NODE_GROUPS_HIGH and low == ALL_NODES_LOW
        if low == ALL_NODES_LOW:
            return True
        if low >> 24 != SOLICITED_NODE:
            return False
        address: Address
        for address in self.addresses:
            if (address.low ^ low) & 0xFF_FFFF == 0 and not is_v4(address.high, address.low):
                return True
        for address in self.prefixes:
            if not is_v4(address.high, address.low):
                return True
        return self.groups.listens(low)

    @cython.cfunc
    @cython.exceptval(-1, check=True)
    def is_broadcast(self, low: cython.ulonglong) -> cython.bint:
        """Whether an IPv4 address (low half) is a broadcast on this link (RFC 1122 3.2.1.3)."""
        v4: cython.uint = cython.cast(cython.uint, low & U32)
        if v4 == V4_ALL_ONES:
            return True
        address: Address
        for address in self.addresses:
            if address.broadcast != 0 and low in (address.broadcast, address.network):
                return True
        return False

    @cython.ccall
    def on_link(self, high: cython.ulonglong, low: cython.ulonglong) -> cython.bint:
        """Whether the address is in one of this link's subnets."""
        address: Address
        for address in self.addresses:
            if address.contains(high, low) and not address.is_auto:
                return True
        if self.hops.on_link(high, low):
            return True
        return is_link_local_v6(high) and self.has_v6()


def _overlap(one: Address, other: Address) -> bool:
    """Whether two networks have an address in common: then one holds the other."""
    return one.contains(other.high, other.low) or other.contains(one.high, one.low)
