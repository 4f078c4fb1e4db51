"""The parser against h11 and httptools (llhttp): on a corpus, and on what a mutator makes of it.

Three parsers of a strict mind agree on nearly everything. Where ours differs it is by decision:
`DEVIATIONS` lists each with its reason, and a deviation that no longer occurs fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import h11
import httptools
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from corten.app.http_body import Body
from corten.app.http_head import Head
from corten.app.http_name import DONE, MORE
from corten.core.arena import Memory

# What a parser read: (method, target, whether the connection stays), or None: refused, or "more".
Seen = tuple[bytes, bytes, bool] | str | None


def ours(data: bytes) -> Seen:
    head = Head()
    taken = head.feed(Memory(data), 0, len(data))
    if head.verdict == DONE and (head.chunked or head.content_length):
        body = Body(head)
        body.feed(Memory(data), taken, len(data) - taken)
        if body.verdict == MORE:
            return "more"
        if body.verdict != DONE:
            return None
    if head.verdict != DONE:
        return "more" if head.verdict == MORE else None
    method, target, _ = head.request_line().split(b" ")
    return method, target, head.keep_alive


def by_h11(data: bytes) -> Seen:
    server = h11.Connection(h11.SERVER)
    server.receive_data(data)
    request = None
    try:
        while True:
            event = server.next_event()
            if isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.EndOfMessage):
                break
            elif not isinstance(event, h11.Data):
                return "more"
    except h11.RemoteProtocolError:
        return None
    assert request is not None
    server.send(h11.Response(status_code=405, headers=[("Content-Length", "0")]))
    server.send(h11.EndOfMessage())
    return request.method, request.target, server.our_state is h11.DONE


class _Whole(Exception):
    """Stops httptools after the first message."""


def by_httptools(data: bytes) -> Seen:
    class Sink:
        target = b""
        keeps = False

        def on_url(self, url: bytes) -> None:
            self.target += url

        def on_message_complete(self) -> None:
            self.keeps = parser.should_keep_alive()
            raise _Whole

    sink = Sink()
    parser = httptools.HttpRequestParser(sink)
    try:
        parser.feed_data(data)
    except httptools.HttpParserCallbackError:
        return parser.get_method(), sink.target, sink.keeps
    except httptools.HttpParserUpgrade:
        return parser.get_method(), sink.target, parser.should_keep_alive()
    except httptools.HttpParserError:
        return None
    return "more"


def _has(pattern: bytes) -> Callable[[bytes], bool]:
    search = re.compile(pattern, re.IGNORECASE | re.DOTALL).search
    return lambda data: search(data) is not None


class Deviation(NamedTuple):
    """Where we differ: which requests it may concern, one that it does, from whom, and why."""

    applies: Callable[[bytes], bool]
    example: bytes
    whom: str  # "h11", "httptools" or "both"
    why: str


def _get(lines: bytes = b"", start: bytes = b"GET / HTTP/1.1\r\nHost: a\r\n") -> bytes:
    return start + lines + b"\r\n"


def _chunks(body: bytes) -> bytes:
    return _get(b"Transfer-Encoding: chunked\r\n") + body


DEVIATIONS = {
    "bare LF": Deviation(
        _has(rb"(?<!\r)\n|\r(?!\n)"),
        b"GET / HTTP/1.1\nHost: a\n\n",
        "both",
        "refused: a line ends in CR LF; where parsers disagree on that, requests are smuggled",
    ),
    "folded line": Deviation(
        _has(rb"\n[ \t]"), _get(b"X: y\r\n z\r\n"), "h11", "refused (RFC 9112, 5.2 allows it)"
    ),
    "no version": Deviation(
        _has(rb"^(\r\n)*\S+ \S*\r"),
        b"GET /\r\nHost: a\r\n\r\n",
        "httptools",
        "refused: HTTP/0.9 has gone",
    ),
    "fragment": Deviation(
        _has(rb"^(\r\n)*\S* \S*#"),
        _get(start=b"GET /a#b HTTP/1.1\r\nHost: a\r\n"),
        "both",
        "refused: a fragment is never sent (RFC 9112, 3.2)",
    ),
    "other target": Deviation(
        _has(rb"^(\r\n)*\S+ +(?!/)"),
        _get(start=b"GET x HTTP/1.1\r\nHost: a\r\n"),
        "both",
        "refused: not a form that the method may use, another scheme than http, no host, or user"
        " information; what follows CONNECT is not looked at",
    ),
    "two spaces": Deviation(
        _has(rb"^(\r\n)*[^\r\n]*  "),
        _get(start=b"GET  / HTTP/1.1\r\nHost: a\r\n"),
        "httptools",
        "refused: the request line has single spaces (RFC 9112, 3)",
    ),
    "host value": Deviation(
        _has(rb"\nhost:[^\r\n]*[^-\w.~!$&'()*+,;=%:\[\]\r\n]"),
        _get(start=b"GET / HTTP/1.1\r\nHost: a/b\r\n"),
        "both",
        "refused: not a host (RFC 9112, 3.2)",
    ),
    "control in a value": Deviation(
        _has(rb":[^\r\n]*[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"),
        _get(b"X: \x01\r\n"),
        "h11",
        "refused (RFC 9110, 5.5)",
    ),
    "length and chunked": Deviation(
        _has(rb"\ncontent-length:.*\ntransfer-encoding:|\ntransfer-encoding:.*\ncontent-length:"),
        _get(b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n") + b"0\r\n\r\n",
        "h11",
        "refused: request smuggling (RFC 9112, 6.3)",
    ),
    "length twice": Deviation(
        _has(rb"\ncontent-length:(.*\ncontent-length:|[^\n]*,)"),
        _get(b"Content-Length: 1\r\nContent-Length: 1\r\n") + b"a",
        "h11",
        "refused (RFC 9110, 8.6 allows both)",
    ),
    "transfer coding": Deviation(
        _has(rb"\ntransfer-encoding:"),
        _get(b"Transfer-Encoding: gzip, chunked\r\n") + b"0\r\n\r\n",
        "httptools",
        "501 to anything but chunked, 400 to it in HTTP/1.0",
    ),
    "transfer coding in 1.0": Deviation(
        _has(rb"HTTP/1.0\r.*\ntransfer-encoding:"),
        _get(b"Transfer-Encoding: chunked\r\n", b"GET / HTTP/1.0\r\n") + b"0\r\n\r\n",
        "h11",
        "refused: its framing cannot be trusted (RFC 9112, 6.1)",
    ),
    "expectation": Deviation(
        _has(rb"\nexpect:"), _get(b"Expect: x\r\n"), "both", "417 (RFC 9110, 10.1.1)"
    ),
    "large body": Deviation(
        _has(rb"\ncontent-length: *\d{5,}|\n[0-9a-f]{5,}"),
        _get(b"Content-Length: 70000\r\n") + b"a" * 70000,
        "both",
        "413: a server of files reads past a body only when it is small",
    ),
    "version": Deviation(
        _has(rb"^(\r\n)*\S+ \S+ HTTP/(?!1\.[01]\r)"),
        _get(start=b"GET / HTTP/2.0\r\nHost: a\r\n"),
        "both",
        "505 to another major version; a later minor one is read as 1.1 (RFC 9110, 2.5)",
    ),
    "chunk extension": Deviation(
        _has(rb"\ntransfer-encoding:.*\n[0-9a-f]+[ \t;]"),
        _chunks(b"1 \r\na\r\n0\r\n\r\n"),
        "h11",
        "refused: no whitespace after a chunk's size (RFC 9112, 7.1.1)",
    ),
    "empty line first": Deviation(
        _has(rb"^\r\n"), b"\r\n" + _get(), "h11", "accepted (RFC 9112, 2.2)"
    ),
    "no host": Deviation(
        lambda data: not _has(rb"\nhost:")(data),
        _get(start=b"GET / HTTP/1.1\r\n"),
        "httptools",
        "refused (RFC 9112, 3.2)",
    ),
    "two hosts": Deviation(
        _has(rb"\nhost:.*\nhost:"), _get(b"Host: a\r\n"), "httptools", "refused (RFC 9112, 3.2)"
    ),
    "unknown method": Deviation(
        lambda data: data.lstrip(b"\r\n").partition(b" ")[0] not in KNOWN_METHODS,
        _get(start=b"GRT / HTTP/1.1\r\nHost: a\r\n"),
        "httptools",
        "accepted, to be answered 405",
    ),
    "connection options": Deviation(
        _has(rb"\nconnection:"),
        _get(b"Connection: keep-alive\r\n", b"GET / HTTP/1.0\r\n"),
        "h11",
        "it never keeps a 1.0 connection",
    ),
    "connection options of 1.0": Deviation(
        _has(rb"\nconnection:"),
        _get(b"Connection: keep-alive, close\r\n", b"GET / HTTP/1.0\r\n"),
        "httptools",
        "close is the stronger (RFC 9112, 9.3)",
    ),
}

KNOWN_METHODS = set(
    b"GET HEAD POST PUT DELETE OPTIONS TRACE PATCH CONNECT MKCOL COPY MOVE LOCK SEARCH".split()
)
GOOD = [
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /0.htm HTTP/1.1\r\nHost: 10.0.2.2\r\n\r\n",
    b"GET /a/b/c.html?x=1&y=%20 HTTP/1.1\r\nHost: a:8080\r\nUser-Agent: c\r\nAccept: */*\r\n\r\n",
    b"HEAD /x HTTP/1.1\r\nhost: a\r\nConnection: close\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    b"GET / HTTP/1.0\r\nHost: a\r\nAccept: text/html\r\n\r\n",
    b"GET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST /f HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
    b"POST /f HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;x\r\na\r\n0\r\nT: v\r\n\r\n",
    b"PUT /f HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nCookie: a=b; c=d\r\nX-Odd!#$%&'*+-.^_`|~: \x80\xff\t x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost:a\r\nEmpty:\r\nBlank: \t \r\nRange: bytes=0-1\r\nX: \"x\"\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nExpect: 100-continue\r\n\r\n",
    b"DELETE /x HTTP/1.1\r\nHost: [::1]:80\r\nAccept-Encoding: gzip, br\r\n\r\n",
]  # fmt: skip
BAD = [
    b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX y: z\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
    b"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / FTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1\r\nHost: a\r\n\r\n",
    b"G\x80T / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: y\r\rZ: a\r\n\r\n",
]
BAD_TO_ONE = [  # refused by us and at least one of the others
    b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\na",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n",
    b"GET /\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n",
]  # fmt: skip


@pytest.mark.parametrize("data", GOOD)
def test_all_three_accept_and_read_the_same(data: bytes) -> None:
    seen = ours(data)
    assert isinstance(seen, tuple)
    assert seen == by_h11(data)
    assert seen == by_httptools(data)


@pytest.mark.parametrize("data", BAD)
def test_all_three_refuse(data: bytes) -> None:
    assert (ours(data), by_h11(data), by_httptools(data)) == (None, None, None)


@pytest.mark.parametrize("data", BAD_TO_ONE)
def test_ours_takes_the_stricter_side(data: bytes) -> None:
    assert ours(data) is None
    assert None in (by_h11(data), by_httptools(data))


def compare(data: bytes) -> list[str]:
    """Who reads this request otherwise than we do."""
    seen = ours(data)
    others = (("h11", by_h11(data)), ("httptools", by_httptools(data)))
    # "more": how early an error is noticed is each parser's own affair
    return [name for name, theirs in others if theirs != seen and "more" not in (seen, theirs)]


def check(data: bytes) -> None:
    """We read what the others read, but for the deviations; and cuts change nothing."""
    for other in compare(data):
        excuses = [d for d in DEVIATIONS.values() if d.whom in ("both", other) and d.applies(data)]
        assert excuses, f"{other} differs"
    cut = Head()
    for octet in data:
        if cut.verdict != MORE:
            break
        cut.feed(Memory(bytes((octet,))), 0, 1)
    whole = Head()
    whole.feed(Memory(data), 0, len(data))
    assert cut.verdict == whole.verdict


PIECES = [
    b"\r\n", b"\n", b"\r", b" ", b"\t", b":", b",", b";", b"\0", b"\x7f", b"\x80", b"#", b"?", b"*",
    b"GET", b"HTTP/1.1", b"HTTP/1.0", b"HTTP/2.0", b"/", b"http://", b"Host: a\r\n", b"Host: ",
    b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n",
    b"Connection: keep-alive\r\n", b"X: y\r\n", b"0", b"5", b"\r\n\r\n",
    b"Expect: 100-continue\r\n",
]  # fmt: skip


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A request of the corpus with a few octets removed, inserted or changed."""
    data = bytearray(draw(st.sampled_from(GOOD + BAD)))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(data)))
        kind = draw(st.integers(0, 3))
        if kind == 0:
            del data[at : at + draw(st.integers(1, 6))]
        elif kind == 1:
            data[at:at] = draw(st.sampled_from(PIECES))
        elif kind == 2 and at < len(data):
            data[at] = draw(st.integers(0, 255))
        else:
            piece = bytes(data[at : at + draw(st.integers(1, 20))])
            data[at:at] = piece
    return bytes(data)


@settings(max_examples=1500)
@given(mutated())
def test_mutations_are_read_alike(data: bytes) -> None:
    check(data)


@pytest.mark.parametrize("name", DEVIATIONS)
def test_a_deviation_is_as_it_is_described(name: str) -> None:
    deviation = DEVIATIONS[name]
    assert deviation.applies(deviation.example)
    differ = compare(deviation.example)
    assert differ if deviation.whom == "both" else deviation.whom in differ
