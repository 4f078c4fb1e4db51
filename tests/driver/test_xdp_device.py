"""What a worker is told of an AF_XDP device's queues; the device itself is tried end to end."""

from __future__ import annotations

from typing import Any, cast

import pytest

from corten.core.toeplitz import DEFAULT_KEY
from corten.driver.device import Wanted
from corten.driver.rss import Rxfh
from corten.driver.xdp_device import Card, XdpDevice
from corten.ip.rss import Rss
from corten.worker.steering import steering_of

CARD = Card("nic0", 7, "02:00:00:00:00:01", 1500, "some", receive_queues=5, transmit_queues=5)
SAYS = Rxfh(DEFAULT_KEY, [i % 5 for i in range(128)], ["tcp4", "tcp6"])


class Filter:
    """As far as a device asks it."""

    mode = "native"
    has_fragments = True
    sockets = 3


def values(place: int, rss: Rxfh | None) -> dict[str, Any]:
    wanted = Wanted("xdp", "nic0", queues=2)
    return XdpDevice(wanted, CARD, cast(Any, Filter()), rss).queue(place).values


@pytest.mark.parametrize(("place", "queues"), [(0, [0, 2, 4]), (1, [1, 3])])
def test_queues_are_dealt_to_the_workers_in_turn(place: int, queues: list[int]) -> None:
    assert values(place, None)["queues"] == queues


def test_where_the_device_says_its_hash_a_worker_knows_who_has_what() -> None:
    told = values(1, SAYS)
    assert told["steering"]["workers"] == [i % 5 % 2 for i in range(128)]
    made = steering_of(told)
    assert isinstance(made, Rss) and made.place == 1
    places = {made.worker_of(6, 0, 0xFFFF0A000001, 0, 0xFFFF0A000002, p, 80) for p in range(64)}
    assert places == {0, 1}


def test_where_it_says_nothing_nobody_knows() -> None:
    assert steering_of(values(1, None)).worker_of(6, 0, 1, 2, 0, 3, 4) == -1
