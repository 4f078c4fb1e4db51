"""The interfaces themselves: what nobody implemented says so."""

from __future__ import annotations

import pytest

from corten.endpoint.connection import Connection, Span
from corten.endpoint.handler import Handler, doors_of
from corten.endpoint.loop import Loop, TimerHandle


def test_a_connection_that_implements_nothing() -> None:
    bare = Connection()
    for call in (
        bare.read_all,
        bare.queued_len,
        bare.close,
        bare.abort,
        bare.pause,
        bare.resume,
        bare.info,
        lambda: bare.send(b""),
        lambda: bare.set_timeout(1),
        lambda: bare.peer,
        lambda: bare.local,
    ):
        with pytest.raises(NotImplementedError):
            call()
    assert Span().octets() == b""


def test_a_loop_that_implements_nothing() -> None:
    bare = Loop()
    for call in (
        bare.time,
        lambda: bare.call_soon(print),
        lambda: bare.call_later(1, print),
        lambda: bare.watch(0, None),
        lambda: bare.connect("10.0.0.1", 80, Handler),
        lambda: bare.listen(80, Handler),
        TimerHandle().cancel,
    ):
        with pytest.raises(NotImplementedError):
            call()


def test_what_is_no_handler() -> None:
    with pytest.raises(TypeError, match="is not a corten"):
        doors_of(5)
    assert doors_of(Handler()) is doors_of(Handler())
