"""The C library's calls for sockets and epoll. Compiled only: declared in the .pxd beside this.

Plain, `system.py` and `epoll.py` use Python's own modules instead.
"""

import cython  # noqa: F401  # which makes this the twin of its .pxd
