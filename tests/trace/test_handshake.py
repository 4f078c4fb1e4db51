"""Opening: options, retransmission, refusal, simultaneous open (RFC 9293 3.5, RFC 7323, 6928)."""

from __future__ import annotations

from itertools import pairwise

import pytest

from corten.sim.script import App, Trace

SECOND = 1000


@pytest.mark.requirement("MUST-14", "SHLD-5", "SHLD-6", "MUST-67")
@pytest.mark.parametrize("mtu", [128, 576, 1500, 9000])
def test_mss_goes_with_the_mtu(mtu: int) -> None:
    t = Trace(mtu=mtu)
    t.send(0, "S", seq=0, mss=1460)
    t.expect(0, "S.", ack=1, mss=mtu - 40)
    t.finish()


@pytest.mark.requirement("MUST-15")
def test_default_mss() -> None:
    t = Trace(timestamps=False)
    t.send(0, "S", seq=0)
    t.expect(0, "S.")
    t.send(0, ".", seq=1, ack=1)
    t.app.send(bytes(1000))
    t.expect(0, ".", data=536)
    t.expect(0, "P.", data=464)
    t.finish()


@pytest.mark.requirement("MUST-16")
@pytest.mark.parametrize(("stamps", "full"), [(False, 1000), (True, 988)])
def test_options_take_room_from_the_mss(stamps: bool, full: int) -> None:
    t = Trace().established(mss=1000, ts=stamps or None)
    t.app.send(bytes(1500))
    t.expect(0, ".", data=full)
    t.expect(0, "P.", data=1500 - full)
    t.finish()


@pytest.mark.requirement("RFC 7323 2.2", "RFC 2018 2", "RFC 7323 3.2")
@pytest.mark.parametrize("offer", [{}, {"wscale": 7}, {"sack_ok": True}, {"ts": (5, 0)}])
def test_only_what_is_offered_is_answered(offer: dict[str, object]) -> None:
    t = Trace()
    t.send(0, "S", seq=0, mss=1460, **offer)
    found = t.expect(0, "S.").options
    assert (found.wscale is not None) == ("wscale" in offer)
    assert found.sack_permitted == ("sack_ok" in offer)
    assert (found.timestamps is not None) == ("ts" in offer)
    if found.timestamps:
        assert found.timestamps[1] == 5
    t.finish()


def test_what_is_switched_off_is_not_offered() -> None:
    t = Trace(listen=None, sack=False, timestamps=False, window_scale=False).syn_sent()
    t.finish()
    t = Trace(sack=False, timestamps=False, window_scale=False)
    t.send(0, "S", seq=0, mss=1460, sack_ok=True, ts=(1, 0), wscale=3)
    t.expect(0, "S.", sack_ok=False, ts=None, wscale=None)
    t.finish()


@pytest.mark.requirement("RFC 7323 2.3")
def test_a_shift_above_14_is_14() -> None:
    t = Trace(timestamps=False)
    t.send(0, "S", seq=0, mss=1460, wscale=15, win=1000)
    t.expect(0, "S.")
    t.send(0, ".", seq=1, ack=1, win=1)
    assert t.app.connection.info()["snd_wnd"] == 1 << 14
    t.finish()


@pytest.mark.requirement("MUST-1", "RFC 7323 2.2")
def test_the_window_of_a_syn_is_never_scaled() -> None:
    t = Trace(timestamps=False)
    t.send(0, "S", seq=0, mss=1000, wscale=7, win=2000)
    t.expect(0, "S.")
    t.send(0, ".", seq=1, ack=1, win=16)  # 2048
    t.app.send(bytes(5000))
    t.expect(0, ".", data=1000)
    t.expect(0, ".", data=1000)
    t.expect_nothing(50)
    t.finish()


@pytest.mark.requirement("MUST-22", "MUST-23", "SHLD-11")
def test_syn_again_for_three_minutes() -> None:
    t = Trace(listen=None).syn_sent()
    for gap in (1, 2, 4, 8, 16, 32):
        t.expect(gap * SECOND, "S", seq=0)
    t.advance(200 * SECOND)
    assert all(s.flags == 2 for s in t.heard())
    assert isinstance(t.app.error, TimeoutError)
    assert t.now_ms >= 180 * SECOND
    t.finish()


def test_syn_ack_again_until_nobody_answers() -> None:
    t = Trace(syn_ack_retries=3).syn_received()
    for gap in (1, 2, 4):
        t.expect(gap * SECOND, "S.", seq=0, ack=1)
    t.expect_nothing(60 * SECOND)
    assert t.apps == []
    t.finish()


@pytest.mark.requirement("MUST-11")
def test_refused() -> None:
    t = Trace(listen=None).syn_sent()
    t.send(0, "R.", seq=0, ack=1)
    assert isinstance(t.app.error, ConnectionRefusedError)
    t.expect_nothing(1000)
    t.finish()


@pytest.mark.requirement("MUST-11")
def test_a_reset_brings_a_passive_open_back_to_listen() -> None:
    t = Trace().syn_received()
    t.send(0, "R", seq=1)
    t.expect_nothing(5000)
    t.use(40_001)
    t.established()
    t.finish()


@pytest.mark.requirement("MUST-10")
def test_simultaneous_open() -> None:
    t = Trace(listen=None, timestamps=False).syn_sent()
    t.send(5, "S", seq=0, mss=1460)
    t.expect(0, "S.", seq=0, ack=1)
    t.send(5, "S.", seq=0, ack=1, mss=1460)
    t.send(0, "P.", seq=1, ack=1, data=b"hello")
    assert t.app.events == ["open", "data"]
    t.heard()
    t.finish()


@pytest.mark.requirement("RFC 6298 5.7")
def test_after_a_lost_syn_the_rto_is_three_seconds() -> None:
    t = Trace(listen=None, timestamps=False).syn_sent()
    t.expect(1000, "S", seq=0)
    t.send(10, "S.", seq=0, ack=1, mss=1000)
    t.expect(0, ".", seq=1)
    t.app.send(bytes(1000))
    t.expect(0, "P.", data=1000)
    t.expect(3000, "P.", data=1000)
    t.finish()


@pytest.mark.requirement("RFC 6928 2", "RFC 5681 3.1")
@pytest.mark.parametrize(("lost", "segments"), [(False, 10), (True, 1)])
def test_initial_window(lost: bool, segments: int) -> None:
    t = Trace(listen=None, timestamps=False).syn_sent()
    if lost:
        t.expect(1000, "S", seq=0)
    t.send(0, "S.", seq=0, ack=1, mss=1000)
    t.expect(0, ".", seq=1)
    t.app.send(bytes(20_000))
    for i in range(segments):
        t.expect(0, ".", seq=1 + 1000 * i, data=1000)
    t.expect_nothing(100)
    t.finish()


@pytest.mark.requirement("MUST-8", "SHLD-1")
def test_isn_goes_with_the_clock() -> None:
    """The same pair of sockets a second later: 250,000 more (RFC 6528 3)."""
    t = Trace()
    t.send(0, "S", seq=0, mss=1460)
    first = t.expect(0, "S.").seq
    t.send(0, "R", seq=1)
    t.advance(1000)
    t.send(0, "S", seq=0, mss=1460)
    second = t.expect(0, "S.").seq
    assert (second - first) & 0xFFFFFFFF == 250_000
    t.finish()


@pytest.mark.requirement("MUST-9")
def test_isns_of_other_sockets_are_unrelated() -> None:
    t = Trace()
    seen = []
    for port in range(2000, 2020):
        t.use(port)
        t.send(0, "S", seq=0, mss=1460)
        seen.append(t.expect(0, "S.").seq)
    gaps = {(b - a) & 0xFFFFFFFF for a, b in pairwise(seen)}
    assert len(gaps) == 19
    assert max(gaps) > 1 << 28
    t.finish()


@pytest.mark.requirement("MUST-6", "MUST-7", "MUST-64", "MUST-68")
@pytest.mark.parametrize(
    "raw",
    [
        b"\x02\x04\x05\xb4\x1e\x04ab",
        b"\x01\x01\x02\x04\x05\xb4\xfe\x02",
        b"\x02\x04\x05\xb4\x00\xff\xff\xff",
        b"\x02\x04\x05\xb4\x03\x00\x00\x00",
        b"\x02\x04\x05\xb4\x05\x01\x01\x01",
        b"\x02\x04\x05\xb4\x08\x28\x01\x01",
    ],
)
def test_strange_options(raw: bytes) -> None:
    """Unknown ones are passed over, an impossible length ends the list: the MSS before counts."""
    t = Trace()
    t.send(0, "S", seq=0, raw_options=raw)
    t.expect(0, "S.", ack=1)
    t.send(0, ".", seq=1, ack=1)
    t.app.send(bytes(1460))
    t.expect(0, "P.", data=1460)
    t.finish()


@pytest.mark.requirement("MUST-5")
def test_options_on_any_segment() -> None:
    t = Trace(timestamps=False).established()
    t.send(0, "P.", data=b"x", unknown=[(30, b"yz")], mss=500)
    assert t.app.data == b"x"
    t.heard()
    t.finish()


@pytest.mark.requirement("MUST-46")
@pytest.mark.parametrize("address", ["224.0.0.1", "255.255.255.255", "10.0.0.255"])
def test_no_connection_to_many(address: str) -> None:
    t = Trace(listen=None)
    with pytest.raises(Exception, match=address):
        t.host.connect(address, 80, lambda: App(t))
    t.finish()
