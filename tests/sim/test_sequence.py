"""Time-sequence diagrams: what of a run and of a capture they show."""

from __future__ import annotations

from pathlib import Path

import pytest

from corten.endpoint.error import CortenError
from corten.sim import Fault, Net, drop
from corten.sim.bulk import Bottleneck
from corten.sim.sequence import Sequence, from_pcapng, from_trace
from corten.sim.trace import PacketTrace
from corten.wire import pcapng
from tests.sim.services import ask, echo_lines


def transfer(octets: int = 100_000, faults: list[Fault] | None = None) -> Bottleneck:
    path = Bottleneck(1, {}, {"delay_ms": 10, "rate": 10_000_000, "faults": faults or []})
    path.network.trace = PacketTrace(10_000)
    path.finish(path.flow(octets))
    return path


def whole(sequence: Sequence) -> None:
    """Everything from the SYN to the FIN was sent, in order, and acknowledged."""
    at = 0
    for _, start, end in sequence.sent:
        assert start == at
        at = end
    assert at == 100_002
    assert sequence.acked[-1][1] >= 100_001


def test_all_that_was_sent_is_there_once() -> None:
    path = transfer()
    sequence = from_trace(path.network.trace.packets())
    whole(sequence)
    assert not sequence.again
    assert not sequence.lost
    assert sequence.title.endswith("> 10.0.0.2.9000")
    for (_, edge), (_, acked) in zip(sequence.window, sequence.acked, strict=True):
        assert edge >= acked


def test_what_was_lost_is_marked_and_sent_again() -> None:
    sequence = from_trace(transfer(faults=drop(10)).network.trace.packets())
    whole(sequence)
    assert len(sequence.lost) == 1
    assert sequence.again[0][1] == sequence.lost[0][1]
    assert sequence.sacked
    assert all(start > sequence.lost[0][1] for _, start, _ in sequence.sacked)


def test_a_capture_shows_the_same(tmp_path: Path) -> None:
    with Net(seed=1) as net:
        server, client = net.host("server"), net.host("client")
        router = net.router("router")
        net.link(client, router, loss=0.05)
        net.link(router, server, loss=0.05)
        server.start(echo_lines())
        client.run(ask("server", b"x" * 50_000 + b"\n"))
        net.write_pcapng(tmp_path / "run.pcapng")
        shown = from_trace(net.network.trace.packets())
    read = from_pcapng(tmp_path / "run.pcapng")
    assert read.flow == shown.flow
    assert [piece[1:] for piece in read.sent] == [piece[1:] for piece in shown.sent]
    assert len(read.lost) == len(shown.lost) > 0
    assert sum(end - start for _, start, end in read.sent) >= 50_002


def test_a_bare_link_is_read_as_well(tmp_path: Path) -> None:
    path = transfer(5_000)
    blocks = [pcapng.start(pcapng.RAW)]
    blocks += [
        pcapng.packet(now, frame[14:]) for now, _, _, frame, _ in path.network.trace.packets()
    ]
    (tmp_path / "raw.pcapng").write_bytes(b"".join(blocks))
    assert from_pcapng(tmp_path / "raw.pcapng").sent[-1][2] == 5_002


def test_what_cannot_be_drawn_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CortenError, match="No such file"):
        from_pcapng(tmp_path / "none.pcapng")
    (tmp_path / "text.pcapng").write_text("hello hello hello hello")
    with pytest.raises(CortenError, match="no pcapng file"):
        from_pcapng(tmp_path / "text.pcapng")
    (tmp_path / "empty.pcapng").write_bytes(pcapng.start(pcapng.ETHERNET))
    with pytest.raises(CortenError, match="no TCP in these packets"):
        from_pcapng(tmp_path / "empty.pcapng")
