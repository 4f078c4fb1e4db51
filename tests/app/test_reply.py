"""Reply heads: what is taken, and the name under which anything else is refused."""

from __future__ import annotations

import pytest

from corten.app.reply import ReplyError, parse_reply


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", (200, 5, True)),
        (b"HTTP/1.1 200\r\ncontent-length:0\r\n\r\n", (200, 0, True)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n", (200, 5, False)),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", (200, 5, False)),
        (b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 5\r\n\r\n", (200, 5, True)),
        (b"HTTP/1.1 304 Not Modified\r\nDate: x: y\r\n\r\n", (304, 0, True)),
    ],
)
def test_a_reply_is_read(head: bytes, expected: tuple[int, int, bool]) -> None:
    assert parse_reply(head) == expected


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"SSH-2.0-x\r\n\r\n", "no HTTP reply"),
        (b"HTTP/1.1 abc OK\r\n\r\n", "no HTTP reply"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "no length"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "no length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "bad length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", "bad length"),
        (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "bad field"),
    ],
)
def test_anything_else_is_refused_by_name(head: bytes, kind: str) -> None:
    with pytest.raises(ReplyError) as caught:
        parse_reply(head)
    assert caught.value.kind == kind
