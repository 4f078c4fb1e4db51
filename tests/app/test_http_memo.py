"""Requests known by their octets: what is kept, and that nothing is answered otherwise for it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corten.app.access_log import AccessLog
from corten.app.http_memo import KNOWN_MAX, SLOT_BITS, Memo
from corten.app.http_service import Service
from corten.app.httpd import factory
from corten.app.site import RESIDENT, Entry, load
from corten.core.arena import Memory
from corten.endpoint.scripted import ScriptedLoop
from tests.app.site_tree import make

ENTRY = Entry(RESIDENT)
HOST = b"Host: a\r\n"


def look(memo: Memo, head: bytes) -> bool:
    """Ask for a head, and tell of it where it is not known; whether it was."""
    memory = Memory(b"?" + head)  # an offset, to see that it counts
    found = memo.find(memory, 1, len(head))
    if found is not None:
        assert found.head == head
        assert found.entry is ENTRY
        return True
    memo.note(memory, 1, len(head), ENTRY, True)
    return False


def test_what_has_come_twice_is_known() -> None:
    memo = Memo()
    head = b"GET / HTTP/1.1\r\n\r\n"
    assert [look(memo, head) for _ in range(4)] == [False, False, True, True]
    assert not look(memo, head[:-1])
    assert not look(memo, head + b"\n")
    assert not look(memo, head.replace(b"/ ", b"/x "))
    assert look(memo, head)


def test_what_is_long_is_not_kept() -> None:
    memo = Memo()
    for length, known in ((KNOWN_MAX, True), (KNOWN_MAX + 1, False)):
        head = b"a" * length
        assert [look(memo, head) for _ in range(3)] == [False, False, known]


def test_more_heads_than_slots_are_never_taken_for_each_other() -> None:
    memo = Memo()
    heads = [b"GET /%d HTTP/1.1\r\n\r\n" % i for i in range(3 << SLOT_BITS)]
    for _ in range(3):
        for head in heads:
            look(memo, head)  # its assertions
    few = heads[:100]  # some of these share a slot, and lose it to each other; most do not
    for _ in range(2):
        for head in few:
            look(memo, head)
    assert sum(look(memo, head) for head in few) > 90


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("site"))


def one(path: str, *lines: str, method: str = "GET", version: str = "1.1") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/{version}", *lines, "", ""]).encode()


REQUESTS = [
    one("/small.htm", "Host: a"),
    one("/small.htm", "Host: b"),
    one("/small.htm", "Host: a", "Connection: close"),
    one("/small.htm", version="1.0"),
    one("/small.htm", "Connection: keep-alive", version="1.0"),
    one("/small.htm"),  # no Host
    one("/small.htm", "Host: a", "Range: bytes=0-3"),
    one("/small.htm", "Host: a", "If-None-Match: *"),
    one("/small.htm", "Host: a", "Content-Length: 3") + b"abc",
    one("/small.htm", "Host: a", method="HEAD"),
    one("/large.htm", "Host: a"),
    one("/./small.htm", "Host: a"),
    one("/%73mall.htm", "Host: a"),
    one("/none", "Host: a"),
    b"\r\n" + one("/small.htm", "Host: a"),
    one("/small.htm", "Host: a") * 2,  # pipelined
    one("/small.htm", "Host: a") + b"GET",  # and the next one begun
    one("/small.htm", "Host: a")[:-1],  # cut
]


def answer(service: Service, request: bytes) -> tuple[bytes, bool]:
    """What a connection of its own gets for it, and whether it is ended."""
    loop = ScriptedLoop()
    connection = loop.open(factory(service)())
    connection.deliver(request)
    return connection.sent(), connection.eof_sent


@settings(max_examples=60, deadline=None)
@given(order=st.lists(st.integers(0, len(REQUESTS) - 1), min_size=1, max_size=60))
def test_a_server_that_knows_requests_answers_as_one_that_never_saw_any(
    root: Path, order: list[int]
) -> None:
    site = load(str(root))
    used = Service(site, clock=lambda: 1.8e9)
    for number in order * 3:
        fresh = Service(site, clock=lambda: 1.8e9)
        assert answer(used, REQUESTS[number]) == answer(fresh, REQUESTS[number])


def test_the_log_has_the_line_of_a_request_that_is_known(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = AccessLog(str(path))
    service = Service(load(str(root)), clock=lambda: 1.8e9, log=log)
    for request in (REQUESTS[0], b"\r\n" + REQUESTS[0]):
        for _ in range(4):
            assert answer(service, request)[0].startswith(b"HTTP/1.1 200 ")
    log.flush()
    lines = path.read_text(encoding="ascii").splitlines()
    assert len(lines) == 8
    assert len(set(lines)) == 1
    assert '"GET /small.htm HTTP/1.1" 200' in lines[0]
