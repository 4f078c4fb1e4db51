"""An exception in a handler resets its own connection, is logged, and harms no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.conformance.backend import Backend, Peer
from tests.conformance.probe import Echo, Probe, Probes
from tests.conformance.test_receiving import pattern


class Oops(Exception):
    pass


def oops(*_: object) -> None:
    raise Oops("from the test")


def _writable(_: Peer, probe: Probe) -> None:
    probe.connection.send(pattern(10_000_000))


PROVOKE: dict[str, Callable[[Peer, Probe], object]] = {
    "open": lambda peer, probe: None,
    "data": lambda peer, probe: peer.send(b"x"),
    "writable": _writable,
    "eof": lambda peer, probe: peer.finish(),
    "timeout": lambda peer, probe: probe.connection.set_timeout(0.01),
}


def logged(caplog: pytest.LogCaptureFixture) -> list[BaseException | None]:
    """The exceptions in Corten's log."""
    return [r.exc_info[1] for r in caplog.records if r.name == "corten" and r.exc_info]


@pytest.mark.parametrize("event", PROVOKE)
def test_in(backend: Backend, event: str, caplog: pytest.LogCaptureFixture) -> None:
    neighbour = backend.dial(backend.listen(Echo))
    neighbour.send(b"before")
    probes = Probes(**{event: oops})
    peer = backend.dial(backend.listen(probes))
    backend.run(lambda: probes.made and probes[0].connection)
    PROVOKE[event](peer, probes[0])
    backend.run(lambda: peer.saw_reset and probes[0].is_closed)
    assert probes[0].events.count("close") == 1
    assert isinstance(probes[0].error, ConnectionAbortedError)
    assert [type(error) for error in logged(caplog)] == [Oops]
    neighbour.send(b" and after")
    backend.run(lambda: neighbour.received == b"before and after")


def test_in_on_close_it_is_logged_and_over(
    backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    probes = Probes(close=oops)
    peer = backend.dial(backend.listen(probes))
    peer.finish()
    backend.run(lambda: probes.made and probes[0].is_closed and peer.saw_eof)
    backend.pass_time(backend.patience)
    assert probes[0].events == ["open", "eof", "close"]
    assert [type(error) for error in logged(caplog)] == [Oops]


def test_after_an_exception_no_event_but_close(backend: Backend) -> None:
    probes = Probes(data=oops)
    peer = backend.dial(backend.listen(probes))
    peer.send(b"x")
    peer.finish()
    backend.run(lambda: probes.made and probes[0].is_closed)
    backend.pass_time(backend.patience)
    assert probes[0].events == ["open", "data", "close"]


@pytest.mark.parametrize(
    ("factory", "error"), [(oops, Oops), (object, TypeError)], ids=["raises", "makes no handler"]
)
def test_a_factory_that(
    backend: Backend,
    factory: Callable[[], Any],
    error: type[Exception],
    caplog: pytest.LogCaptureFixture,
) -> None:
    port = backend.listen(factory)
    peer = backend.dial(port)
    backend.run(lambda: peer.saw_reset)
    assert [type(found) for found in logged(caplog)] == [error]
    neighbour = backend.dial(backend.listen(Echo))
    neighbour.send(b"alive")
    backend.run(lambda: neighbour.received == b"alive")


def test_what_ends_a_program_passes(backend: Backend) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    probes = Probes(data=stop)
    peer = backend.dial(backend.listen(probes))
    peer.send(b"x")
    with pytest.raises(KeyboardInterrupt):
        backend.run(lambda: False)
