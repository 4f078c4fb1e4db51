"""The server on a connection without a network: replies, pipelining, back-pressure, disk, log."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from corten.app.access_log import BUFFER_MAX, AccessLog
from corten.app.http_service import CHUNK, Service
from corten.app.httpd import PIECES_AN_EVENT, REQUESTS_AN_EVENT, factory
from corten.app.site import SLICE_MAX, load
from corten.endpoint.error import CortenError
from corten.endpoint.scripted import ScriptedConnection, ScriptedLoop
from tests.app.site_tree import FILES, make
from tests.descriptors import descriptors

CLOCK = 1_800_000_000.25


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("site"))


@pytest.fixture
def loop() -> ScriptedLoop:
    return ScriptedLoop()


@pytest.fixture
def service(root: Path, loop: ScriptedLoop) -> Service:
    return Service(load(str(root)), clock=lambda: CLOCK + loop.now)


@pytest.fixture
def connection(service: Service, loop: ScriptedLoop) -> ScriptedConnection:
    return loop.open(factory(service)())


def get(path: str, *lines: str, method: str = "GET", version: str = "1.1") -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/{version}", "Host: a", *lines, "", ""]).encode()


def split(data: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
    """A reply as status, fields, and what follows its head."""
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    fields = dict(line.split(b": ", 1) for line in lines[1:])
    assert re.fullmatch(rb"HTTP/1\.1 \d{3} [ -~]+", lines[0])
    return int(lines[0][9:12]), fields, body


def replies(data: bytes) -> list[tuple[int, bytes]]:
    """Pipelined replies as (status, body)."""
    made = []
    while data:
        status, fields, rest = split(data)
        length = int(fields.get(b"Content-Length", b"0"))
        assert len(rest) >= length
        made.append((status, rest[:length]))
        data = rest[length:]
    return made


@pytest.mark.parametrize(
    "name", ["small.htm", "joined.htm", "large.htm", "empty.txt", "plain/a.css"]
)
def test_get(connection: ScriptedConnection, name: str) -> None:
    for _ in range(3):
        connection.deliver(get(f"/{name}"))
        status, fields, body = split(connection.sent())
        assert (status, body) == (200, FILES[name])
        assert fields[b"Server"] == b"corten"
        assert fields[b"Date"] == b"Fri, 15 Jan 2027 08:00:00 GMT"
        assert fields[b"Content-Length"] == b"%d" % len(body)
        assert fields[b"Accept-Ranges"] == b"bytes"
        assert {b"ETag", b"Last-Modified", b"Content-Type"} <= set(fields)
        assert b"Connection" not in fields
    assert not connection.eof_sent


def test_head(connection: ScriptedConnection) -> None:
    connection.deliver(get("/large.htm"))
    _, fields, _ = split(connection.sent())
    connection.deliver(get("/large.htm", method="HEAD"))
    assert split(connection.sent()) == (200, fields, b"")


def test_the_date_changes_with_the_second(
    connection: ScriptedConnection, loop: ScriptedLoop
) -> None:
    seen = []
    for _ in range(5):
        connection.deliver(get("/small.htm"))
        seen.append(split(connection.sent())[1][b"Date"][17:25])
        loop.advance(0.5)
    assert seen == [b"08:00:00", b"08:00:00", b"08:00:01", b"08:00:01", b"08:00:02"]
    connection.acknowledge()
    loop.advance(50)  # idle in between
    connection.deliver(get("/small.htm"))
    assert split(connection.sent())[1][b"Date"][17:25] == b"08:00:52"


def test_an_idle_server_is_not_woken_for_the_date(
    connection: ScriptedConnection, loop: ScriptedLoop
) -> None:
    connection.deliver(get("/small.htm"))
    loop.advance(1.5)
    assert not loop.timers


def test_pipelined_in_one_piece_and_in_many(connection: ScriptedConnection) -> None:
    names = ["small.htm", "large.htm", "nothing", "index.html"] * 3
    data = b"".join(get(f"/{name}") for name in names)
    expected = [(200, FILES[n]) if n in FILES else (404, None) for n in names]
    for step in (len(data), 1, 7, 50):
        for at in range(0, len(data), step):
            connection.deliver(data[at : at + step])
        got = [(s, b if s == 200 else None) for s, b in replies(connection.sent())]
        assert got == expected


def test_many_pipelined_requests_leave_others_their_turn(
    connection: ScriptedConnection, loop: ScriptedLoop
) -> None:
    count = 3 * REQUESTS_AN_EVENT + 5
    connection.deliver(get("/small.htm") * count)
    assert len(replies(connection.sent())) == REQUESTS_AN_EVENT
    connection.deliver(get("/small.htm"))  # what comes meanwhile waits for its turn, too
    assert connection.sent() == b""
    calls = loop.run_soon()
    assert calls == 3
    assert len(replies(connection.sent())) == count + 1 - REQUESTS_AN_EVENT


def test_a_connection_that_ends_before_its_turn_comes(
    connection: ScriptedConnection, loop: ScriptedLoop
) -> None:
    connection.deliver(get("/small.htm") * (REQUESTS_AN_EVENT + 5))
    connection.finish(ConnectionResetError())
    assert loop.run_soon() == 1


def test_no_more_is_read_while_send_says_stop(connection: ScriptedConnection) -> None:
    connection.high_water = 200_000
    connection.deliver(get("/large.htm") * 10)
    first = len(replies(connection.sent()))
    assert first == 3
    connection.deliver(get("/small.htm"))
    assert connection.sent() == b""
    got = []
    for _ in range(10):
        connection.acknowledge()
        got += replies(connection.sent())
    assert [len(body) for _, body in got] == [len(FILES["large.htm"])] * 7 + [100]


def test_eof_after_pipelined_requests_that_wait(connection: ScriptedConnection) -> None:
    connection.high_water = 100_000
    connection.deliver(get("/large.htm") * 4)
    connection.deliver_eof()
    assert not connection.eof_sent
    data = connection.sent()
    for _ in range(4):
        connection.acknowledge()
        data += connection.sent()
    assert len(replies(data)) == 4
    assert connection.eof_sent


def test_eof_closes(connection: ScriptedConnection) -> None:
    connection.deliver(get("/small.htm") + b"GET /half")
    connection.deliver_eof()
    assert connection.eof_sent
    assert len(replies(connection.sent())) == 1


@pytest.mark.parametrize(
    ("request_", "says", "stays"),
    [
        (get("/small.htm", "Connection: close"), b"close", False),
        (get("/small.htm", version="1.0"), b"close", False),
        (get("/small.htm", "Connection: keep-alive", version="1.0"), b"keep-alive", True),
        (get("/small.htm", "Connection: close", "Range: bytes=0-1"), b"close", False),
        (get("/large.htm", "Connection: close"), b"close", False),
        (get("/small.htm", "Connection: keep-alive"), None, True),
    ],
)
def test_who_closes(
    connection: ScriptedConnection, request_: bytes, says: bytes | None, stays: bool
) -> None:
    connection.deliver(request_)
    status, fields, _ = split(connection.sent())
    assert status in (200, 206)
    assert fields.get(b"Connection") == says
    assert connection.eof_sent != stays
    connection.deliver(get("/small.htm"))
    assert bool(connection.sent()) == stays  # after `close`, what comes is thrown away


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400), (b"\x16\x03\x01\x02\x00", 400), (b"GET /\r\n", 400),
        (b"GET /" + b"a" * 9000, 414), (b"GET / HTTP/3.0\r\n\r\n", 505), (get("/%"), 400),
        (get("/", "X: " + "y" * 17000), 431), (get("/", *["X: y"] * 100), 431), (get("/../x"), 400),
        (get("/", "Content-Length: 70000", method="POST"), 413),
        (get("/", "Transfer-Encoding: chunked", method="POST") + b"fffff\r\n", 413),
        (get("/", "Transfer-Encoding: chunked", method="POST") + b"x\r\n", 400),
        (get("/", "Transfer-Encoding: gzip", method="POST"), 501), (get("/", "Expect: x"), 417),
    ],
)  # fmt: skip
@pytest.mark.parametrize("step", [100_000, 1])
def test_what_ends_the_connection(
    connection: ScriptedConnection, data: bytes, status: int, step: int
) -> None:
    for at in range(0, len(data), step):
        connection.deliver(data[at : at + step])
    got, fields, body = split(connection.sent())
    assert got == status
    assert fields[b"Connection"] == b"close"
    assert fields[b"Content-Length"] == b"%d" % len(body)
    assert b"%d" % status in body
    assert connection.eof_sent
    connection.deliver(get("/small.htm"))
    assert connection.sent() == b""


def test_bodies_are_read_past(connection: ScriptedConnection) -> None:
    known = get("/small.htm", "Content-Length: 5", method="POST") + b"hello"
    chunked = get("/small.htm", "Transfer-Encoding: chunked") + b"5\r\nhello\r\n0\r\nT: v\r\n\r\n"
    empty = get("/small.htm", "Content-Length: 0")
    with_range = get("/small.htm", "Range: bytes=0-4", "Content-Length: 5") + b"hello"
    data = known + chunked + empty + with_range + get("/index.html")
    for step in (len(data), 1, 11):
        for at in range(0, len(data), step):
            connection.deliver(data[at : at + step])
        got = replies(connection.sent())
        assert [s for s, _ in got] == [405, 200, 200, 206, 200]
        assert got[3][1] == b"sssss"


def test_expect_continue(connection: ScriptedConnection) -> None:
    connection.deliver(get("/small.htm", "Content-Length: 5", "Expect: 100-continue", method="PUT"))
    assert connection.sent() == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.deliver(b"hello" + get("/small.htm", "Expect: 100-continue"))
    assert [s for s, _ in replies(connection.sent())] == [405, 200]
    connection.deliver(get("/", "Content-Length: 70000", "Expect: 100-continue", method="PUT"))
    assert split(connection.sent())[0] == 413


def test_not_found_keeps_the_connection(connection: ScriptedConnection) -> None:
    for path, status in (("/nothing", 404), ("/void/", 403), ("/docs", 301)):
        connection.deliver(get(path))
        got, fields, body = split(connection.sent())
        assert (got, int(fields[b"Content-Length"])) == (status, len(body))
    assert not connection.eof_sent


def test_other_spellings(connection: ScriptedConnection) -> None:
    for path in ("/small.htm?x", "/%73mall.htm", "http://a/small.htm", "http://a:80/small.htm?y"):
        connection.deliver(get(path))
        assert split(connection.sent())[2] == FILES["small.htm"]


# -- files on disk --------------------------------------------------------------------------


@pytest.fixture
def on_disk(tmp_path: Path, loop: ScriptedLoop) -> tuple[ScriptedConnection, Path, bytes]:
    data = os.urandom(CHUNK * 9 + 1234)
    (tmp_path / "big.bin").write_bytes(data)
    service = Service(load(str(tmp_path), memory_max=0))
    return loop.open(factory(service)()), tmp_path / "big.bin", data


def test_a_file_on_disk_is_sent_in_chunks_and_turns(
    on_disk: tuple[ScriptedConnection, Path, bytes], loop: ScriptedLoop
) -> None:
    connection, _, data = on_disk
    connection.high_water = 1 << 30
    connection.deliver(get("/big.bin") + get("/big.bin", "Range: bytes=-10", "Connection: close"))
    first = connection.sent()
    assert len(split(first)[2]) == PIECES_AN_EVENT * CHUNK
    assert loop.run_soon() == 2
    got = replies(first + connection.sent())
    assert got == [(200, data), (206, data[-10:])]
    assert connection.eof_sent


def test_a_file_on_disk_waits_for_the_reader(
    on_disk: tuple[ScriptedConnection, Path, bytes], loop: ScriptedLoop
) -> None:
    connection, _, data = on_disk
    connection.high_water = CHUNK
    connection.deliver(get("/big.bin", "Connection: close"))
    sent = connection.sent()
    while not connection.eof_sent:
        assert not loop.calls
        connection.acknowledge()
        part = connection.sent()
        assert 0 < len(part) <= CHUNK
        sent += part
    assert split(sent)[2] == data


def test_a_file_that_shrinks_on_its_way_aborts(
    on_disk: tuple[ScriptedConnection, Path, bytes],
) -> None:
    connection, path, _ = on_disk
    connection.high_water = CHUNK
    connection.deliver(get("/big.bin"))
    os.truncate(path, 5)
    connection.acknowledge()
    assert connection.aborted


def test_conditions_and_heads_of_files_on_disk_open_and_leave_nothing(
    on_disk: tuple[ScriptedConnection, Path, bytes],
) -> None:
    connection, path, _ = on_disk
    connection.deliver(get("/big.bin", method="HEAD") + get("/big.bin", "If-None-Match: *"))
    connection.deliver(get("/big.bin", "Range: bytes=0-0"))
    connection.sent()
    assert descriptors(path) == 0
    path.unlink()
    connection.deliver(get("/big.bin"))
    assert split(connection.sent())[0] == 404


def test_a_connection_that_ends_closes_its_file(
    on_disk: tuple[ScriptedConnection, Path, bytes], loop: ScriptedLoop
) -> None:
    connection, path, _ = on_disk
    connection.high_water = CHUNK
    connection.deliver(get("/big.bin"))
    assert descriptors(path) == 1
    connection.finish(ConnectionResetError())
    assert descriptors(path) == 0


def test_a_large_file_in_memory_is_sent_in_pieces(tmp_path: Path, loop: ScriptedLoop) -> None:
    length = 2 * SLICE_MAX + 5
    (tmp_path / "a.bin").write_bytes(b"a")  # what is large does not begin at 0
    with open(tmp_path / "large.bin", "wb") as file:
        file.truncate(length)
        file.seek(length - 1)
        file.write(b"z")
    connection = loop.open(factory(Service(load(str(tmp_path))))())
    connection.high_water = SLICE_MAX
    connection.deliver(get("/large.bin"))
    sizes = []
    while connection.queued_len():
        sizes.append(connection.queued_len())
        connection.acknowledge()
    assert sizes[1:] == [SLICE_MAX, 5]
    _, _, body = split(connection.sent())
    assert len(body) == length
    assert body.endswith(b"\0z")
    connection.deliver(get("/large.bin", "Range: bytes=-3", "Connection: close"))
    assert split(connection.sent())[2] == b"\0\0z"
    assert connection.eof_sent


# -- the log --------------------------------------------------------------------


def test_access_log(root: Path, tmp_path: Path, loop: ScriptedLoop) -> None:
    path = tmp_path / "access.log"
    service = Service(load(str(root)), log=AccessLog(str(path)), clock=lambda: CLOCK + loop.now)
    connection = loop.open(factory(service)())
    connection.deliver(get("/small.htm") + get("/no%20pe", method="HEAD") + get('/"\\?'))
    connection.deliver(b"\r\nGET /small.htm HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\r\n")
    connection.deliver(b"GET /\r\n")
    assert not path.read_bytes()
    loop.advance(1)
    stamp = '192.0.2.1 - - [15/Jan/2027:08:00:00 +0000] "'
    assert path.read_text().splitlines() == [
        stamp + 'GET /small.htm HTTP/1.1" 200 100',
        stamp + 'HEAD /no%20pe HTTP/1.1" 404 0',
        stamp + 'GET /\\x22\\x5C? HTTP/1.1" 404 0',
        stamp + 'GET /small.htm HTTP/1.1" 206 2',
        stamp + '-" 400 0',
    ]


def test_access_log_is_written_when_its_buffer_is_full(tmp_path: Path) -> None:
    log = AccessLog(str(tmp_path / "log"))
    for _ in range(BUFFER_MAX // 60):
        log.add("192.0.2.1", b"d", b"GET / HTTP/1.1" + b"x" * 40, 200, 1)
    assert os.path.getsize(tmp_path / "log") >= BUFFER_MAX
    os.close(log.fd)
    log.flush()  # a disk that fails loses lines, not connections


def test_the_log_is_written_when_the_last_connection_ends(root: Path, tmp_path: Path) -> None:
    path = tmp_path / "log"
    service = Service(load(str(root)), log=AccessLog(str(path)))
    loop = ScriptedLoop()
    one, other = (loop.open(factory(service)()) for _ in range(2))
    one.deliver(get("/small.htm"))
    one.finish()
    assert not path.read_bytes()
    other.finish()
    assert path.read_text().endswith('"GET /small.htm HTTP/1.1" 200 100\n')


def test_a_log_that_cannot_be_written() -> None:
    with pytest.raises(CortenError, match="/nowhere/log"):
        AccessLog("/nowhere/log")
