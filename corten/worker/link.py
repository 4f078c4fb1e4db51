"""What `--link` says: DRIVER[:NAME],option=value,… as a `Link`; every mistake in one clear line."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from dataclasses import dataclass, field, replace
from typing import Any

from corten.driver.kind import KINDS
from corten.endpoint.error import CortenError
from corten.wire.address import holds_hosts, is_too_wide, parse_network
from corten.worker.wrapping import WRAPPING, check, has_faults

USAGE = (
    "DRIVER[:NAME],address=A.B.C.D/N[,option=value…]; an address may be IPv6: fd00::2/64, "
    "or slaac: IPv6 from what routers advertise, or dhcp: IPv4 from a DHCP server"
)
DRIVERS = (*KINDS, "kernel")
MTU_MIN = 576  # RFC 791: what every IPv4 host takes
MTU_MIN_V6 = 1280  # RFC 8200 5
MTU_MAX = 65521
VLAN_MAX = 4094
WORKERS_MAX = 64  # of one group: a hand-over names those who looked in 64 bits
_NAME_MAX = 15
_MANY = ("address", "host", "gateway", "arp", "neighbour", "prefix")  # options that may be repeated
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


_Own = ipaddress.IPv4Interface | ipaddress.IPv6Interface
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass
class Link:
    """One link as asked for. Empty `cpus` and `workers` 0: the global ones hold."""

    driver: str
    name: str = ""
    addresses: list[str] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)  # all of whose addresses are the stack's
    hosts: list[str] = field(default_factory=list)  # the kernel's addresses on the other side
    mtu: int = 1500  # 0: the device's own
    gateways: list[str] = field(default_factory=list)  # one of each family at the most
    mac: str = ""  # "": the device's own, or one made from the link's text
    neighbours: dict[str, str] = field(default_factory=dict)
    workers: int = 0
    cpus: list[int] = field(default_factory=list)
    offload: bool = True
    vlan: int = 0  # the tag of its frames (IEEE 802.1Q)
    dhcp: bool = False  # an IPv4 address is leased from a DHCP server (RFC 2131)
    slaac: bool = False  # IPv6 configures itself from router advertisements (RFC 4862)
    stable: str = ""  # the key of its addresses, so that they are the same next time (RFC 7217)
    dad: str = "optimistic"  # whether an IPv6 address waits for nobody else to have it
    acd: bool = False  # whether an IPv4 address does (RFC 5227)
    options: dict[str, Any] = field(default_factory=dict)  # of its driver alone
    wraps: dict[str, Any] = field(default_factory=dict)  # what is laid around its driver
    asks_host: bool = False  # whether host= was said

    @property
    def has_stations(self) -> bool:
        """Whether others share it, and the stack has to find out who has which address."""
        return self.driver != "kernel" and KINDS[self.driver].has_stations

    @property
    def hears_all(self) -> bool:
        """Whether what is for all hosts comes to the stack, not to the kernel alone."""
        return self.has_stations and KINDS[self.driver].hears_all

    @property
    def is_ethernet(self) -> bool:
        """Whether frames have a link header: a TUN's have none."""
        return self.driver == "kernel" or KINDS[self.driver].is_ethernet

    def made_mac(self) -> str:
        """The hardware address of a station whose device has none: the same after a restart, so
        that peers' caches stay right."""
        known = self.addresses[0] if self.addresses else "learnt"
        digest = hashlib.blake2s(f"{self.name} {known}".encode()).digest()
        return ":".join(f"{octet:02x}" for octet in b"\x02" + digest[:5])


def parse_link(text: str) -> Link:
    """A Link from its text. CortenError, one line, for anything that is not right."""
    head, *options = text.split(",")
    driver, colon, name = head.strip().partition(":")
    if driver not in DRIVERS:
        raise _wrong(text, f"no driver {driver!r}: {', '.join(DRIVERS)}; a link is {USAGE}")
    if colon and not name:
        raise _wrong(text, f"a name is missing after {driver}:")
    link = Link(driver, name)
    _check_name(link, text)
    own = KINDS[driver].options if driver != "kernel" else {}
    if driver != "kernel":
        link.mtu = KINDS[driver].mtu
    hosts: list[str] = []
    seen: set[str] = set()
    for option in options:
        key, equals, value = (part.strip() for part in option.partition("="))
        if key not in _OPTIONS and key not in own and key not in WRAPPING:
            known = ", ".join(sorted({*_OPTIONS, *own, *WRAPPING}))
            raise _wrong(text, f"no option {key!r}: {known}")
        if not equals or not value:
            raise _wrong(text, f"{key} needs a value: {key}=…")
        if key in seen and key not in _MANY:
            raise _wrong(text, f"{key} is given twice")
        seen.add(key)
        if driver == "kernel" and key not in ("address", "workers", "cpus"):
            raise _wrong(text, f"a kernel link has no {key}: the kernel's own devices are used")
        if not link.is_ethernet and key in _OF_ETHERNET:
            raise _wrong(text, f"a {driver} link has no {key}: it carries IP packets, no Ethernet")
        if key == "host" and driver != "kernel" and not KINDS[driver].has_host:
            raise _wrong(text, f"a {driver} link has no host: its device is configured elsewhere")
        if key == "host":
            hosts.append(value)
            continue
        try:
            if key in own:
                link.options[key] = own[key](value)
            elif key in WRAPPING:
                link.wraps[key] = WRAPPING[key](value)
            else:
                _OPTIONS[key](link, value)
        except ValueError as error:
            raise _wrong(text, f"{key}={value}: {error}") from None
    _complete(link, hosts, text)
    return link


def parse_cpus(text: str) -> list[int]:
    """`0-3`, `0+2+4`, `0-1+6`: a list of processors ("," too, outside a link)."""
    cpus: list[int] = []
    for part in re.split(r"[+,]", text):
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError("processors are written 0-3 or 0+2+4")
        span = range(int(first), int(last or first) + 1) if dash else [int(first)]
        if not span:
            raise ValueError(f"the range {part} is empty")
        cpus += [cpu for cpu in span if cpu not in cpus]
    return cpus


def _wrong(text: str, why: str) -> CortenError:
    return CortenError(f"link {text!r}: {why}")


def _check_name(link: Link, text: str) -> None:
    if link.name and link.driver == "kernel":
        raise _wrong(text, "a kernel link has no name: give its address only")
    kind = KINDS.get(link.driver)
    if kind is not None and kind.needs_name and not link.name:
        raise _wrong(text, f"which device? write {link.driver}:NAME")
    if kind is not None and kind.is_path:
        return
    if len(link.name) > _NAME_MAX:
        raise _wrong(text, f"the name is longer than {_NAME_MAX} characters")
    if re.search(r"[\s/%]", link.name) or link.name in (".", ".."):
        raise _wrong(text, "a device's name has no space, slash or percent sign")


# -- one function an option -----------------------------------------------------------------


def _address(link: Link, value: str) -> None:
    if value == "dhcp":
        if not link.hears_all or link.dhcp:
            why = "is given twice" if link.dhcp else f"a {link.driver} link hears no DHCP server"
            raise ValueError(why)
        link.dhcp = True
        return
    if value == "slaac":
        if not link.hears_all or link.slaac:
            why = "is given twice" if link.slaac else f"a {link.driver} link hears no routers"
            raise ValueError(why)
        link.slaac = True
        return
    if "/" not in value and link.driver != "kernel":
        raise ValueError("the prefix length is missing: write A.B.C.D/24")
    address = _interface(value)
    if any(ipaddress.ip_interface(other).ip == address.ip for other in link.addresses):
        raise ValueError("is given twice")
    if link.driver != "kernel":
        _check_station(address)
    link.addresses.append(str(address) if "/" in value else str(address.ip))


def _interface(value: str) -> _Own:
    try:
        if "%" not in value:
            return ipaddress.ip_interface(value)
    except ValueError:  # silent: said below, in our own words
        pass
    raise ValueError("is no IP address, written A.B.C.D/N or fd00::2/64")


def _check_station(address: _Own) -> None:
    """RFC 1122 3.2.1.3, RFC 4291 2.5: what one host's own address may be."""
    ip, network = address.ip, address.network
    mapped = isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None
    reserved = ip.version == 4 and ip.is_reserved
    if ip.is_multicast or ip.is_loopback or ip.is_unspecified or reserved or mapped:
        raise ValueError("cannot be one host's address")
    if (
        isinstance(network, ipaddress.IPv4Network)
        and network.prefixlen < 31
        and ip in (network.network_address, network.broadcast_address)
    ):
        raise ValueError(f"is the network's or the broadcast address of {network}")


def _prefix(link: Link, value: str) -> None:
    if not KINDS[link.driver].takes_all:
        raise ValueError(f"a {link.driver} link takes what is for its addresses, one by one")
    try:
        network = ipaddress.ip_network(value)
    except ValueError:
        raise ValueError("is no prefix, written A.B.0.0/16 or fd09::/64") from None
    high, low, prefix_len = parse_network(str(network))
    if is_too_wide(high, low, prefix_len):
        raise ValueError("is wider than one host can have")
    if not holds_hosts(high, low):
        raise ValueError("holds addresses that no host can have")
    if str(network) in link.prefixes:
        raise ValueError("is given twice")
    link.prefixes.append(str(network))


def _number(value: str, low: int, high: int) -> int:
    if not value.isdecimal() or not low <= int(value) <= high:
        raise ValueError(f"a number from {low} to {high} is wanted")
    return int(value)


def _mtu(link: Link, value: str) -> None:
    link.mtu = _number(value, MTU_MIN, MTU_MAX)


def _workers(link: Link, value: str) -> None:
    link.workers = _number(value, 1, WORKERS_MAX)


def _cpus(link: Link, value: str) -> None:
    link.cpus = parse_cpus(value)


def _ip(value: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        if "%" not in value:
            return ipaddress.ip_address(value)
    except ValueError:  # silent: said below, in our own words
        pass
    raise ValueError(f"{value} is no IP address")


def _gateway(link: Link, value: str) -> None:
    address = _ip(value)
    if any(_ip(other).version == address.version for other in link.gateways):
        raise ValueError("is given twice: one of each family is enough")
    link.gateways.append(str(address))


def _unicast_mac(value: str) -> str:
    mac = value.lower().replace("-", ":")
    if not _MAC.fullmatch(mac):
        raise ValueError("is no hardware address, written 02:00:00:00:00:01")
    if int(mac[:2], 16) & 1 or mac == "00:00:00:00:00:00":
        raise ValueError("is no one station's hardware address")
    return mac


def _mac(link: Link, value: str) -> None:
    link.mac = _unicast_mac(value)


def _neighbour(link: Link, value: str) -> None:
    address, equals, mac = value.partition("=")
    if not equals:
        raise ValueError("is written neighbour=IP=MAC")
    ip = str(_ip(address))
    if ip in link.neighbours:
        raise ValueError(f"{ip} is given twice")
    link.neighbours[ip] = _unicast_mac(mac)


def _offload(link: Link, value: str) -> None:
    if value not in ("on", "off"):
        raise ValueError("is on or off")
    link.offload = value == "on"


def _dad(link: Link, value: str) -> None:
    if value not in ("on", "optimistic", "off"):
        raise ValueError("is on, optimistic or off")
    link.dad = value


def _acd(link: Link, value: str) -> None:
    if value not in ("on", "off"):
        raise ValueError("is on or off")
    link.acd = value == "on"


def _stable(link: Link, value: str) -> None:
    link.stable = value


def _vlan(link: Link, value: str) -> None:
    link.vlan = _number(value, 1, VLAN_MAX)


def _host(link: Link, value: str) -> None:
    """Known to the table; `_complete` reads it, when the addresses are known."""


_OPTIONS = {
    "address": _address,
    "prefix": _prefix,
    "host": _host,
    "mtu": _mtu,
    "gateway": _gateway,
    "mac": _mac,
    "neighbour": _neighbour,
    "arp": _neighbour,  # its older name
    "workers": _workers,
    "cpus": _cpus,
    "offload": _offload,
    "vlan": _vlan,
    "dad": _dad,
    "acd": _acd,
    "stable": _stable,
}

_OF_ETHERNET = ("mac", "arp", "neighbour", "vlan", "dad", "acd", "stable")


# -- what follows from the rest -------------------------------------------------------------


def with_address(link: Link, value: str, name: str) -> Link:
    """A running link with one address more, its last. CortenError, one line, if it cannot be."""
    more = replace(link, addresses=list(link.addresses))
    text = f"{name} with {value}"
    try:
        if value in ("dhcp", "slaac"):
            raise ValueError("is asked for when a link is made")
        _address(more, value)
    except ValueError as error:
        raise _wrong(text, f"address={value}: {error}") from None
    check_complete(more, text)
    return more


def check_complete(link: Link, text: str) -> None:
    """What must fit together; CortenError where it does not."""
    own = [ipaddress.ip_interface(address) for address in link.addresses]
    if 0 < link.mtu < MTU_MIN_V6 and (link.slaac or any(address.version == 6 for address in own)):
        raise _wrong(text, f"mtu={link.mtu}: IPv6 needs {MTU_MIN_V6} or more")
    for prefix in link.prefixes:
        _check_prefix(ipaddress.ip_network(prefix), own, text)
    _check_on_link(link, own, text)


def _check_prefix(prefix: _Network, own: list[_Own], text: str) -> None:
    """A prefix of ours lies beside the subnets, which others share, and somebody speaks for it."""
    family = [address for address in own if address.version == prefix.version]
    if not family:
        raise _wrong(text, f"prefix={prefix}: an IPv{prefix.version} address= is needed beside it")
    for address in family:
        if prefix.overlaps(address.network):
            raise _wrong(text, f"prefix={prefix}: overlaps the subnet of address={address}")


def _complete(link: Link, hosts: list[str], text: str) -> None:
    """The defaults that need the whole link, and what must fit together."""
    if not link.addresses and not link.slaac and not link.dhcp:
        raise _wrong(text, "an address is missing: address=A.B.C.D/N, or address=slaac or dhcp")
    if link.stable and not link.slaac:
        raise _wrong(text, "stable= is the key of addresses that address=slaac makes")
    if link.workers and link.cpus and len(link.cpus) < link.workers:
        raise _wrong(text, f"{link.workers} workers but {len(link.cpus)} processors in cpus=")
    if link.driver == "kernel":
        return
    check_complete(link, text)
    own = [ipaddress.ip_interface(address) for address in link.addresses]
    try:
        check(link.wraps)
    except ValueError as error:
        raise _wrong(text, str(error)) from None
    if has_faults(link.wraps):
        link.offload = False  # what is done to a frame is done to one that a wire would carry
    link.asks_host = bool(hosts)
    link.hosts = _hosts(link, own, hosts, text)
    for host in link.hosts:
        for prefix in link.prefixes:
            if ipaddress.ip_interface(host).ip in ipaddress.ip_network(prefix):
                raise _wrong(
                    text, f"host={host}: lies in prefix={prefix}, which is all the stack's"
                )


def _hosts(link: Link, own: list[_Own], given: list[str], text: str) -> list[str]:
    """The kernel's side: none, those given, or in each family the first other address of the first
    subnet."""
    if given == ["none"] or not KINDS[link.driver].has_host or (not given and link.vlan):
        return []  # the device itself is in no VLAN: a host's address on it would reach nobody
    found: list[_Own] = []
    for value in given:
        try:
            address = _given_host(value, own)
        except ValueError as error:
            raise _wrong(text, f"host={value}: {error}") from None
        if any(other.version == address.version for other in found):
            raise _wrong(text, f"host={value} is given twice: one of each family is enough")
        found.append(address)
    if not given:
        found = _default_hosts(own, text)
    return [str(address) for address in found]


def _given_host(value: str, own: list[_Own]) -> _Own:
    if value == "none":
        raise ValueError("is given twice: none says it all")
    if "/" in value:
        address = _interface(value)
    else:
        ip = _ip(value)
        prefix = next((o.network.prefixlen for o in own if o.version == ip.version), None)
        if prefix is None:
            raise ValueError(f"the link has no IPv{ip.version} address")
        address = ipaddress.ip_interface(f"{ip}/{prefix}")
    _check_station(address)
    if any(address.ip == other.ip for other in own):
        raise ValueError("is the stack's own address; the host needs another")
    return address


def _default_hosts(own: list[_Own], text: str) -> list[_Own]:
    """Of each family one; the kernel has a link-local address on every device by itself."""
    ours = {address.ip for address in own}
    found: list[_Own] = []
    for version in (4, 6):
        subnets = [a.network for a in own if a.version == version and not a.ip.is_link_local]
        if not subnets:
            continue
        free = next((ip for ip in subnets[0].hosts() if ip not in ours), None)
        if free is None:
            raise _wrong(
                text,
                f"no address is left in {subnets[0]} for the host: use a wider subnet, "
                "or host=none",
            )
        found.append(ipaddress.ip_interface(f"{free}/{subnets[0].prefixlen}"))
    return found


def _check_on_link(link: Link, own: list[_Own], text: str) -> None:
    """Gateways and static neighbours must be reachable without a router, and not be us."""
    whom = [("gateway", ip) for ip in link.gateways] + [("neighbour", ip) for ip in link.neighbours]
    for what, value in whom:
        address = _ip(value)
        if any(address == other.ip for other in own):
            raise _wrong(text, f"{what}={value} is the stack's own address")
        reaches_all = address.version == 6 and address.is_link_local
        if not any(
            address.version == other.version and (reaches_all or address in other.network)
            for other in own
        ):
            raise _wrong(text, f"{what}={value} is in none of the link's subnets")
