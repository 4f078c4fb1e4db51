"""`python -m bench.bulk_client ADDRESS PORT out|in CONNECTIONS SECONDS`: the far end of bulk.

On kernel sockets. `out`: the server sends, and each octet is compared here; `in`: it is sent to,
and says at the end how much came right. Prints JSON: octets and the seconds that they took.
"""

from __future__ import annotations

import json
import selectors
import socket
import struct
import sys
import time

from bench.bulk_server import right_len
from bench.flow import BLOCK

_STORE_LEN = 1 << 18
_PATIENCE_S = 10.0


def take(ends: list[socket.socket], seconds: float) -> tuple[int, float]:
    """Be sent, for so long; octets and seconds. SystemExit for a wrong octet."""
    selector = selectors.DefaultSelector()
    for end in ends:
        selector.register(end, selectors.EVENT_READ, [0])
        end.sendall(b"s")
    store = memoryview(bytearray(_STORE_LEN))
    began = now = time.monotonic()
    while now - began < seconds:
        for key, _ in selector.select(_PATIENCE_S):
            assert isinstance(key.fileobj, socket.socket)
            length = key.fileobj.recv_into(store)
            if length == 0 or right_len(store[:length], key.data[0]) < length:
                sys.exit(f"wrong octets, or an end, near {key.data[0]}")
            key.data[0] += length
        now = time.monotonic()
    return sum(key.data[0] for key in selector.get_map().values()), now - began


def give(ends: list[socket.socket], seconds: float) -> tuple[int, float]:
    """Send, for so long, and ask how much came; octets and seconds until all have answered."""
    selector = selectors.DefaultSelector()
    for end in ends:
        selector.register(end, selectors.EVENT_WRITE, [0])
        end.sendall(b"r")
    began = time.monotonic()
    block = memoryview(BLOCK)
    while time.monotonic() - began < seconds:
        for key, _ in selector.select(_PATIENCE_S):
            assert isinstance(key.fileobj, socket.socket)
            key.data[0] += key.fileobj.send(block[key.data[0] % len(BLOCK) :])
    sent = {key.fileobj: key.data[0] for key in selector.get_map().values()}
    total = 0
    for end in ends:
        end.shutdown(socket.SHUT_WR)
    for end in ends:
        end.setblocking(True)
        end.settimeout(_PATIENCE_S)
        (count,) = struct.unpack(">q", end.recv(8, socket.MSG_WAITALL))
        if count != sent[end]:
            sys.exit(f"sent {sent[end]} octets, {count} came right")
        total += count
    return total, time.monotonic() - began


def main(address: str, port: str, way: str, connections: str, seconds: str) -> None:
    ends = [socket.create_connection((address, int(port)), 10) for _ in range(int(connections))]
    for end in ends:
        end.setblocking(False)
    octets, taken = (take if way == "out" else give)(ends, float(seconds))
    print(json.dumps({"octets": octets, "seconds": taken}))


if __name__ == "__main__":
    main(*sys.argv[1:])
