"""What is let pass: urgent data in line, options nobody here speaks, sends before the handshake."""

from __future__ import annotations

import pytest

from corten.sim.script import Trace

MD5 = bytes([19, 18, *range(16)])
TFO_ASKS = bytes([34, 2])
UTO = bytes([28, 4, 0x80, 1])
AO_SHORT = bytes([29, 3, 1])
AO_NONSENSE = bytes([29, 1])
AO_LONG = bytes([29, 40, 1, 2])


@pytest.mark.requirement("MUST-66")
def test_urgent_data_is_delivered_in_line() -> None:
    t = Trace(check=False).established()
    t.send(0, "PU.", seq=1, ack=1, data=b"ordinary!urgent")
    t.send(0, "P.", seq=16, ack=1, data=b" and on")
    assert t.app.data == b"ordinary!urgent and on"
    t.advance(100)
    t.heard()
    t.finish()


@pytest.mark.requirement("MUST-66")
def test_urgent_at_a_shut_window_is_acknowledged_and_harms_nothing() -> None:
    t = Trace(check=False, receive_buffer=2048).established()
    t.app.connection.pause()
    t.send(0, "P.", seq=1, ack=1, data=2048)
    t.advance(100)
    t.heard()
    t.send(0, "U.", seq=2049, ack=1)
    t.send(0, "PU.", seq=2049, ack=1, data=b"!")
    t.heard()
    t.app.connection.resume()
    t.breathe()
    assert len(t.app.data) == 2048 and not t.app.is_closed
    t.heard()
    t.finish()


@pytest.mark.requirement("MUST-6", "MUST-7", "MUST-68")
@pytest.mark.parametrize("option", [MD5, TFO_ASKS, UTO, AO_SHORT, AO_NONSENSE, AO_LONG])
def test_options_of_others_are_passed_over(option: bytes) -> None:
    t = Trace(check=False)
    padded = option.ljust(-(-len(option) // 4) * 4, b"\x01")
    t.send(0, "S", seq=0, raw_options=bytes([2, 4, 5, 180]) + padded)
    t.expect(0, "S.", seq=0, ack=1)
    t.send(0, "P.", seq=1, ack=1, data=b"data", raw_options=padded)
    assert t.app.data == b"data" and t.app.connection.info()["mss"] == 1460
    t.advance(100)
    t.heard()
    t.finish()


def test_what_is_sent_in_syn_sent_follows_the_handshake() -> None:
    t = Trace(check=False, listen=None).syn_sent()
    assert t.app.connection.send(b"early")
    t.expect_nothing(100)
    t.send(0, "S.", seq=0, ack=1, mss=1460)
    t.expect(0, ".", seq=1, ack=1, data=b"early")
    t.finish()


def test_what_is_sent_in_syn_sent_is_lost_with_a_refusal() -> None:
    t = Trace(check=False, listen=None).syn_sent()
    t.app.connection.send(b"early")
    t.send(0, "R.", seq=0, ack=1)
    assert isinstance(t.app.error, ConnectionRefusedError)
    t.expect_nothing(5000)
    t.finish()
