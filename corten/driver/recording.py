"""A capture's file: bounded, whole at every instant, readable while it grows.

Strategy. What a burst has to say is one write() to the file: nothing waits in this process, so what
is written stays when it is killed. A file that has had half of what is allowed takes the name
NAME.old.SUFFIX, in place of the one before, and a new one begins: the two hold the latest `limit`
octets at the most, each of them a capture of its own.

Rules. The file is made for its owner alone: it holds what people say. A disk that is full or gone
ends the recording with one line in the log; it never disturbs the link.
"""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path
from typing import Any

from corten.endpoint.error import CortenError
from corten.wire.pcapng import start

log = logging.getLogger("corten")

LIMIT = 64 << 20  # octets of both files, where nothing else is said
_MODE = 0o600
_SECTION = b"\x0a\x0d\x0d\x0a"  # what every pcapng file begins with


class Recording:
    """The blocks of one link, in a file or in any object with `write`."""

    def __init__(self, file: Any, link_type: int, name: str = "", limit: int = LIMIT) -> None:
        """`file`: a path, or an open binary file, which is written without a limit and not closed.
        CortenError, one line, for a path that cannot be written."""
        self.octets = 0
        self._start = start(link_type, name)
        self._half = max(limit // 2, len(self._start))
        self._path = None if hasattr(file, "write") else Path(file)
        self._file = file if self._path is None else None
        self._fd = -1
        if self._path is None:
            file.write(self._start)
            return
        try:
            self._begin()
        except OSError as error:
            raise CortenError(f"capture={file}: {error.strerror}: choose another name") from None

    def write(self, blocks: list[bytes]) -> None:
        """Append whole blocks."""
        if self._file is not None:
            self._file.write(b"".join(blocks))
        elif self._fd >= 0:
            try:
                self._append(blocks)
            except (OSError, CortenError) as error:
                log.warning("capture %s ends here: %s", self._path, error)
                self.close()

    def close(self) -> None:
        """Calling it again does nothing."""
        self._file = None
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _append(self, blocks: list[bytes]) -> None:
        """One write for all that the file still takes."""
        waiting = bytearray()
        for each in blocks:
            size = self.octets + len(waiting)
            if size + len(each) > self._half and size > len(self._start):
                self._put(waiting)
                waiting = bytearray()
                self._begin()
            waiting += each
        self._put(waiting)

    def _put(self, data: bytes | bytearray) -> None:
        view = memoryview(data)
        while view:
            done = os.write(self._fd, view)
            self.octets += done
            view = view[done:]

    def _begin(self) -> None:
        """A new file; what is there takes its older name. OSError, CortenError."""
        assert self._path is not None
        self._make_way(self._path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        fd = os.open(self._path, flags, _MODE)
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = fd
        self.octets = 0
        self._put(self._start)

    def _make_way(self, path: Path) -> None:
        """Rename an older capture. Nothing else is touched: a name may be mistyped."""
        try:
            kind = os.lstat(path)
        except FileNotFoundError:  # silent: there is room
            return
        if not stat.S_ISREG(kind.st_mode):
            raise CortenError(f"capture={path}: is there and no file: choose another name")
        with open(path, "rb") as file:
            head = file.read(len(_SECTION))
        if head not in (b"", _SECTION):
            raise CortenError(f"capture={path}: is there and no capture: choose another name")
        os.replace(path, path.with_name(f"{path.stem}.old{path.suffix}"))
