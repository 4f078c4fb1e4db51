"""The Stack's own calls: what they refuse, calls in time, batches that are full, leaks."""

from __future__ import annotations

import logging

import pytest

from corten.core.arena import Buffer
from corten.endpoint.error import ConnectionClosed, CortenError
from corten.endpoint.handler import Handler
from corten.sim.script import THERE, App, Trace, pattern
from corten.tcp.config import Config
from tests.stack.link import Link
from tests.tcp.test_segment_arrives import count


def broken() -> Handler:
    raise RuntimeError("no handler today")


@pytest.mark.parametrize(
    ("address", "options", "said"),
    [
        ("10.0.0.1", {"source": ("127.0.0.1", None)}, "not an address of this stack"),
        ("10.0.0.255", {}, "single host"),
        ("nowhere", {}, "not an IP address"),
        ("2001:db8::1", {}, "no route"),
        ("10.0.0.1", {"source": ("10.0.0.9", None)}, "not an address of this stack"),
        ("10.0.0.1", {"source": ("x", None)}, "source"),
        ("10.0.0.1", {"source": (None, 70_000)}, "source port"),
        ("10.0.0.1", {"no_such": 1}, "no such TCP setting"),
    ],
)
def test_connect_refuses(address: str, options: dict[str, object], said: str) -> None:
    link = Link(gateway="10.0.0.1")
    with pytest.raises(CortenError, match=said):
        link.stack.connect(address, 80, Handler, **options)
    with pytest.raises(CortenError, match="port 0"):
        link.stack.connect("10.0.0.1", 0, Handler)
    assert link.stack.leaks() == []


def test_a_factory_that_fails_leaves_nothing() -> None:
    link = Link()
    with pytest.raises(RuntimeError):
        link.stack.connect("10.0.0.1", 80, broken)
    with pytest.raises(TypeError):
        link.stack.connect("10.0.0.1", 80, object)  # type: ignore[arg-type,return-value]
    assert link.stack.leaks() == []


def test_connections_are_bounded() -> None:
    link = Link(config=Config(connections_max=2))
    for _ in range(2):
        link.stack.connect("10.0.0.1", 80, Handler)
    with pytest.raises(CortenError, match="connections_max"):
        link.stack.connect("10.0.0.1", 80, Handler)


def test_one_pair_of_sockets_is_one_connection() -> None:
    link = Link()
    link.stack.connect("10.0.0.1", 80, Handler, source=("10.0.0.2", 5000))
    with pytest.raises(CortenError, match="source port 5000 is in use"):
        link.stack.connect("10.0.0.1", 80, Handler, source=(None, 5000))


def test_listen_refuses() -> None:
    link = Link()
    link.stack.listen(80, Handler, address="10.0.0.2")
    for port, options, said in [
        (0, {}, "between 1 and 65535"),
        (80, {}, "in use"),
        (80, {"address": "10.0.0.2"}, "in use"),
        (81, {"address": "x"}, "not an IP address"),
        (81, {"no_such": 1}, "no such TCP setting"),
    ]:
        with pytest.raises(CortenError, match=said):
            link.stack.listen(port, Handler, **options)
    link.stack.listen(81, Handler)


def test_a_closed_listener_refuses() -> None:
    t = Trace()
    t.listener.close()
    t.listener.close()
    t.send(0, "S", seq=0)
    t.expect(0, "R.", ack=1)
    t.finish()


def test_calls_in_time() -> None:
    link = Link()
    done: list[int] = []
    link.stack.call_soon(done.append, 1)
    later = link.stack.call_later(1, done.append, 2)
    never = link.stack.call_later(1, done.append, 3)
    link.stack.call_later(-1, done.append, 4)
    never.cancel()
    never.cancel()
    link.breath()
    link.breath(after=2)
    assert sorted(done) == [1, 4]
    link.breath(after=10**9)
    assert done[-1] == 2
    later.cancel()
    assert link.stack.leaks() == []


def test_a_call_cancelled_in_the_breath_it_is_due_is_not_made() -> None:
    link = Link()
    done: list[int] = []
    handles = []
    handles.append(link.stack.call_later(1, lambda: handles.pop().cancel()))
    handles.append(link.stack.call_later(1, done.append, 1))
    link.breath(after=2 * 10**9)
    assert done == [] and link.stack.leaks() == []


def test_a_call_that_fails_harms_no_other(caplog: pytest.LogCaptureFixture) -> None:
    link = Link()
    done: list[int] = []
    link.stack.call_soon(broken)
    link.stack.call_soon(done.append, 1)
    with caplog.at_level(logging.ERROR):
        link.breath()
    assert done == [1] and "no handler today" in caplog.text
    with pytest.raises(CortenError, match="watches no descriptors"):
        link.stack.watch(0, None)


def test_drain() -> None:
    t = Trace(check=False).established()
    assert t.host.stack.drain() == 1
    t.breathe()
    t.expect(0, "F.", seq=1, ack=1)
    t.use(41_000).stack_port = 80
    t.send(0, "S", seq=0)
    t.expect(0, "R.", ack=1)
    t.finish()


@pytest.mark.parametrize("room", [1, 2, 3, 7])
def test_a_full_batch_loses_nothing(room: int) -> None:
    """Every path asks for room first: with little of it, all goes as with much."""
    t = Trace(check=False).established(sack_ok=True)
    outgoing = t.port.interface.outgoing
    real = outgoing
    t.app.connection.send(pattern(1, 9 * 1460))
    t.app.connection.close()
    sent = []
    stack = t.host.stack
    filler = b"\0" * 60
    while True:
        for _ in range(256 - room):
            assert real.append(filler)
        again = stack.transmit(t.network.now)
        sent += [real.frame(i) for i in range(256 - room, real.count)]
        real.clear()
        if not again:
            break
    payload = b"".join(frame[54:] for frame in sent)
    assert payload == pattern(1, 9 * 1460)
    assert len(sent) == 9 and sent[-1][47] & 1
    t.network.checker.is_on = False
    t.send(0, "F.", seq=1, ack=9 * 1460 + 2)
    t.heard()
    t.finish()


def test_who_has_sent_and_is_marked_again_before_the_others_have_sent_is_not_forgotten() -> None:
    """A pass that a full batch ends goes on in another breath; what a connection at its beginning
    was given to send meanwhile stayed in its queue for good."""
    t = Trace(check=False).established()
    real = t.port.interface.outgoing
    stack, now = t.host.stack, t.network.now
    t.app.connection.send(b"first")
    others = [stack.connect(THERE, port, Handler) for port in range(1, 301)]
    assert stack.transmit(now)
    assert real.count == 256 and real.frame(0).endswith(b"first")
    real.clear()
    t.app.connection.send(b"second")
    assert not stack.transmit(now)
    assert real.count == 46 and real.frame(45).endswith(b"second")
    real.clear()
    for connection in others:
        connection.abort()
    t.send(0, ".", seq=1, ack=12)
    t.heard()
    t.finish()


def test_resets_wait_for_room() -> None:
    t = Trace(check=False).established()
    real = t.port.interface.outgoing
    for _ in range(256):
        assert real.append(b"\0" * 60)
    t.app.connection.abort()
    assert t.host.stack.transmit(t.network.now)
    real.clear()
    t.breathe()
    t.expect(0, "R.", seq=1, ack=1)
    assert t.app.events == ["open", "close"]
    t.finish()


class Raising(App):
    """Fails in one event."""

    where = ""

    def _maybe(self, event: str) -> None:
        if event == self.where:
            raise RuntimeError(f"failed in {event}")

    def on_open(self, connection: object) -> None:
        super().on_open(connection)
        self._maybe("open")

    def on_data(self, connection: object, data: bytes) -> None:
        super().on_data(connection, data)
        self._maybe("data")

    def on_eof(self, connection: object) -> None:
        super().on_eof(connection)
        self._maybe("eof")

    def on_writable(self, connection: object) -> None:
        super().on_writable(connection)
        self._maybe("writable")

    def on_timeout(self, connection: object) -> None:
        super().on_timeout(connection)
        self._maybe("timeout")

    def on_close(self, connection: object, error: Exception | None) -> None:
        super().on_close(connection, error)
        self._maybe("close")


@pytest.mark.parametrize("where", ["open", "data", "eof", "writable", "timeout", "close"])
def test_an_exception_ends_its_own_connection_alone(
    where: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "corten")
    t = Trace(check=False, send_high_water=10, send_low_water=5)
    t.established()
    canary = t.app
    t._accept = None  # type: ignore[assignment]
    t.listener.close()
    made: list[Raising] = []

    def factory() -> Raising:
        made.append(Raising(t))
        made[-1].where = where
        return made[-1]

    t.host.stack.listen(80, factory)
    t.use(41_000).stack_port = 80
    t.send(0, "S", seq=0, mss=1460)
    t.send(0, ".", seq=1, ack=1)
    bad = made[0]
    if not bad.is_closed:
        bad.connection.set_timeout(5)
        bad.connection.send(b"x" * 20)
        t.breathe()
        t.send(1, "P.", seq=1, ack=21, data=5)
    if not bad.is_closed:
        t.advance(6000)
    if not bad.is_closed:
        t.send(0, "F.", seq=6, ack=21)
    if not bad.is_closed:
        bad.connection.close()
        t.breathe()
        t.send(0, ".", seq=7, ack=22)
    assert bad.events.count("close") == 1 and bad.events[-1] == "close"
    assert count(t, "handler_errors") == 1
    if where != "close":
        assert isinstance(bad.error, ConnectionAbortedError)
        assert t.heard()[-1].flags & 4
    t.heard()
    t.use(40_000)
    t.send(0, "P.", seq=1, ack=1, data=b"still here")
    assert canary.data == b"still here"
    t.heard()
    t.finish()


def test_calls_after_on_close() -> None:
    t = Trace(check=False).established()
    connection = t.app.connection
    t.send(0, "R", seq=1)
    for call in (lambda: connection.send(b"x"), connection.close):
        with pytest.raises(ConnectionClosed):
            call()
    connection.abort()
    connection.resume()
    connection.set_timeout(1)
    connection.pause()
    connection.resume()
    assert connection.queued_len() == 0 and connection.read_all() == b""
    assert connection.peer == (THERE, 40_000) and connection.local == ("10.0.0.1", 80)
    t.finish()


def test_a_timeout_taken_back_in_its_own_breath() -> None:
    """Data and the timeout in one breath: the handler that renews it is not told of the old one."""
    t = Trace(check=False)
    t.host.quantum_ns = 5_000_000

    class Renewing(App):
        def on_data(self, connection: object, data: bytes) -> None:
            connection.set_timeout(1)  # type: ignore[attr-defined]

    app = Renewing(t)
    t.listener.close()
    t.host.stack.listen(80, lambda: app)
    t.use(41_000).stack_port = 80
    t.send(0, "S", seq=0, mss=1460)
    t.send(0, ".", seq=1, ack=1)
    app.connection.set_timeout(1)
    t.breathe()
    t.heard()
    t.send(999, "P.", seq=1, ack=1, data=5)
    t.advance(501)
    assert "timeout" not in app.events
    t.advance(600)
    assert app.events[-1] == "timeout"
    with pytest.raises(ValueError, match="not a number"):
        app.connection.set_timeout(float("nan"))
    app.connection.set_timeout(float("inf"))
    app.connection.set_timeout(0)
    t.heard()
    t.finish()


def test_what_send_takes() -> None:
    t = Trace(check=False).established()
    connection = t.app.connection
    data = pattern(0, 3000)
    for piece in (
        data[:10],
        bytearray(data[10:20]),
        memoryview(data)[20:1000],
        memoryview(data)[1000:1010],
        Buffer(data[1010:2000]),
        b"",
        data[2000:2100],
        data[2100:3000],
    ):
        assert connection.send(piece)
    t.breathe()
    assert b"".join(s.payload for s in t.heard()) == data
    assert connection.queued_len() == 3000
    with pytest.raises(TypeError):
        connection.send("text")
    t.send(0, ".", seq=1, ack=3001)
    assert connection.queued_len() == 0
    t.finish()
