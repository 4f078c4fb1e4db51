"""What a worker waits with, where the system has epoll and where it has not."""

from __future__ import annotations

import os
import select

import pytest

from corten.worker.waiting import READABLE, Bell, Selector, make_poll


@pytest.fixture(params=["eventfd", "sockets"])
def bell(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Bell:
    if request.param == "sockets":
        monkeypatch.delattr(os, "eventfd")
    made = Bell()
    request.addfinalizer(made.close)
    return made


@pytest.mark.parametrize("kind", [Selector, select.epoll])
def test_a_bell_rings_until_it_is_hushed(bell: Bell, kind: type) -> None:
    poll = kind()
    poll.register(bell.fd, READABLE)
    assert poll.poll(0, 8) == []
    for _ in range(3):
        bell.ring()
    assert poll.poll(0, 8) == [(bell.fd, READABLE)]
    assert poll.fileno() >= 0
    bell.hush()
    bell.hush()
    assert poll.poll(0, 8) == []
    bell.ring()
    poll.unregister(bell.fd)
    assert poll.poll(0, 8) == []
    poll.close()
    assert poll.closed


def test_a_bell_that_rings_for_ever_is_full_and_not_stuck(bell: Bell) -> None:
    for _ in range(20_000):
        bell.ring()


def test_an_eventfd_of_somebody_elses_is_used() -> None:
    fd = os.eventfd(0, os.EFD_NONBLOCK)
    bell = Bell(fd)
    assert bell.fd == fd
    bell.ring()
    assert os.eventfd_read(fd) == 1
    bell.close()


def test_where_there_is_epoll_it_is_epoll(monkeypatch: pytest.MonkeyPatch) -> None:
    poll = make_poll()
    assert isinstance(poll, select.epoll)
    poll.close()
    monkeypatch.delattr(select, "epoll")
    poll = make_poll()
    assert isinstance(poll, Selector)
    poll.close()
