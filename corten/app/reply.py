"""The head of an HTTP reply, as a client of our own servers needs it (RFC 9112, 4 and 6.3)."""

from __future__ import annotations

END = b"\r\n\r\n"
HEAD_MAX = 16384


class ReplyError(Exception):
    """What came is no reply that can be measured; `kind` names it in the table of errors."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


def parse_reply(head: bytes) -> tuple[int, int, bool]:
    """(status, content length, whether the server keeps the connection) of a whole head.

    A reply must say its length: chunks and replies that end with the connection are refused.
    """
    lines = head.removesuffix(END).split(b"\r\n")
    words = lines[0].split(b" ", 2)
    if len(words) < 2 or words[0] not in (b"HTTP/1.1", b"HTTP/1.0") or not words[1].isdigit():
        raise ReplyError("no HTTP reply")
    keep = words[0] == b"HTTP/1.1"
    length = -1
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon:
            raise ReplyError("bad field")
        name, value = name.lower(), value.strip()
        if name == b"content-length":
            if length >= 0 or not value.isdigit():
                raise ReplyError("bad length")
            length = int(value)
        elif name == b"transfer-encoding":
            raise ReplyError("no length")
        elif name == b"connection":
            keep = value.lower() == b"keep-alive" or (keep and value.lower() != b"close")
    status = int(words[1])
    if length < 0:
        if status not in (204, 304):
            raise ReplyError("no length")
        length = 0
    return status, length, keep
