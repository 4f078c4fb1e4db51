"""Source and destination addresses: the examples of RFC 6724 10, a row a rule."""

from __future__ import annotations

import pytest

from corten.ip.interface import Address
from corten.ip.source_address import choose_source, policy, scope, sort_destinations
from corten.wire.address import format_address, parse_address


def candidates(texts: str) -> list[Address]:
    """ "2001:db8::2 fe80::1(d) …": (d) deprecated, (t) temporary; a subnet is /64 or /24."""
    found = []
    for text in texts.split():
        plain = text.removesuffix("(d)").removesuffix("(t)")
        address = Address(f"{plain}/{24 if '.' in plain else 64}")
        address.deprecated = text.endswith("(d)")
        address.temporary = text.endswith("(t)")
        found.append(address)
    return found


def source(destination: str, texts: str, hop: str = "fe80::99") -> str:
    found = choose_source(candidates(texts), parse_address(destination), parse_address(hop))
    return "" if found is None else format_address(found.high, found.low)


@pytest.mark.parametrize(
    ("rule", "destination", "sources", "chosen"),
    [
        ("1", "2001:db8:1::1", "2001:db8:2::1 2001:db8:1::1(d)", "2001:db8:1::1"),
        ("2", "2001:db8:1::1", "fe80::1 2001:db8:3::1", "2001:db8:3::1"),
        ("2", "ff05::1", "fe80::1 2001:db8:3::1", "2001:db8:3::1"),
        ("2", "fe80::1", "2001:db8:1::1 fe80::2(d)", "fe80::2"),
        ("2", "ff02::1", "2001:db8:1::1 fe80::2", "fe80::2"),
        ("3", "2001:db8:1::1", "2001:db8:1::2(d) 2001:db8:3::2", "2001:db8:3::2"),
        ("6", "2002:c633:6401::1", "2001:db8:1::2 2002:c633:6401::d5e3:0:0:1(t)",
         "2002:c633:6401:0:d5e3::1"),
        ("6", "fd00::1", "2001:db8:1::2 fd77::2", "fd77::2"),
        ("7", "2001:db8:1::d5e3:0:0:1", "2001:db8:1::2 2001:db8:1::d5e3:7953:13eb:22e8(t)",
         "2001:db8:1:0:d5e3:7953:13eb:22e8"),
        ("8", "2001:db8:1::1", "2001:db8:3::2 2001:db8:1::2", "2001:db8:1::2"),
        ("order", "2001:db8:9::1", "2001:db8:1::2 2001:db8:1::3", "2001:db8:1::2"),
        ("family", "2001:db8::1", "10.0.0.1", ""),
        ("family", "10.0.0.9", "2001:db8::1 10.0.0.1", "10.0.0.1"),
    ],
)  # fmt: skip
@pytest.mark.requirement("RFC 6724 5")
def test_a_source_is_chosen_rule_by_rule(
    rule: str, destination: str, sources: str, chosen: str
) -> None:
    assert source(destination, sources) == chosen, rule
    backwards = " ".join(reversed(sources.split()))
    if rule != "order":
        assert source(destination, backwards) == chosen, rule


def test_an_address_of_the_next_hops_subnet_is_preferred() -> None:
    assert source("192.0.2.1", "10.1.0.2 10.2.0.2", "10.2.0.254") == "10.2.0.2"
    assert source("2001:db8:1::1", "2001:db8:1::2 fd00::2", "fd00::1") == "fd00::2"


@pytest.mark.parametrize(
    ("rule", "sources", "destinations", "order"),
    [
        ("2", "2001:db8:1::2 fe80::1 169.254.13.78", "198.51.100.121 2001:db8:1::1",
         "2001:db8:1::1 198.51.100.121"),
        ("2", "fe80::1 198.51.100.117", "2001:db8:1::1 198.51.100.121",
         "198.51.100.121 2001:db8:1::1"),
        ("6", "2001:db8:1::2 fe80::1 10.1.2.4", "10.1.2.3 2001:db8:1::1",
         "2001:db8:1::1 10.1.2.3"),
        ("8", "2001:db8:1::2 fe80::2", "2001:db8:1::1 fe80::1", "fe80::1 2001:db8:1::1"),
        ("3", "2001:db8:1::2 fe80::2(d)", "fe80::1 2001:db8:1::1", "2001:db8:1::1 fe80::1"),
        ("9", "2001:db8:1::2 2001:db8:3f44::2 fe80::2", "2001:db8:3ffe::1 2001:db8:1::1",
         "2001:db8:1::1 2001:db8:3ffe::1"),
        ("5", "2002:c633:6401::2 fe80::2", "2001:db8:1::1 2002:c633:6401::1",
         "2002:c633:6401::1 2001:db8:1::1"),
        ("6", "2002:c633:6401::2 2001:db8:1::2 fe80::2", "2002:c633:6401::1 2001:db8:1::1",
         "2001:db8:1::1 2002:c633:6401::1"),
        ("1", "10.0.0.2", "2001:db8:1::1 10.0.0.1", "10.0.0.1 2001:db8:1::1"),
        ("10", "2001:db8:1::2", "2001:db8:1::5 2001:db8:1::5", "2001:db8:1::5 2001:db8:1::5"),
        ("10", "", "2001:db8:1::5 10.0.0.1", "2001:db8:1::5 10.0.0.1"),
    ],
)  # fmt: skip
@pytest.mark.requirement("RFC 6724 6")
def test_destinations_are_sorted_rule_by_rule(
    rule: str, sources: str, destinations: str, order: str
) -> None:
    own = candidates(sources)

    def source_of(high: int, low: int) -> Address | None:
        return choose_source(own, (high, low), parse_address("fe80::99"))

    found = sort_destinations([parse_address(text) for text in destinations.split()], source_of)
    assert [format_address(*one) for one in found] == order.split(), rule


@pytest.mark.parametrize(
    ("address", "precedence", "label"),
    [
        ("::1", 50, 0),
        ("2001:db8::1", 40, 1),
        ("10.0.0.1", 35, 4),
        ("2002::1", 30, 2),
        ("2001::1", 5, 5),
        ("fd00::1", 3, 13),
        ("::1.2.3.4", 1, 3),
        ("fec0::1", 1, 11),
        ("3ffe::1", 1, 12),
    ],
)
@pytest.mark.requirement("RFC 6724 2.1")
def test_the_policy_table_is_the_default_one(address: str, precedence: int, label: int) -> None:
    assert policy(*parse_address(address)) == (precedence, label)


def test_scopes() -> None:
    names = {
        "fe80::1": 2, "::1": 2, "169.254.1.1": 2, "127.0.0.1": 2, "fec0::1": 5, "10.0.0.1": 14,
        "fd00::1": 14, "2001:db8::1": 14, "ff01::1": 1, "ff02::1": 2, "ff05::1": 5, "ff0e::1": 14,
    }  # fmt: skip
    assert {name: scope(*parse_address(name)) for name in names} == names
