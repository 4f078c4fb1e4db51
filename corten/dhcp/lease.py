"""What a DHCP server gave us, checked: an address that a host can have, times that make sense."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from corten.wire.address import is_host_v4
from corten.wire.dhcp import (
    CLASSLESS_ROUTES,
    INTERFACE_MTU,
    LEASE_TIME,
    NAME_SERVERS,
    ROUTER,
    SERVER_ID,
    SUBNET_MASK,
    T1,
    T2,
    DhcpMessage,
    parse_classless_routes,
)

FOREVER_S = 0xFFFF_FFFF  # RFC 2131 3.3
LEASE_MIN_S = 10
ROUTES_MAX = 32
SERVERS_MAX = 8
MTU_MIN = 576


@dataclass(frozen=True, slots=True)
class Lease:
    """Addresses as text; times are seconds from its beginning, `expires_s` inf for ever."""

    address: str
    prefix_len: int
    server: str
    gateway: str | None
    routes: tuple[tuple[str, str], ...]  # ("10.1.0.0/16", gateway); instead of `gateway` (RFC 3442)
    name_servers: tuple[str, ...]
    mtu: int  # 0: not said
    renew_s: float
    rebind_s: float
    expires_s: float

    @property
    def network(self) -> str:
        """The address with its prefix length."""
        return f"{self.address}/{self.prefix_len}"


def lease_of(reply: DhcpMessage) -> Lease | None:
    """The lease of an ACK or OFFER; None when it cannot be taken."""
    mask = reply.address(SUBNET_MASK)
    prefix_len = mask.bit_count()
    if mask and mask != (0xFFFF_FFFF << (32 - prefix_len)) & 0xFFFF_FFFF:
        return None  # not contiguous
    prefix_len = prefix_len if mask else _classful(reply.yiaddr)
    duration = reply.seconds(LEASE_TIME)
    server = reply.address(SERVER_ID)
    if not _is_usable(reply.yiaddr, prefix_len) or duration < LEASE_MIN_S or not is_host_v4(server):
        return None
    expires = float("inf") if duration == FOREVER_S else float(duration)
    renew, rebind = _times(reply, expires)
    routes = parse_classless_routes(reply.options.get(CLASSLESS_ROUTES, b"")) or []
    gateway = _gateway(reply)
    for network, length, router in routes:
        if (network, length) == (0, 0):
            gateway = _text(router)
    return Lease(
        _text(reply.yiaddr),
        prefix_len,
        _text(server),
        gateway if not routes or any(r[:2] == (0, 0) for r in routes) else None,
        tuple((f"{_text(n)}/{p}", _text(g)) for n, p, g in routes[:ROUTES_MAX] if (n, p) != (0, 0)),
        tuple(_text(a) for a in reply.addresses(NAME_SERVERS)[:SERVERS_MAX] if is_host_v4(a)),
        _mtu(reply),
        renew,
        rebind,
        expires,
    )


def _text(address: int) -> str:
    return str(IPv4Address(address))


def _is_usable(address: int, prefix_len: int) -> bool:
    """A unicast host address that is not its subnet's own or broadcast address."""
    if not is_host_v4(address) or prefix_len == 0:
        return False
    host_bits = (1 << (32 - prefix_len)) - 1
    return prefix_len >= 31 or address & host_bits not in (0, host_bits)


def _classful(address: int) -> int:
    """What the prefix was before masks were sent (RFC 950)."""
    return 8 if address >> 31 == 0 else 16 if address >> 30 == 2 else 24


def _gateway(reply: DhcpMessage) -> str | None:
    routers = [a for a in reply.addresses(ROUTER) if is_host_v4(a) and a != reply.yiaddr]
    return _text(routers[0]) if routers else None


def _mtu(reply: DhcpMessage) -> int:
    found = int.from_bytes(reply.options.get(INTERFACE_MTU, b"")[:2], "big")
    return found if found >= MTU_MIN else 0


def _times(reply: DhcpMessage, expires: float) -> tuple[float, float]:
    """T1 and T2 (RFC 2131 4.4.5): half and seven eighths, unless the server's are in order."""
    renew, rebind = float(reply.seconds(T1)), float(reply.seconds(T2))
    if 0 < renew < rebind < expires:
        return renew, rebind
    if expires == float("inf"):
        return expires, expires
    return expires / 2, expires * 7 / 8
