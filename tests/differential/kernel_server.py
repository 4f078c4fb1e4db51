"""What listens on the kernel's side: one plain program per behaviour, as `roles.py` has for ours.

`python -m tests.differential.kernel_server ADDRESS` prints a line of JSON when it is ready.
"""

from __future__ import annotations

import json
import selectors
import socket
import struct
import sys
from collections.abc import Callable

from tests.differential.roles import ABORT, CLOSE, DISCARD, ECHO, GREETING, HALF, SOURCE, STREAM

Reader = Callable[[socket.socket, bytes], None]


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Server:
    """One selector over everything."""

    def __init__(self, address: str) -> None:
        self.selector = selectors.DefaultSelector()
        for port in (ECHO, DISCARD, SOURCE, CLOSE, ABORT, HALF):
            listening = socket.create_server((address, port), backlog=64)
            listening.setblocking(False)
            self.selector.register(listening, selectors.EVENT_READ, ("accept", port))

    def run(self) -> None:
        print(json.dumps({"ready": True}), flush=True)
        while True:
            for key, _ in self.selector.select():
                what, port = key.data
                assert isinstance(key.fileobj, socket.socket)
                if what == "accept":
                    self._accept(key.fileobj, port)
                else:
                    self._read(key.fileobj, port)

    def _accept(self, listening: socket.socket, port: int) -> None:
        try:
            connection, _ = listening.accept()
        except OSError:
            return  # silent: reset before it was taken
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if port == SOURCE:
            # how much a buffer takes at first depends on the congestion control; this must not wait
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * len(STREAM))
            connection.sendall(STREAM)
        elif port == CLOSE:
            connection.sendall(GREETING)
            connection.close()
            return
        self.selector.register(connection, selectors.EVENT_READ, ("read", port))

    def _read(self, connection: socket.socket, port: int) -> None:
        try:
            data = connection.recv(65536)
        except OSError:
            data = b""
        if not data:
            self.selector.unregister(connection)
            connection.close()
        elif port == ECHO:
            connection.sendall(data)
        elif port == HALF:
            connection.shutdown(socket.SHUT_WR)
        elif port == ABORT:
            self.selector.unregister(connection)
            _reset(connection)


if __name__ == "__main__":
    Server(sys.argv[1]).run()
