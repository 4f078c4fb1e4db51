"""nmap itself against a stack on a TAP: one host, in a namespace of its own."""

from __future__ import annotations

import json
import re
import shutil
import signal
from collections.abc import Iterator

import pytest

from bench.namespace import Namespace
from tests.netns import Program, namespace

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(180)]
ADDRESS = "10.9.0.2"
QUICKLY = ["-n", "-Pn", "-T4", "--max-retries", "2", "--host-timeout", "15s"]
GOOD_LUCK = 240  # nmap's own words begin below it


@pytest.fixture(scope="module")
def space() -> Iterator[Namespace]:
    if shutil.which("nmap") is None:
        pytest.skip("nmap is not installed")
    with namespace("nmap") as made:
        links = {"links": [f"tap,address={ADDRESS}/24"]}
        program = Program(made, "-m", "tests.worker.server", json.dumps(links))
        try:
            program.wait_for("ready")
            yield made
            assert program.end(signal.SIGTERM) == 0  # it has survived all of them
        finally:
            program.close()


def scan(space: Namespace, *words: str) -> str:
    return space.command(["nmap", *QUICKLY, *words, ADDRESS])


@pytest.mark.requirement("RFC 6528 3", "MUST-9")
def test_its_sequence_numbers_are_hard_to_predict(space: Namespace) -> None:
    told = scan(space, "-O", "-v", "-p", "80,81", "--max-os-tries", "1")
    found = re.search(r"Difficulty=(\d+) \((.*)\)", told)
    assert found, told
    assert int(found[1]) >= GOOD_LUCK and found[2] == "Good luck!", told
    assert re.search(r"IP ID Sequence Generation: (All zeros|Randomized)", told), told


@pytest.mark.parametrize(
    ("kind", "state"),
    [("-sS", ("open", "closed")), ("-sA", ("unfiltered", "unfiltered")),
     ("-sF", ("open|filtered", "closed")), ("-sN", ("open|filtered", "closed")),
     ("-sX", ("open|filtered", "closed"))],
)  # fmt: skip
def test_what_each_scan_sees(space: Namespace, kind: str, state: tuple[str, str]) -> None:
    """As RFC 9293 3.10.7.1 and 3.10.7.2 have it: a RST from a closed port, silence from LISTEN
    for what is neither SYN, ACK nor RST."""
    told = scan(space, kind, "-p", "80,81")
    for port, expected in zip((80, 81), state, strict=True):
        assert re.search(rf"^{port}/tcp +{re.escape(expected)} ", told, re.MULTILINE), told


def test_protocols_it_speaks(space: Namespace) -> None:
    """Protocol unreachable for what is not spoken."""
    told = scan(space, "-sO", "-p", "1,6,47,132")
    for number, expected in ((1, "open"), (6, "open"), (47, "closed"), (132, "closed")):
        assert re.search(rf"^{number} +{expected} ", told, re.MULTILINE), told


def test_a_closed_udp_port_says_so(space: Namespace) -> None:
    told = scan(space, "-sU", "-p", "9")
    assert re.search(r"^9/udp +closed ", told, re.MULTILINE), told
