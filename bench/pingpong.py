"""`python -m bench.pingpong ADDRESS PORT SECONDS`: one octet there and back, on a kernel socket.

One connection, one octet outstanding; what comes back is compared. Prints JSON (times in
microseconds). The client is the same whoever answers, and so is what Python adds to each turn.
"""

from __future__ import annotations

import json
import socket
import sys
import time

from corten.app.histogram import Histogram

_WARM_UP = 500


def main(address: str, port: int, seconds: float) -> None:
    histogram = Histogram()
    with socket.create_connection((address, port), 10) as end:
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        count, until = 0, 0
        now = time.perf_counter_ns()
        while count <= _WARM_UP or now < until:
            asked = b"%c" % (count & 0xFF)
            begun = time.perf_counter_ns()
            end.sendall(asked)
            got = end.recv(16)
            now = time.perf_counter_ns()
            if got != asked:
                sys.exit(f"sent {asked!r}, got {got!r}")
            if count == _WARM_UP:
                until = now + int(seconds * 1e9)
            elif count > _WARM_UP:
                histogram.record(now - begun)
            count += 1
    names = {"p50_us": 50.0, "p99_us": 99.0, "p999_us": 99.9}
    found = {name: histogram.percentile(share) / 1000 for name, share in names.items()}
    print(json.dumps({"count": histogram.count, **found}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
