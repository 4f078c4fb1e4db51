"""Signals that cannot wait, whatever the descriptor's other holder does."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator

import pytest

from corten.driver import eventfd
from corten.driver.eventfd import Signaller, clear, is_eventfd

FULL = (2**64 - 2).to_bytes(8, "little")


@pytest.fixture
def fd() -> Iterator[int]:
    made = os.eventfd(0, os.EFD_NONBLOCK)
    yield made
    os.close(made)


@pytest.fixture(params=["asynchronous", "write"])
def signaller(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Signaller]:
    if request.param == "write":
        monkeypatch.setattr(eventfd, "_SYSCALLS", {})
    made = Signaller()
    yield made
    made.close()
    made.close()


def test_a_signal_counts_and_is_cleared(signaller: Signaller, fd: int) -> None:
    assert not clear(fd)
    for _ in range(300):  # more than requests can be pending
        signaller.signal(fd)
    assert os.eventfd_read(fd) == 300
    signaller.signal(fd)
    assert clear(fd)
    assert not clear(fd)


def test_a_full_count_of_a_blocking_descriptor_does_not_block(
    signaller: Signaller, fd: int
) -> None:
    fcntl.fcntl(fd, fcntl.F_SETFL, 0)
    os.write(fd, FULL)
    signaller.signal(fd)
    signaller.signal(fd)
    assert clear(fd)
    assert not clear(fd)


def test_what_is_no_eventfd_does_no_harm(signaller: Signaller) -> None:
    reader, writer = os.pipe()
    for each in (reader, writer, 1 << 20):
        signaller.signal(each)
        assert not is_eventfd(each)
    os.close(writer)
    os.close(reader)
    signaller.signal(reader)
    assert not clear(reader)


def test_an_eventfd_is_known(fd: int) -> None:
    assert is_eventfd(fd)
