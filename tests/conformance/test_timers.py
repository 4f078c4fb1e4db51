"""set_timeout, call_soon, call_later, watch."""

from __future__ import annotations

import os
from typing import Any

import pytest

from corten.endpoint.error import CortenError
from tests.conformance.backend import Backend
from tests.conformance.probe import Echo
from tests.conformance.test_sending import connected


def test_the_default_timeout_aborts(backend: Backend) -> None:
    peer, probe = connected(backend, open=lambda c: c.set_timeout(backend.patience))
    backend.run(lambda: probe.is_closed and peer.saw_reset)
    assert probe.events == ["open", "timeout", "close"]
    assert isinstance(probe.error, ConnectionAbortedError)


def test_a_timeout_comes_once_and_not_early(backend: Backend) -> None:
    _, probe = connected(backend, timeout=lambda connection: None)
    start = backend.loop.time()
    probe.connection.set_timeout(2 * backend.patience)
    backend.run(lambda: "timeout" in probe.events)
    assert backend.loop.time() - start >= 2 * backend.patience * 0.9
    backend.pass_time(3 * backend.patience)
    assert probe.events == ["open", "timeout"]


def test_a_later_timeout_replaces_the_first(backend: Backend) -> None:
    _, probe = connected(backend, timeout=lambda connection: None)
    probe.connection.set_timeout(backend.patience)
    probe.connection.set_timeout(4 * backend.patience)
    backend.pass_time(2 * backend.patience)
    assert "timeout" not in probe.events
    backend.run(lambda: "timeout" in probe.events)


def test_an_earlier_timeout_replaces_the_first(backend: Backend) -> None:
    _, probe = connected(backend, timeout=lambda connection: None)
    start = backend.loop.time()
    probe.connection.set_timeout(1000)
    probe.connection.set_timeout(backend.patience)
    backend.run(lambda: "timeout" in probe.events)
    assert backend.loop.time() - start < 500


def test_zero_cancels(backend: Backend) -> None:
    _, probe = connected(backend)
    probe.connection.set_timeout(backend.patience)
    probe.connection.set_timeout(0)
    backend.pass_time(2 * backend.patience)
    assert probe.events == ["open"]
    probe.connection.set_timeout(backend.patience)
    backend.run(lambda: "timeout" in probe.events)


def test_a_timeout_may_set_the_next(backend: Backend) -> None:
    _, probe = connected(
        backend, timeout=lambda connection: connection.set_timeout(backend.patience / 5)
    )
    probe.connection.set_timeout(backend.patience / 5)
    backend.run(lambda: probe.events.count("timeout") == 5)


def test_a_timeout_may_send_and_close(backend: Backend) -> None:
    def last(connection: Any) -> None:
        connection.send(b"too slow")
        connection.close()

    peer, probe = connected(backend, timeout=last)
    probe.connection.set_timeout(backend.patience)
    backend.run(lambda: peer.saw_eof)
    assert peer.received == b"too slow"


def test_a_timeout_still_comes_after_close(backend: Backend) -> None:
    """A peer that never finishes its half does not hold a connection for ever."""
    peer, probe = connected(backend)
    probe.connection.close()
    probe.connection.set_timeout(backend.patience)
    backend.run(lambda: probe.is_closed)
    assert probe.events == ["open", "timeout", "close"]
    assert peer.saw_eof


def test_a_timeout_dies_with_its_connection(backend: Backend) -> None:
    peer, probe = connected(backend, open=lambda c: c.set_timeout(backend.patience))
    peer.finish()
    backend.run(lambda: probe.is_closed)
    backend.pass_time(2 * backend.patience)
    assert probe.events == ["open", "eof", "close"]


def test_call_soon_keeps_order_and_does_not_nest(backend: Backend) -> None:
    ran: list[int] = []

    def first() -> None:
        ran.append(1)
        backend.loop.call_soon(ran.append, 3)
        assert ran == [1]

    backend.loop.call_soon(first)
    backend.loop.call_soon(ran.append, 2)
    backend.run(lambda: len(ran) == 3)
    assert ran == [1, 2, 3]


def test_call_later_runs_in_order_of_time(backend: Backend) -> None:
    ran: list[str] = []
    later = backend.loop.call_later
    later(backend.patience, ran.append, "third")
    later(backend.patience / 2, ran.append, "second")
    later(0, ran.append, "first")
    cancelled = later(backend.patience / 3, ran.append, "never")
    cancelled.cancel()
    cancelled.cancel()
    kept = later(backend.patience, ran.append, "fourth")
    backend.run(lambda: len(ran) == 4)
    kept.cancel()
    assert ran == ["first", "second", "third", "fourth"]


def test_a_call_that_raises_harms_nobody(
    backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    ran: list[int] = []
    backend.loop.call_soon(lambda: 1 / 0)
    backend.loop.call_later(0, lambda: 1 / 0)
    backend.loop.call_soon(ran.append, 1)
    backend.loop.call_later(backend.patience / 10, ran.append, 2)
    backend.run(lambda: len(ran) == 2)
    logged = [r for r in caplog.records if r.name == "corten" and r.exc_info]
    assert len(logged) == 2


def test_time_goes_on(backend: Backend) -> None:
    start = backend.loop.time()
    backend.pass_time(backend.patience)
    assert backend.patience * 0.9 <= backend.loop.time() - start < 100


def test_watch(backend: Backend) -> None:
    if not backend.can_watch:  # a Stack alone has no descriptors, and says so
        with pytest.raises(CortenError, match="worker"):
            backend.loop.watch(0, None)
        return
    read_end, write_end = os.pipe()
    got: list[bytes] = []
    backend.loop.watch(read_end, lambda: got.append(os.read(read_end, 100)))
    port = backend.listen(Echo)
    os.write(write_end, b"one")
    backend.run(lambda: got == [b"one"])
    os.write(write_end, b"two")
    backend.run(lambda: got == [b"one", b"two"])
    backend.loop.watch(read_end, None)
    os.write(write_end, b"three")
    peer = backend.dial(port)
    peer.send(b"the loop goes on")
    backend.run(lambda: peer.received == b"the loop goes on")
    assert got == [b"one", b"two"]
    os.close(read_end)
    os.close(write_end)
