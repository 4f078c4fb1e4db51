"""A worker's names: who is asked, and in which order addresses are tried."""

from __future__ import annotations

import pytest

from corten.endpoint.error import CortenError
from corten.worker.names import Names, check_servers, is_number
from tests.dns.loop import FakeLoop


@pytest.mark.parametrize(
    ("text", "number"),
    [("10.0.0.1", True), ("::1", True), ("fe80::1%tap0", True), ("host.test", False), ("", False)],
)
def test_numbers_and_names(text: str, number: bool) -> None:
    assert is_number(text) == number


def test_servers_given_by_hand_come_instead_of_those_learnt() -> None:
    names = Names(FakeLoop(), lambda: ["10.0.0.53"], lambda found: found)
    assert names.resolver.servers == ["10.0.0.53"]
    names.given = ["10.0.0.99"]
    assert names.resolver.servers == ["10.0.0.99"]


def test_a_server_is_an_address() -> None:
    assert check_servers(["10.0.0.53", "fd00::53"]) == ["10.0.0.53", "fd00::53"]
    with pytest.raises(CortenError, match="an IP address is wanted"):
        check_servers(["dns.test"])


def test_addresses_are_tried_in_the_order_of_the_routes() -> None:
    asked: list[list[tuple[int, int]]] = []

    def backwards(found: list[tuple[int, int]]) -> list[tuple[int, int]]:
        asked.append(found)
        return found[::-1]

    names = Names(FakeLoop(), list, backwards)
    opening = names.connect("host.test", 80, object, {})
    assert opening.sort(["2001:db8::1", "192.0.2.1"]) == ["192.0.2.1", "2001:db8::1"]
    assert len(asked) == 1
