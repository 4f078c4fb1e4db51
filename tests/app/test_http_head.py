"""The request head: each rule of RFC 9112 that it keeps, and limits."""

from __future__ import annotations

import pytest

from corten.app.http_head import Head
from corten.app.http_name import (
    CONNECT,
    DONE,
    FIELDS_MAX,
    GET,
    HEAD,
    HEAD_MAX,
    IF_NONE_MATCH,
    METHOD_MAX,
    MORE,
    OPTIONS,
    OTHER_METHOD,
    RANGE,
    TARGET_MAX,
)
from corten.core.arena import Memory


def parse(data: bytes, *cuts: int) -> Head:
    """Feed the octets in pieces that end at `cuts`."""
    head = Head()
    start = 0
    for end in (*cuts, len(data)):
        piece = data[start:end]
        head.feed(Memory(b"??" + piece + b"??"), 2, len(piece))
        start = end
        if head.verdict != MORE:
            break
    return head


def request(*lines: str, start: str = "GET / HTTP/1.1", host: bool = True) -> bytes:
    first = [start, "Host: a"] if host else [start]
    return "\r\n".join([*first, *lines, "", ""]).encode("latin-1")


def verdict(*lines: str, start: str = "GET / HTTP/1.1", host: bool = True) -> int:
    return parse(request(*lines, start=start, host=host)).verdict


def test_a_common_get() -> None:
    data = b"GET /0.htm?x HTTP/1.1\r\nHost: 10.0.2.2\r\nAccept: */*\r\n\r\nGET /next"
    head = Head()
    assert head.feed(Memory(data), 0, len(data)) == data.index(b"GET /next")
    assert (head.verdict, head.method, head.minor, head.keep_alive) == (DONE, GET, 1, True)
    assert head.path() == b"/0.htm?x"
    assert head.request_line() == b"GET /0.htm?x HTTP/1.1"


def test_every_cut_gives_the_same_head() -> None:
    data = (
        b"\r\nHEAD http://h:80/a/b?c=d HTTP/1.1\r\nhOST:h\r\nRange: \t bytes=0-4 \t\r\n"
        b"Connection: foo ,\tclose\r\nIf-None-Match: \"x\"\r\nX: y\r\n\r\n"
    )  # fmt: skip
    for first in range(len(data)):
        for second in range(first, len(data), 7):
            head = parse(data, first, second)
            assert (head.verdict, head.method, head.length) == (DONE, HEAD, len(data))
            assert head.path() == b"/a/b?c=d"
            assert head.texts[RANGE] == b"bytes=0-4"
            assert head.texts[IF_NONE_MATCH] == b'"x"'
            assert not head.keep_alive
            assert head.request_line() == b"HEAD http://h:80/a/b?c=d HTTP/1.1"


def test_one_octet_at_a_time_takes_no_more_than_the_head() -> None:
    data = request("Range: bytes=1-")
    head = Head()
    for octet in data:
        assert head.verdict == MORE
        assert head.feed(Memory(bytes((octet, 65))), 0, 1) == 1
    assert head.verdict == DONE
    head.reset()
    assert head.feed(Memory(data[:-1]), 0, len(data) - 1) == len(data) - 1
    assert head.feed(Memory(b"\nGET"), 0, 4) == 1


def test_keep_copies_a_head_that_lay_elsewhere() -> None:
    data = bytearray(request("Range: bytes=1-", start="GET /kept HTTP/1.1"))
    head = Head()
    head.feed(Memory(data), 0, len(data))
    head.keep()
    data[:] = b"?" * len(data)
    assert head.path() == b"/kept"


@pytest.mark.parametrize(
    ("method", "number"),
    [("GET", GET), ("HEAD", HEAD), ("OPTIONS", OPTIONS), ("CONNECT", CONNECT),
     ("POST", OTHER_METHOD), ("get", OTHER_METHOD), ("!#$%&'*+-.^_`|~9", OTHER_METHOD)],
)  # fmt: skip
def test_methods(method: str, number: int) -> None:
    head = parse(request(start=f"{method} /x HTTP/1.1"))
    assert (head.verdict, head.method) == (DONE, number)


@pytest.mark.parametrize(
    "start",
    [
        "GET  / HTTP/1.1", " GET / HTTP/1.1", "GET /  HTTP/1.1", "GET / HTTP/1.1 ",
        "GET\t/ HTTP/1.1",
        "GET / http/1.1", "GET / HTTP/1,1", "GET / HTTP/11", "GET / HTTP/1.11", "GET / HTP/1.1",
        "GET /", "GET / ", "GET", "GET ", " ", "G(T / HTTP/1.1", "G\x80T / HTTP/1.1",
        "GET /a b HTTP/1.1", "GET /\x7f HTTP/1.1", "GET /é HTTP/1.1", "GET /a#b HTTP/1.1",
        "GET /\x00 HTTP/1.1", "M" * (METHOD_MAX + 1) + " / HTTP/1.1", "\x16\x03\x01\x02",
        "GET a/b HTTP/1.1", "GET * HTTP/1.1", "GET host:80 HTTP/1.1", "GET https://a/ HTTP/1.1",
        "GET http:///x HTTP/1.1", "GET http://u@h/x HTTP/1.1", "GET http://a\\b/ HTTP/1.1",
        "GET http:// HTTP/1.1", "OPTIONS x HTTP/1.1", "POST * HTTP/1.1",
    ],
)  # fmt: skip
def test_bad_request_lines(start: str) -> None:
    assert verdict(start=start) == 400


@pytest.mark.parametrize("version", ["2.0", "0.9", "3.1", "9.9", "0.0"])
def test_other_major_versions(version: str) -> None:
    assert verdict(start=f"GET / HTTP/{version}") == 505
    assert parse(b"PRI * HTTP/2.0\r\n").verdict == 505


def test_a_later_minor_version_is_one_we_can_read() -> None:
    head = parse(request(start="GET / HTTP/1.7"))
    assert (head.verdict, head.minor, head.keep_alive) == (DONE, 7, True)


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/", b"/"), ("/a?b", b"/a?b"), ("http://h", b""), ("HTTP://h:1/x?y", b"/x?y"),
        ("http://h?q", b"?q"), ("http://[::1]:80/", b"/"), ("//h/x", b"//h/x"),
        ('/"<>\\^`{|}', None),
    ],
)  # fmt: skip
def test_targets(target: str, path: bytes | None) -> None:
    head = parse(request(start=f"GET {target} HTTP/1.1"))
    assert head.verdict == DONE
    assert head.path() == (target.encode() if path is None else path)


@pytest.mark.parametrize(
    "start", ["OPTIONS * HTTP/1.1", "CONNECT h:1 HTTP/1.1", "OPTIONS / HTTP/1.1"]
)
def test_targets_that_the_method_refuses_later(start: str) -> None:
    assert verdict(start=start) == DONE


@pytest.mark.parametrize(
    "line",
    [
        "X : y", "X\t: y", ": y", "X", " folded: line", "\tfolded", "X: a\x00b", "X: a\x01",
        "X: \x7f",
        "X: a\rb", "X: a\nb", "X: a\x0bb", "X(: y", "X\x80: y", "X: a\r\n b", '"X": y', "X/y: z",
        "\r",
    ],
)  # fmt: skip
def test_bad_field_lines(line: str) -> None:
    assert verdict(line) == 400


@pytest.mark.parametrize(
    "line", ["X:", "X: ", "X:\t \t", "X:y", "X: \x80\xff", "!#$: a\tb", "X: a:b"]
)
def test_odd_but_right_field_lines(line: str) -> None:
    assert verdict(line) == DONE


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\nHost: a\n\n", b"GET / HTTP/1.1\r\nHost: a\r\n\n"]
)
def test_a_bare_lf_ends_no_line(data: bytes) -> None:
    assert parse(data).verdict == 400


def test_empty_lines_before_a_request() -> None:
    assert parse(b"\r\n\r\n" + request()).verdict == DONE
    assert parse(b"\r" + request()).verdict == 400
    assert parse(b"\n" + request()).verdict == 400
    assert parse(b"\r\n" * HEAD_MAX).verdict == 431


def test_host() -> None:
    assert verdict(host=False) == 400
    assert verdict("Host: b") == 400
    assert verdict("Host: a", start="GET / HTTP/1.0", host=False) == DONE
    assert verdict(start="GET / HTTP/1.0", host=False) == DONE
    assert verdict("Host: a", start="GET / HTTP/1.0") == 400
    for good in ("", "a:80", "[::1]:8", "a_b~%20"):
        assert verdict(f"Host: {good}", host=False) == DONE
    for bad in ("a b", "a/b", "a@b", "a\\b", "\xe9", "a?b", "a#", "<a>"):
        assert verdict(f"Host: {bad}", host=False) == 400


@pytest.mark.parametrize(
    ("version", "lines", "keeps"),
    [
        ("1.1", [], True), ("1.1", ["Connection: close"], False),
        ("1.1", ["Connection: CLOSE"], False),
        ("1.1", ["Connection: keep-alive"], True), ("1.1", ["Connection: a,close, b"], False),
        ("1.1", ["Connection: keep-alive", "Connection: close"], False),
        ("1.1", ["Connection:"], True),
        ("1.1", ["Connection: closed, xclose, clos"], True),
        ("1.1", ["Connection: ,,close"], False),
        ("1.0", [], False), ("1.0", ["Connection: keep-alive"], True),
        ("1.0", ["Connection: Keep-Alive, close"], False), ("1.0", ["Connection: upgrade"], False),
    ],
)  # fmt: skip
def test_who_keeps_the_connection(version: str, lines: list[str], keeps: bool) -> None:
    head = parse(request(*lines, start=f"GET / HTTP/{version}"))
    assert (head.verdict, head.keep_alive) == (DONE, keeps)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["Content-Length: 5"], DONE), (["Content-Length: 0"], DONE),
        (["Content-Length: 007"], DONE),
        (["Content-Length: " + "9" * 40], DONE), (["Content-Length:"], 400),
        (["Content-Length: +5"], 400),
        (["Content-Length: -5"], 400), (["Content-Length: 5a"], 400),
        (["Content-Length: 0x5"], 400),
        (["Content-Length: 5 5"], 400), (["Content-Length: 5, 5"], 400),
        (["Content-Length: 5.0"], 400),
        (["Content-Length: 5", "Content-Length: 5"], 400),
        (["Content-Length: 5", "content-length: 6"], 400),
        (["Transfer-Encoding: chunked"], DONE), (["Transfer-Encoding: Chunked"], DONE),
        (["Transfer-Encoding: gzip"], 501), (["Transfer-Encoding: gzip, chunked"], 501),
        (["Transfer-Encoding: identity"], 501), (["Transfer-Encoding:"], 501),
        (["Transfer-Encoding: chunked, chunked"], 501), (["Transfer-Encoding: xchunked"], 501),
        (["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"], 400),
        (["Transfer-Encoding: chunked", "Content-Length: 5"], 400),
        (["Content-Length: 5", "Transfer-Encoding: chunked"], 400),
        (["Expect: 100-continue"], DONE), (["Expect: 100-Continue"], DONE),
        (["Expect: 200-ok"], 417),
    ],
)  # fmt: skip
def test_framing(lines: list[str], expected: int) -> None:
    assert verdict(*lines) == expected


def test_a_transfer_coding_in_1_0_is_refused() -> None:
    assert verdict("Transfer-Encoding: chunked", start="GET / HTTP/1.0") == 400


def test_expect_is_not_for_1_0() -> None:
    assert not parse(request("Expect: 100-continue", start="GET / HTTP/1.0")).continues
    assert parse(request("Expect: 100-continue")).continues


def test_content_length_stops_counting() -> None:
    assert parse(request("Content-Length: 42")).content_length == 42
    assert parse(request("Content-Length: " + "9" * 40)).content_length == 10**18


def test_repeated_fields_are_known() -> None:
    head = parse(request("Range: bytes=0-1", "Range: bytes=2-3"))
    assert head.seen >> RANGE & 1
    assert head.repeated >> RANGE & 1
    assert not head.repeated >> IF_NONE_MATCH & 1


@pytest.mark.parametrize("step", [None, 1000, 1])
def test_a_target_that_is_too_long(step: int | None) -> None:
    for extra, expected in ((0, DONE), (1, 414)):
        data = request(start="GET /" + "a" * (TARGET_MAX - 1 + extra) + " HTTP/1.1")
        cuts = range(step, len(data), step) if step else ()
        assert parse(data, *cuts).verdict == expected
    assert parse(b"GET /" + b"a" * TARGET_MAX).verdict == 414  # without waiting for its end


@pytest.mark.parametrize("step", [None, 61, 4096, 1])
def test_a_head_that_is_too_long(step: int | None) -> None:
    empty = request("X: ")
    for extra, expected in ((0, DONE), (1, 431)):
        data = request("X: " + "y" * (HEAD_MAX - len(empty) + extra))
        cuts = range(step, len(data), step) if step else ()
        assert parse(data, *cuts).verdict == expected
    assert parse(request("X: " + "y" * HEAD_MAX)[:-4], *range(1000, 16000, 1000)).verdict == 431


@pytest.mark.parametrize("start", ["GET /", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nX: "])
@pytest.mark.parametrize("last", [b"\x01", b"\xff", b"\x7f"])
def test_a_cut_run_ends_where_it_would_have_uncut(start: str, last: bytes) -> None:
    """Target, name and value are not read again for each piece of them: the verdict is the same."""
    data = start.encode() + b"a" * 300 + last
    whole = parse(data)
    for step in (1, 7, 150):
        pieces = parse(data, *range(step, len(data), step))
        assert (pieces.verdict, pieces.at) == (whole.verdict, 0)


def test_too_many_fields() -> None:
    assert verdict(*["X: y"] * (FIELDS_MAX - 1)) == DONE
    assert verdict(*["X: y"] * FIELDS_MAX) == 431


def test_what_is_clearly_wrong_is_not_waited_for() -> None:
    for start in (
        b"\x16",
        b"GET /\r",
        b"GET / \r",
        b"GET / HTTP/1.1\r\nX ",
        b"GET / HTTP/1.1\r\n ",
    ):
        assert parse(start).verdict == 400
    for start in (
        b"",
        b"G",
        b"GET",
        b"GET /",
        b"GET / HTTP/1.1\r",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r",
    ):
        assert parse(start).verdict == MORE


def test_a_range_outside_the_memory_raises() -> None:
    for at, length in ((-1, 1), (0, 5), (3, 2), (0, -1)):
        with pytest.raises(IndexError):
            Head().feed(Memory(b"GET "), at, length)
