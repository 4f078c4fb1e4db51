"""Error numbers as the errors that handlers meet."""

from __future__ import annotations

import errno
import os

_SAID: dict[int, type[OSError]] = {
    # writing to a connection that the peer has reset says EPIPE where the peer had sent FIN before
    errno.EPIPE: ConnectionResetError,
    # nobody answered, by whichever way the kernel found out
    errno.EHOSTUNREACH: TimeoutError,
}


def error_of(number: int) -> OSError:
    """The error of a connection that ended with this error number."""
    kind = _SAID.get(number, OSError)
    return kind(number, os.strerror(number))
