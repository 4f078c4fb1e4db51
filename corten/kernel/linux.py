"""The C library's calls for sockets and epoll. Compiled only: declared in the .pxd beside this.

Plain, `system.py` and `epoll.py` use Python's own modules instead.
"""

import cython as cython
