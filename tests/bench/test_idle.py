"""The bench of idle connections: who asks a second time comes from elsewhere."""

from __future__ import annotations

import re

from bench.idle import _load_words


def addresses(words: list[str]) -> set[str]:
    link = words[words.index("--link") + 1]
    return set(re.findall(r"address=([\d.]+)/", link))


def test_who_asks_later_uses_none_of_the_addresses_before() -> None:
    first, second = _load_words(100_000), _load_words(100_000, anew=True)
    assert len(addresses(first)) == len(addresses(second)) == 7
    assert not addresses(first) & addresses(second)


def test_a_million_fit_the_network() -> None:
    for anew in (False, True):
        last = [int(each.rpartition(".")[2]) for each in addresses(_load_words(10**6, anew=anew))]
        assert len(last) == 63
        assert max(last) < 255
