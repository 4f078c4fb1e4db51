"""The C library's calls for packet sockets. Compiled only: declared in the .pxd beside this."""

import cython  # noqa: F401  # which makes this the twin of its .pxd
