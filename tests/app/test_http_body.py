"""Bodies are passed over exactly, however they are cut; too long or malformed is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.app.http_body import BODY_MAX, FRAMING_MAX, Body
from corten.app.http_head import Head
from corten.app.http_name import DONE, MORE
from corten.core.arena import Memory


def body_of(field: bytes) -> Body:
    data = b"POST / HTTP/1.1\r\nHost: a\r\n" + field + b"\r\n\r\n"
    head = Head()
    head.feed(Memory(data), 0, len(data))
    assert head.verdict == DONE
    return Body(head)


def pass_over(body: Body, data: bytes, step: int = 1 << 20) -> int:
    """Feed in pieces of `step`; how many octets were the body's."""
    taken = 0
    for at in range(0, len(data), step):
        piece = data[at : at + step]
        taken += body.feed(Memory(b"?" + piece), 1, len(piece))
        if body.verdict != MORE:
            break
    return taken


@pytest.mark.parametrize("step", [1, 3, 1000])
def test_known_length(step: int) -> None:
    body = body_of(b"Content-Length: 10")
    assert pass_over(body, b"0123456789GET /", step) == 10
    assert body.verdict == DONE


def test_lengths_at_the_limit() -> None:
    assert body_of(b"Content-Length: %d" % BODY_MAX).verdict == MORE
    assert body_of(b"Content-Length: %d" % (BODY_MAX + 1)).verdict == 413
    assert body_of(b"Content-Length: 99999999999999999999999").verdict == 413
    assert body_of(b"Content-Length: 0").verdict == DONE


GOOD = [
    b"0\r\n\r\n",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"A\r\n0123456789\r\na\r\n0123456789\r\n00\r\n\r\n",
    b'5;name="v \t\xff";x\r\nhello\r\n0;last\r\n\r\n',
    b"1\r\n\n\r\n0\r\nTrailer: v\r\nX-Y!:\r\n\r\n",
]
BAD = [
    b"\r\n", b"x\r\n", b" 5\r\n", b"5 \r\n", b"5\n", b"5\r\r", b"-1\r\n", b"5\r\nhello0",
    b"5\r\nhello\n", b"5\r\nhello\r0", b"0\r\nT\r\n", b"0\r\nT : v\r\n", b"0\r\n: v\r\n",
    b"0\r\n folded\r\n", b"0\r\n\rx",
    b"0\r\nT: \x00", b"0\r\nT: v\rx", b"5;\x01", b"5;\x7f", b"0x5\r\n", b"0\r\n\n", b"0\r\nT: \x7f",
]  # fmt: skip


@pytest.mark.parametrize("data", GOOD)
@pytest.mark.parametrize("step", [1, 2, 1000])
def test_chunks(data: bytes, step: int) -> None:
    body = body_of(b"Transfer-Encoding: chunked")
    assert pass_over(body, data + b"GET / HTTP/1.1", step) == len(data)
    assert body.verdict == DONE


@pytest.mark.parametrize("data", BAD)
@pytest.mark.parametrize("step", [1, 1000])
def test_bad_chunks(data: bytes, step: int) -> None:
    body = body_of(b"Transfer-Encoding: chunked")
    pass_over(body, data, step)
    assert body.verdict == 400


@given(st.lists(st.binary(min_size=1, max_size=300), max_size=8), st.integers(1, 50))
def test_any_chunks_at_any_cut(chunks: list[bytes], step: int) -> None:
    data = b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in chunks) + b"0\r\n\r\n"
    body = body_of(b"Transfer-Encoding: chunked")
    assert pass_over(body, data + b"\r\nrest", step) == len(data)
    assert body.verdict == DONE


def test_chunks_are_bounded_in_sum() -> None:
    half = b"%x\r\n%s\r\n" % (BODY_MAX // 2, b"a" * (BODY_MAX // 2))
    fits = body_of(b"Transfer-Encoding: chunked")
    pass_over(fits, half + half + b"0\r\n\r\n", 1000)
    assert fits.verdict == DONE
    long = body_of(b"Transfer-Encoding: chunked")
    pass_over(long, half + half + b"1\r\n", 1000)
    assert long.verdict == 413
    huge = body_of(b"Transfer-Encoding: chunked")
    pass_over(huge, b"f" * 40)
    assert huge.verdict == 413


@pytest.mark.parametrize("start", [b"5;", b"0\r\nT: ", b"0" * 10, b"0\r\n" + b"T: v\r\n" * 4000])
def test_framing_is_bounded(start: bytes) -> None:
    body = body_of(b"Transfer-Encoding: chunked")
    filler = b"0" if start.startswith(b"00") else b"x"
    pass_over(body, start + filler * FRAMING_MAX, 700)
    assert body.verdict == 413
