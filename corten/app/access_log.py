"""The access log, in the common log format, buffered: a line costs a few hundred nanoseconds and a
write comes once in a second or in 64 KiB.

Several workers append to one file: each write holds whole lines and O_APPEND keeps them whole.
"""

from __future__ import annotations

import os
import re

from corten.endpoint.error import CortenError

BUFFER_MAX = 65536  # octets held back, or one write
_ODD = re.compile(rb'[\x00-\x1f"\\\x7f-\xff]')


class AccessLog:
    """Lines on their way to a file."""

    def __init__(self, path: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        try:
            self.fd = os.open(path, flags, 0o644)
        except OSError as error:
            raise CortenError(f"cannot write {path}: {error.strerror}") from None
        self._lines: list[bytes] = []
        self._length = 0

    def add(self, host: str, date: bytes, request: bytes, status: int, length: int) -> None:
        """One request: who, when, its request line, the status and the octets of the body."""
        shown = _ODD.sub(lambda odd: b"\\x%02X" % odd[0][0], request)
        line = b'%s - - [%s] "%s" %d %d\n' % (host.encode(), date, shown, status, length)
        self._lines.append(line)
        self._length += len(line)
        if self._length >= BUFFER_MAX:
            self.flush()

    def flush(self) -> None:
        """Write what is held back. A disk that is full loses lines, not connections."""
        data = b"".join(self._lines)
        self._lines.clear()
        self._length = 0
        try:
            while data:
                data = data[os.write(self.fd, data) :]
        except OSError:  # silent: serving goes on
            pass
