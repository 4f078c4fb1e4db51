"""Which addresses the ends of a link get: those given for the hosts, and free ones beside them.

Rules. A link is one subnet of each family it has. An address that was given fixes the subnet: /24
and /64 where no prefix length is said. Where neither end was given one the link gets the next free
10.0.N.0/24, and with `ipv6` the next free fd00:0:0:N::/64. Hosts count from the front of a subnet,
routers from its back.
"""

from __future__ import annotations

from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network, ip_interface

from corten.endpoint.error import CortenError

Given = IPv4Interface | IPv6Interface
Subnet = IPv4Network | IPv6Network

PREFIX_LEN = {4: 24, 6: 64}
SUBNETS_MAX = 256
ROUTER = 254  # the last number of a subnet's hosts, whatever its size


def parse(text: str) -> Given:
    """An address with or without its prefix length. CortenError when it is none."""
    try:
        found = ip_interface(text)
        if "/" not in text:
            found = ip_interface(f"{text}/{PREFIX_LEN[found.version]}")
    except ValueError:
        raise CortenError(
            f"{text!r} is no address: write 10.0.0.1, 10.0.0.1/24 or fd00::1"
        ) from None
    return found


class Addresses:
    """The subnets and addresses of one network."""

    def __init__(self, ipv6: bool) -> None:
        self.ipv6 = ipv6
        self.subnets: list[Subnet] = []
        self._used: set[str] = set()

    def reserve(self, given: Given) -> None:
        """Somebody has this address. CortenError when another has it."""
        if str(given.ip) in self._used:
            raise CortenError(f"{given.ip} is another host's address: choose a free one")
        self._used.add(str(given.ip))

    def join(self, ends: list[tuple[list[Given], bool]]) -> tuple[list[list[Given]], list[Subnet]]:
        """The addresses of each end, and the subnets, of a new link; `ends`: what was given for it,
        and whether it is a router."""
        versions = {each.version for given, _ in ends for each in given}
        if not versions or self.ipv6:
            versions |= {4, 6} if self.ipv6 else {4}
        found: list[list[Given]] = [[] for _ in ends]
        subnets: list[Subnet] = []
        for version in sorted(versions):
            fixed = [each for given, _ in ends for each in given if each.version == version]
            subnet = fixed[0].network if fixed else self._fresh(version)
            for place, (given, is_router) in zip(found, ends, strict=True):
                own = [each for each in given if each.version == version]
                place.extend(own or [self._free(subnet, is_router)])
            subnets.append(subnet)
        self.subnets += subnets
        return found, subnets

    def _fresh(self, version: int) -> Subnet:
        for number in range(SUBNETS_MAX):
            subnet: Subnet = (
                IPv4Network(f"10.0.{number}.0/24")
                if version == 4
                else IPv6Network(f"fd00:0:0:{number:x}::/64")
            )
            taken = [each for each in self.subnets if each.version == version]
            if not any(subnet.overlaps(each) for each in taken):
                return subnet
        raise CortenError(f"more than {SUBNETS_MAX} links: give the hosts addresses of their own")

    def _free(self, subnet: Subnet, is_router: bool) -> Given:
        last = min(ROUTER, subnet.num_addresses - 2)
        numbers = range(last, 0, -1) if is_router else range(1, last + 1)
        for number in numbers:
            candidate = ip_interface(f"{subnet.network_address + number}/{subnet.prefixlen}")
            if str(candidate.ip) not in self._used:
                self.reserve(candidate)
                return candidate
        raise CortenError(f"{subnet} is full: give a larger subnet, such as 10.0.0.1/16")
