"""Ranges and conditions, as RFC 9110 decides them."""

from __future__ import annotations

import pytest

from corten.app.http_head import Head
from corten.app.http_name import DONE
from corten.app.http_reply import Reply, decide, parse_range
from corten.app.site import Entry, Site, load
from corten.core.arena import Memory
from tests.app.site_tree import MODIFIED, make

BEFORE, AT, AFTER = (f"Tue, 14 Nov 2023 22:13:{second} GMT" for second in (19, 20, 21))
DATE = b"Wed, 15 Nov 2023 00:00:00 GMT"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return load(str(make(tmp_path_factory.mktemp("site"))))


def ask(site: Site, *lines: str, start: str = "GET /small.htm HTTP/1.1") -> Reply:
    data = "\r\n".join([start, "Host: a", *lines, "", ""]).encode()
    entry = site.resolve(b"/small.htm")
    assert isinstance(entry, Entry)
    data = data.replace(b"TAG", entry.etag)
    head = Head()
    head.feed(Memory(data), 0, len(data))
    assert head.verdict == DONE
    return decide(head, site.resolve(head.path()), DATE, MODIFIED + 6400)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"bytes=0-0", (0, 0)), (b"bytes=0-", (0, 99)), (b"bytes=99-", (99, 99)),
        (b"bytes=5-9", (5, 9)),
        (b"bytes=5-1000", (5, 99)), (b"bytes=-1", (99, 99)), (b"bytes=-100", (0, 99)),
        (b"bytes=-1000", (0, 99)),
        (b"BYTES = 1-2", (1, 2)), (b"bytes=100-", (1, 0)), (b"bytes=100-200", (1, 0)),
        (b"bytes=-0", (1, 0)),
        (b"bytes=9-5", None), (b"bytes=0-1,3-4", None), (b"bytes=", None), (b"bytes=-", None),
        (b"bytes", None),
        (b"bytes=a-b", None), (b"bytes=1-2x", None), (b"bytes=1 - 2", None),
        (b"octets=1-2", None), (b"", None),
        (b"bytes=+1-2", None), (b"bytes=1--2", None), (b"bytes=--2", None),
        (b"bytes=" + b"9" * 30 + b"-", None),
        (b"bytes=\xb2-", None), (b"bytes=" + b"9" * 19 + b"-", (1, 0)),
    ],
)  # fmt: skip
def test_parse_range(text: bytes, expected: tuple[int, int] | None) -> None:
    assert parse_range(text, 100) == expected


def test_a_range_of_an_empty_file_cannot_be_satisfied() -> None:
    assert parse_range(b"bytes=0-", 0) == (1, 0)
    first, last = parse_range(b"bytes=-5", 0) or (0, 0)
    assert first > last


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([], 200),
        (["If-None-Match: TAG"], 304), (["If-None-Match: W/TAG"], 304), (["If-None-Match: *"], 304),
        (['If-None-Match: "x", W/TAG ,"y"'], 304), (['If-None-Match: "x"'], 200),
        (["If-None-Match: x"], 200),
        (["If-None-Match: TAG", "If-None-Match: TAG"], 200), (["If-None-Match:"], 200),
        ([f"If-Modified-Since: {AT}"], 304), ([f"If-Modified-Since: {AFTER}"], 304),
        ([f"If-Modified-Since: {BEFORE}"], 200), (["If-Modified-Since: yesterday"], 200),
        (['If-None-Match: "x"', f"If-Modified-Since: {AT}"], 200),
        (["If-None-Match: TAG", f"If-Modified-Since: {BEFORE}"], 304),
        (["If-Match: TAG"], 200), (["If-Match: *"], 200), (['If-Match: "x", TAG'], 200),
        (['If-Match: "x"'], 412), (["If-Match: W/TAG"], 412),
        (["If-Match: TAG", "If-Match: TAG"], 412),
        ([f"If-Unmodified-Since: {AT}"], 200), ([f"If-Unmodified-Since: {AFTER}"], 200),
        ([f"If-Unmodified-Since: {BEFORE}"], 412), (["If-Unmodified-Since: x"], 200),
        (["If-Match: TAG", f"If-Unmodified-Since: {BEFORE}"], 200),
        (["If-Match: TAG", "If-None-Match: TAG"], 304),
        (["Range: bytes=0-9"], 206), (["Range: bytes=0-9,20-29"], 200),
        (["Range: bytes=100-"], 416),
        (["Range: bytes=0-9", "Range: bytes=0-9"], 200),
        (["Range: bytes=0-9", "If-None-Match: TAG"], 304),
        (["Range: bytes=0-9", "If-Range: TAG"], 206),
        (["Range: bytes=0-9", "If-Range: W/TAG"], 200),
        (["Range: bytes=0-9", 'If-Range: "x"'], 200),
        (["Range: bytes=0-9", f"If-Range: {AT}"], 206),
        (["Range: bytes=0-9", f"If-Range: {AFTER}"], 200),
        (["Range: bytes=100-", 'If-Range: "x"'], 200),
        (["Range: bytes=0-9", "If-Range: TAG", "If-Range: TAG"], 200), (["If-Range: TAG"], 200),
    ],
)  # fmt: skip
def test_conditions_and_ranges(site: Site, lines: list[str], status: int) -> None:
    reply = ask(site, *lines)
    assert reply.status == status
    assert reply.octets.startswith(b"HTTP/1.1 %d " % status)
    assert b"\r\nDate: " + DATE + b"\r\n" in reply.octets
    assert reply.body_len == {200: 100, 206: 10}.get(status, 0)


def test_a_range_is_not_for_head(site: Site) -> None:
    reply = ask(site, "Range: bytes=0-9", start="HEAD /small.htm HTTP/1.1")
    assert (reply.status, reply.body_len) == (200, 0)
    assert b"Content-Length: 100\r\n" in reply.octets


def test_what_a_partial_reply_says(site: Site) -> None:
    reply = ask(site, "Range: bytes=-5")
    assert b"Content-Range: bytes 95-99/100\r\n" in reply.octets
    assert b"Content-Length: 5\r\n" in reply.octets
    assert (reply.body_at, reply.body_len) == (95, 5)
    assert b"Content-Range: bytes */100\r\n" in ask(site, "Range: bytes=200-").octets


def test_304_says_no_length(site: Site) -> None:
    reply = ask(site, "If-None-Match: *")
    assert b"Content-Length" not in reply.octets
    assert b"ETag: " in reply.octets
    assert reply.octets.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("start", "status"),
    [
        ("POST /small.htm HTTP/1.1", 405), ("OPTIONS * HTTP/1.1", 405),
        ("CONNECT a:1 HTTP/1.1", 405),
        ("BREW /nothing HTTP/1.1", 405), ("GET /nothing HTTP/1.1", 404),
        ("HEAD /nothing HTTP/1.1", 404),
        ("GET /void/ HTTP/1.1", 403), ("HEAD /void/ HTTP/1.1", 403), ("GET /docs HTTP/1.1", 301),
        ("GET /.. HTTP/1.1", 400), ("GET http://a HTTP/1.1", 200),
        ("GET http://a/void/ HTTP/1.1", 403),
    ],
)  # fmt: skip
def test_statuses(site: Site, start: str, status: int) -> None:
    reply = ask(site, start=start)
    assert reply.status == status
    assert reply.keep_alive == (status != 400)
    head, _, body = reply.octets.partition(b"\r\n\r\n")
    if start.startswith("HEAD"):
        assert not body
    elif status != 200:
        assert f"Content-Length: {len(body)}\r\n".encode() in head + b"\r\n"
    assert (b"Allow: GET, HEAD" in head) == (status == 405)


def test_a_directory_is_left_for_its_slash_with_the_query(site: Site) -> None:
    assert b"\r\nLocation: /docs/?a=b\r\n" in ask(site, start="GET /docs?a=b HTTP/1.1").octets
    assert b"\r\nLocation: /sp%20ace/\r\n" in ask(site, start="GET /sp%20ace HTTP/1.1").octets


@pytest.mark.parametrize(
    ("version", "line", "says"),
    [
        ("1.1", "X: y", b""), ("1.1", "Connection: close", b"close"), ("1.0", "X: y", b"close"),
        ("1.0", "Connection: keep-alive", b"keep-alive"),
    ],
)  # fmt: skip
def test_what_is_said_of_the_connection(site: Site, version: str, line: str, says: bytes) -> None:
    reply = ask(site, line, start=f"GET /nothing HTTP/{version}")
    assert (b"\r\nConnection: " + says + b"\r\n" in reply.octets) == bool(says)
    assert (b"\r\nConnection:" in reply.octets) == bool(says)
