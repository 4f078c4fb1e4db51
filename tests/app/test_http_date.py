"""Dates are written as RFC 9110 wants them, and read in all of its three forms."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corten.app.http_date import format_date, format_log_date, parse_date

NOW = 1_800_000_000  # in 2027


@given(st.integers(0, 253402300799))
def test_a_date_is_written_and_read_back(seconds: int) -> None:
    text = format_date(seconds)
    assert text == formatdate(seconds, usegmt=True).encode()
    assert parse_date(text, NOW) == seconds


def test_the_three_forms_of_the_rfc() -> None:
    for text in (
        b"Sun, 06 Nov 1994 08:49:37 GMT",
        b"Sunday, 06-Nov-94 08:49:37 GMT",
        b"Sun Nov  6 08:49:37 1994",
    ):
        assert parse_date(text, NOW) == 784111777
    assert parse_date(b"Wed Nov 16 08:49:37 1994", NOW) == 784111777 + 10 * 86400


def test_a_year_of_two_digits_is_at_most_fifty_ahead() -> None:
    assert format_date(parse_date(b"Sunday, 06-Nov-77 08:49:37 GMT", NOW))[12:16] == b"2077"
    assert format_date(parse_date(b"Sunday, 06-Nov-78 08:49:37 GMT", NOW) + 2**33)  # in 1978
    assert parse_date(b"Sunday, 06-Nov-78 08:49:37 GMT", NOW) == 279190177


@pytest.mark.parametrize(
    "text",
    [
        b"", b"x", b"1994", b"Sun, 6 Nov 1994 08:49:37 GMT", b"Sun, 06 Nov 1994 08:49:37 UTC",
        b"Sun, 06 Nov 1994 08:49 GMT", b"Sun, 06 Nov 94 08:49:37 GMT",
        b"Sun, 32 Nov 1994 08:49:37 GMT",
        b"Sun, 31 Nov 1994 08:49:37 GMT", b"Sun, 06 nov 1994 08:49:37 GMT",
        b"sun, 06 Nov 1994 08:49:37 GMT",
        b"Sun, 06 Nov 1994 24:49:37 GMT", b"Sun, 06 Nov 1994 08:60:37 GMT",
        b"Sun, 06 Nov 1994 -8:49:37 GMT",
        b"Sun, 06 Nov 1994  08:49:37 GMT", b"Sunday, 06-Nov-1994 08:49:37 GMT",
        b"Sun Nov 6 08:49:37 1994",
        b"Sun, 06 Nov 1994 08:49:37 GMT ", b"Sun Nov  6 08:49:37 94", b"\xff",
        b"Sun, 06 Nov 0000 08:49:37 GMT",
        b"Sun, 06 Nov 1994 08:49:\xb2\xb3 GMT", b"Sun Nov  x 08:49:37 1994",
        b"Sunday, 06/Nov/94 08:49:37 GMT",
    ],
)  # fmt: skip
def test_what_is_no_date(text: bytes) -> None:
    assert parse_date(text, NOW) == -1


def test_the_log_has_a_form_of_its_own() -> None:
    assert format_log_date(784111777) == b"06/Nov/1994:08:49:37 +0000"
