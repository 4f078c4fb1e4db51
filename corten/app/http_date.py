"""Dates as HTTP writes them (RFC 9110, 5.6.7): in GMT and in English, whatever the locale."""

from __future__ import annotations

from calendar import timegm
from time import gmtime

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LONG_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip


def format_date(seconds: int) -> bytes:
    """IMF-fixdate of seconds since 1970: b"Sun, 06 Nov 1994 08:49:37 GMT"."""
    t = gmtime(seconds)
    return b"%s, %02d %s %04d %02d:%02d:%02d GMT" % (
        _DAYS[t.tm_wday].encode(),
        t.tm_mday,
        _MONTHS[t.tm_mon - 1].encode(),
        t.tm_year,
        t.tm_hour,
        t.tm_min,
        t.tm_sec,
    )


def format_log_date(seconds: int) -> bytes:
    """As the common log format writes it: b"06/Nov/1994:08:49:37 +0000"."""
    t = gmtime(seconds)
    return b"%02d/%s/%04d:%02d:%02d:%02d +0000" % (
        t.tm_mday,
        _MONTHS[t.tm_mon - 1].encode(),
        t.tm_year,
        t.tm_hour,
        t.tm_min,
        t.tm_sec,
    )


def parse_date(text: bytes, now: int) -> int:
    """Seconds since 1970 of any of the three forms of HTTP-date, or -1 when it is none.

    A two-digit year (RFC 850 form) that looks more than 50 years ahead of `now` is in the past.
    """
    try:
        words = text.decode("ascii").split(" ")
    except UnicodeDecodeError:
        return -1  # silent: it is the answer
    if len(words) == 6 and words[5] == "GMT" and words[0][-1:] == "," and words[0][:-1] in _DAYS:
        if len(words[1]) == 2 and len(words[3]) == 4:
            return _seconds(words[1], words[2], words[3], words[4])
    elif len(words) == 4 and words[3] == "GMT" and words[0][-1:] == ",":
        parts = words[1].split("-")
        if words[0][:-1] in _LONG_DAYS and len(parts) == 3 and _is_number(parts[2], 2):
            this_year = gmtime(now).tm_year
            year = this_year // 100 * 100 + int(parts[2])
            if year > this_year + 50:
                year -= 100
            return _seconds(parts[0], parts[1], str(year), words[2])
    elif len(words) in (5, 6) and words[0] in _DAYS:
        if len(words) == 6 and words[2] == "" and _is_number(words[3], 1):  # "Nov  6"
            words[2:4] = ["0" + words[3]]
        if len(words) == 5:
            return _seconds(words[2], words[1], words[4], words[3])
    return -1


def _seconds(day: str, month: str, year: str, clock: str) -> int:
    parts = clock.split(":")
    if month not in _MONTHS or not _is_number(day, 2) or not _is_number(year, 4):
        return -1
    if len(parts) != 3 or not all(_is_number(part, 2) for part in parts):
        return -1
    hour, minute, second = (int(part) for part in parts)
    number = _MONTHS.index(month) + 1
    longest = 29 if number == 2 else 30 if number in (4, 6, 9, 11) else 31
    if not 1 <= int(day) <= longest or hour > 23 or minute > 59 or second > 60 or int(year) < 1:
        return -1
    return timegm((int(year), number, int(day), hour, minute, second))


def _is_number(text: str, length: int) -> bool:
    return len(text) == length and text.isascii() and text.isdigit()
