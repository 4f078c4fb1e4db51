"""The leak check itself: it must find what is left, or every trace's end proves nothing."""

from __future__ import annotations

from corten.core.arena import Memory
from corten.core.frame import ReceiveBatch
from corten.endpoint.handler import Handler
from corten.sim.script import Trace, pattern
from tests.malformed import frames
from tests.stack.link import Link


def said(t: Trace, words: str) -> bool:
    return any(words in line for line in t.host.stack.leaks())


def test_connections_tables_and_timers() -> None:
    t = Trace(check=False).established()
    t.app.send(b"x")
    t.heard()
    for words in ("state 8", "1 connections", "1 entries", "1 timers"):
        assert said(t, words), words
    t.use(41_000).stack_port = 80
    t.syn_received()
    assert said(t, "1 half open")
    t.use(42_000).stack_port = 80
    t.time_wait()
    assert said(t, "1 in TIME-WAIT")
    t.finish()
    assert t.host.stack.leaks() == []


def test_work_and_replies_due() -> None:
    t = Trace(check=False).established()
    t.app.connection.send(b"x")
    assert said(t, "1 connections with work due")
    t.host.stack.host.resets_owed.append(None)
    assert said(t, "1 replies not sent")
    t.host.stack.host.resets_owed.clear()
    t.breathe()
    t.heard()
    t.finish()


def test_frames_and_memories() -> None:
    t = Trace(check=False).established()
    stack, interface = t.host.stack, t.port.interface
    t.app.connection.send(b"x" * 1000)
    stack.transmit(t.network.now)
    assert said(t, "1 frames not flushed") and said(t, "a sent buffer is held")
    interface.outgoing.clear()
    stack.host.slice_memory[5] = Memory(b"x")
    assert said(t, "a memory of a received frame")
    stack.host.slice_memory[5] = None
    t.finish()
    link = Link(resolve=True)
    link.stack.connect("10.0.0.1", 80, Handler)
    link.breath()
    assert any("1 unresolved" in line for line in link.stack.leaks())


def test_slices_not_released() -> None:
    t = Trace(check=False).established()
    t.app.connection.pause()
    stack = t.host.stack
    batch = ReceiveBatch()
    flow = t.flow
    batch.append(
        bytes(frames.tcp(flow.port, 80, flow.isn + 1, (flow.iss or 0) + 1, 0x18, data=b"data"))
    )
    stack.receive(t.network.now, t.port.interface, batch)
    assert said(t, "1 slices")
    t.breathe()
    t.advance(50)
    t.heard()
    t.finish()


def test_more_slices_than_a_breath_has_room_for() -> None:
    """Beyond the bound they are copied; nothing is lost, nothing out of order."""
    t = Trace(check=False, receive_buffer=1 << 16).established()
    stack, flow = t.host.stack, t.flow
    batch = ReceiveBatch()
    sent = 0
    for _ in range(18):
        batch.clear()
        for _ in range(250):
            data = pattern(1 + sent, 10)
            frame = frames.tcp(
                flow.port, 80, flow.isn + 1 + sent, (flow.iss or 0) + 1, 0x10, data=data
            )
            assert batch.append(bytes(frame))
            sent += 10
        # one arena a batch: what lies in it must stay until the breath is over
        stack.receive(t.network.now, t.port.interface, batch)
        batch = ReceiveBatch()
    t.breathe()
    assert t.app.data == pattern(1, sent) and sent == 45_000
    t.advance(50)
    t.heard()
    t.finish()
