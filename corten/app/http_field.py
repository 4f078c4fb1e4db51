"""The octets and the names of header fields (RFC 9110, 5)."""

from __future__ import annotations

import cython
from cython.cimports.corten.app.http_name import (
    BLANK_CLASS,
    CONNECTION,
    CONTENT_LENGTH,
    EXPECT,
    HOST,
    HOST_CLASS,
    IF_MATCH,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    IF_RANGE,
    IF_UNMODIFIED_SINCE,
    LENGTH_MAX,
    RANGE,
    TARGET_CLASS,
    TEXT_CLASS,
    TOKEN_CLASS,
    TRANSFER_ENCODING,
)
from cython.cimports.corten.core.arena import Memory
from cython.cimports.corten.core.field import get8
from cython.cimports.corten.core.scan import Classes, same_folded


def _classes() -> Classes:
    table = bytearray(256)
    alphanumeric = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    for octets, bit in (
        (alphanumeric + b"!#$%&'*+-.^_`|~", TOKEN_CLASS),
        (bytes(range(0x21, 0x7F)).replace(b"#", b""), TARGET_CLASS),
        (alphanumeric + b"-._~!$&'()*+,;=%:[]", HOST_CLASS),
        (b" \t", BLANK_CLASS),
        (b"\t" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100)), TEXT_CLASS),
    ):
        for octet in octets:
            table[octet] |= bit
    return Classes(bytes(table))


CLASSES: Classes = _classes()


@cython.cfunc
def field_number(memory: Memory, at: cython.Py_ssize_t, length: cython.Py_ssize_t) -> cython.int:
    """Which of the fields that the server looks at this name is, or -2."""
    field: cython.int = -2
    if length == 4 and same_folded(memory, at, b"host"):
        field = HOST
    elif length == 5 and same_folded(memory, at, b"range"):
        field = RANGE
    elif length == 6 and same_folded(memory, at, b"expect"):
        field = EXPECT
    elif length == 8:
        if same_folded(memory, at, b"if-match"):
            field = IF_MATCH
        elif same_folded(memory, at, b"if-range"):
            field = IF_RANGE
    elif length == 10 and same_folded(memory, at, b"connection"):
        field = CONNECTION
    elif length == 13 and same_folded(memory, at, b"if-none-match"):
        field = IF_NONE_MATCH
    elif length == 14 and same_folded(memory, at, b"content-length"):
        field = CONTENT_LENGTH
    elif length == 17:
        if same_folded(memory, at, b"if-modified-since"):
            field = IF_MODIFIED_SINCE
        elif same_folded(memory, at, b"transfer-encoding"):
            field = TRANSFER_ENCODING
    elif length == 19 and same_folded(memory, at, b"if-unmodified-since"):
        field = IF_UNMODIFIED_SINCE
    return field


@cython.cfunc
def content_length(
    memory: Memory, at: cython.Py_ssize_t, end: cython.Py_ssize_t
) -> cython.longlong:
    """Content-Length = 1*DIGIT (RFC 9110, 8.6), or -1. Beyond LENGTH_MAX it stops counting."""
    total: cython.ulonglong = 0
    octet: cython.uint
    if at == end:
        return -1
    while at < end:
        octet = get8(memory, at)
        if octet < 0x30 or octet > 0x39:
            return -1
        total = min(total * 10 + (octet - 0x30), LENGTH_MAX)
        at += 1
    return total
