"""What the application is told, and when."""

from __future__ import annotations

import pytest

from corten.sim.script import App, Trace


def test_data_and_eof() -> None:
    t = Trace().established()
    t.send(0, "P.", data=b"hello")
    assert t.app.data == b"hello"
    t.expect(40, ".", ack=6)
    t.send(0, "F.")
    t.expect(None, ".", ack=7)
    assert t.app.events == ["open", "data", "eof"]
    t.finish()


def test_a_paused_reader_gets_everything_before_the_orderly_end() -> None:
    """TIME-WAIT is the stack's affair: the application still reads what came before the FIN."""
    t = Trace().established()
    t.app.pause()
    t.send(0, "P.", data=100)
    t.expect(40, ".", ack=101)
    t.app.close()
    t.expect(0, "F.", seq=1)
    t.send(0, "F.", ack=2)
    t.expect(None, ".", ack=102)
    t.advance(5)
    assert t.app.events == ["open"]
    t.app.resume()
    assert len(t.app.data) == 100
    assert t.app.events == ["open", "data", "eof", "close"]
    assert t.app.error is None
    t.finish()


def test_a_paused_reader_is_told_of_a_reset_at_once() -> None:
    t = Trace().established()
    t.app.pause()
    t.send(0, "R", seq=1)
    assert t.app.events == ["open", "close"]
    assert isinstance(t.app.error, ConnectionResetError)
    t.finish()


class Aborting(App):
    """Aborts in the middle of what one breath brought."""

    def on_data(self, connection: object, data: bytes) -> None:
        super().on_data(connection, data)
        self.trace.network.checker.allow_reset("stack")
        self.connection.abort()


def test_after_abort_only_on_close_follows() -> None:
    t = Trace()
    t.accept = lambda: Aborting(t)
    t.established()
    t.send(0, "FP.", data=b"last words")
    assert t.app.events == ["open", "data", "close"]
    assert isinstance(t.app.error, ConnectionAbortedError)
    t.expect(0, "R.", seq=1)
    t.finish()


class Failing(App):
    def on_data(self, connection: object, data: bytes) -> None:
        self.trace.network.checker.allow_reset("stack")
        raise RuntimeError("a bug of the application")


def test_an_exception_resets_its_own_connection(caplog: pytest.LogCaptureFixture) -> None:
    t = Trace()
    t.accept = lambda: Failing(t)
    t.established()
    t.send(0, "P.", data=b"x")
    t.expect(0, "R.", seq=1)
    assert t.app.events == ["open", "close"]
    assert "a bug of the application" in caplog.text
    t.finish()


@pytest.mark.requirement("MUST-12")
def test_normal_close_and_reset_are_told_apart() -> None:
    t = Trace().last_ack()
    t.send(0, ".", seq=2, ack=2)
    assert t.app.is_closed
    assert t.app.error is None
    t.finish()
    t = Trace().established()
    t.send(0, "R", seq=1)
    assert isinstance(t.app.error, ConnectionResetError)
    t.finish()


def test_resume_after_abort_wakes_nothing() -> None:
    t = Trace().established()
    t.app.pause()
    t.send(0, "FP.", data=b"never read")
    t.heard()
    t.network.checker.allow_reset("stack")
    t.app.connection.abort()
    t.app.resume()
    assert t.app.events == ["open", "close"]
    t.heard()
    t.finish()


def test_a_paused_reader_that_a_timer_aborts_is_told() -> None:
    t = Trace().established()
    t.app.pause()
    t.network.checker.allow_reset("stack")
    t.host.stack.call_later(1, t.app.connection.abort)
    t.breathe()
    t.advance(1100)
    assert t.app.events == ["open", "close"]
    t.heard()
    t.finish()
