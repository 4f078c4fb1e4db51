"""The addresses that a load comes from."""

from __future__ import annotations

import pytest

from corten.app.load_source import sources_of
from corten.endpoint.error import CortenError
from corten.worker.link import parse_link

TAP = "tap:a0,address=10.1.0.2/29,host=10.1.0.1/29"


def test_without_a_wish_the_links_own_are_taken_of_the_family_that_reaches() -> None:
    link = "tap:a0,address=10.1.0.2/24,address=fd00::2/64"
    assert sources_of([link], "10.9.0.1", "") == ([link], ["10.1.0.2"])
    assert sources_of([link], "fd00::9", "") == ([link], ["fd00::2"])
    assert sources_of([link], "name.example", "") == ([link], [])


def test_a_number_goes_on_from_the_links_own_and_passes_over_who_is_there() -> None:
    links, sources = sources_of(["tap:b0,address=10.2.0.2/24", TAP], "10.2.0.9", "3")
    assert sources == ["10.2.0.2", "10.2.0.3", "10.2.0.4"]
    assert parse_link(links[0]).addresses == ["10.2.0.2/24", "10.2.0.3/24", "10.2.0.4/24"]
    assert links[1] == TAP
    _, sources = sources_of([TAP], "10.1.0.4", "4")
    assert sources == ["10.1.0.2", "10.1.0.3", "10.1.0.5", "10.1.0.6"]
    with pytest.raises(CortenError, match="only 4 addresses left"):
        sources_of([TAP], "10.1.0.4", "5")


def test_a_prefix_is_taken_whole() -> None:
    links, sources = sources_of([TAP], "10.9.0.1", "10.7.0.0/30")
    assert sources == ["10.7.0.1", "10.7.0.2"]
    assert parse_link(links[0]).addresses == ["10.1.0.2/29", "10.7.0.1/30", "10.7.0.2/30"]


def test_the_kernel_has_its_own() -> None:
    link = "kernel,address=127.0.0.1"
    assert sources_of([link], "127.0.0.9", "2") == ([link], ["127.0.0.1", "127.0.0.2"])


@pytest.mark.parametrize(
    ("target", "wanted", "said"),
    [
        ("10.9.0.1", "0", "from 1 to"),
        ("10.9.0.1", "many", "--sources many"),
        ("10.9.0.1", "10.0.0.0/8", "more than 4096"),
        ("10.9.0.1", "fd00::/120", "other family"),
        ("fd00::1", "4", "no link has an address"),
        ("name.example", "4", "an address in the URL"),
    ],
)
def test_what_cannot_be_is_one_line(target: str, wanted: str, said: str) -> None:
    with pytest.raises(CortenError, match=said):
        sources_of([TAP], target, wanted)
