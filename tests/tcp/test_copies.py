"""How often octets are copied on their way: one received super-segment once, a sent one never."""

from __future__ import annotations

from typing import Any

import pytest

import corten.tcp.connection as module
from corten.sim.script import Trace, pattern


def test_what_is_sent_lies_in_the_applications_own_octets() -> None:
    t = Trace(check=False, mtu=1500, offload=True).established(win=65535, wscale=7, mss=1460)
    data = pattern(1, 14_600)
    t.held = True
    t.app.connection.send(data)
    stack, interface = t.host.stack, t.port.interface
    stack.transmit(t.network.now)
    outgoing = interface.outgoing
    assert outgoing.count == 1 and outgoing.frame_len[0] > 14_600
    places = range(outgoing.first_slice[0], outgoing.first_slice[0] + outgoing.slice_count[0])
    assert sum(outgoing.slice_len[k] for k in places) == len(data)
    assert all(outgoing.slice_memory[k].owner is data for k in places)
    outgoing.clear()
    t.held = False
    t.finish()


@pytest.mark.plain
@pytest.mark.parametrize("segments", [1, 3])
def test_what_is_received_is_copied_once(segments: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """`read` copies, and so does joining; views do not."""
    copied = 0
    read = module.read

    def counting(memory: Any, at: int, length: int) -> bytes:
        nonlocal copied
        copied += length
        return read(memory, at, length)

    monkeypatch.setattr(module, "read", counting)
    t = Trace(check=False, mtu=9000).established(mss=8960)
    with t.breath():
        for _ in range(segments):
            t.send(0, ".", data=8000)
    assert len(t.app.data) == segments * 8000
    assert copied == (8000 if segments == 1 else 0)  # several are joined from where they lie
    t.advance(100)
    t.heard()
    t.finish()
