"""What a request line has seldom: other methods than GET, other versions than 1.1 (RFC 9112, 3)."""

from __future__ import annotations

import cython
from cython.cimports.corten.app.http_name import CONNECT, CUT, HEAD, OPTIONS, OTHER_METHOD
from cython.cimports.corten.core.arena import Memory
from cython.cimports.corten.core.field import get8
from cython.cimports.corten.core.scan import same_octets


@cython.cfunc
def method_number(memory: Memory, at: cython.Py_ssize_t, length: cython.Py_ssize_t) -> cython.int:
    """Which of the methods that the server knows beside GET this token is."""
    if length == 4 and same_octets(memory, at, b"HEAD"):
        return HEAD
    if length == 7 and same_octets(memory, at, b"OPTIONS"):
        return OPTIONS
    if length == 7 and same_octets(memory, at, b"CONNECT"):
        return CONNECT
    return OTHER_METHOD


@cython.cfunc
def odd_version(memory: Memory, at: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """Where an HTTP-version and its CRLF end that are cut, wrong, or of another version, read octet
    by octet; CUT, or the status that refuses it, negative."""
    i: cython.Py_ssize_t
    octet: cython.uint
    wanted: bytes = b"HTTP/0.0\r\n"
    for i in range(10):
        if at + i == end:
            return CUT
        octet = get8(memory, at + i)
        if i in (5, 7):
            if octet < 0x30 or octet > 0x39:
                return -400
        elif octet != cython.cast(cython.uchar, wanted[i]):
            return -400
    return at + 10 if get8(memory, at + 5) == 0x31 else -505
