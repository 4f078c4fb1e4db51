"""The ping command's run over a simulated link: its lines, its figures, its exit code."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from corten.app.ping import PingRun
from tests.stack.link import OURS, PEER, SECOND, Link
from tests.udp.bench import HERE, THERE


class Worker:
    """A link's stack as a worker: what the run needs of one."""

    def __init__(self, link: Link) -> None:
        self.stack = link.stack
        self.call_later = link.stack.call_later
        self.time = link.stack.time


def run_of(answers: set[int], count: int = 4, **options: object) -> tuple[PingRun, list[str]]:
    """A run to its end, with a peer that answers the requests named, 10 ms after each."""
    link, lines, ended = Link(), list[str](), list[bool]()
    run = PingRun(
        Worker(link), THERE, lambda: ended.append(True), lines.append, count=count, **options
    )
    run.start()
    due = []
    for i in range(3000):
        for request in link.breath(*due, after=SECOND // 100 if i else 0):
            due = []
            if request[ICMP].seq in answers:
                reply = ICMP(type=0, id=request[ICMP].id, seq=request[ICMP].seq)
                data = Raw(bytes(request[ICMP].payload))
                due = [Ether(src=PEER, dst=OURS) / IP(src=THERE, dst=HERE, ttl=61) / reply / data]
            break
        else:
            due = []
        if ended:
            break
    assert ended == [True]
    assert link.stack.leaks() == []
    return run, lines


def test_all_answered() -> None:
    run, lines = run_of({1, 2, 3, 4})
    assert lines[0] == f"PING {THERE} ({THERE}) 56(84) bytes of data."
    assert lines[1] == f"64 bytes from {THERE}: icmp_seq=1 ttl=61 time=10.0 ms"
    assert lines[-3] == f"--- {THERE} ping statistics ---"
    assert lines[-2].startswith("4 packets transmitted, 4 received, 0% packet loss, time 30")
    assert lines[-1] == "rtt min/avg/max/mdev = 10.000/10.000/10.000/0.000 ms"
    assert run.status == 0


def test_some_lost() -> None:
    run, lines = run_of({1, 3}, timeout=2.0)
    assert "4 packets transmitted, 2 received, 50% packet loss" in lines[-2]
    assert run.status == 0


def test_nobody_there() -> None:
    run, lines = run_of(set(), count=2, timeout=1.0, interval=0.2, size=0)
    assert "2 packets transmitted, 0 received, 100% packet loss" in lines[-1]
    assert run.status == 1
