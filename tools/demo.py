"""`./dev demo`: the whole way from a TAP device to a page, shown and measured on this machine.

In network namespaces of its own it starts the static server on Corten's stack, fetches every page
of the sample site with curl and compares the bytes, loads it with wrk (or with `corten load` where
wrk is missing), does the same with the same server on the kernel's sockets, and prints a table.
Nothing is left behind: namespaces, devices and processes end with this process, however it ends.

As an ordinary user it runs in a user namespace, where the system permits one.
`--serve` keeps the server up on the host until Ctrl-C; that needs root, for the device is real.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import signal
import struct
import sys
import tempfile
import time

from bench.client import Load, drive, site_pages
from bench.machine import find, missing
from bench.namespace import Namespace, NamespaceError, become_root_inside, cubic_allowed
from bench.process import Process, ProcessError
from bench.report import table
from bench.server import (
    CLIENT_ADDRESS,
    PORT,
    SERVER_ADDRESS,
    CortenKernel,
    CortenTap,
    Server,
    Setting,
    corten,
)

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_DEVICE = "corten0"
_TUNSETIFF = 0x400454CA
_TAP_FLAGS = 0x0002 | 0x1000  # IFF_TAP, IFF_NO_PI
_HEAD = ["server", "requests/s", "Gbit/s", "p50 ms", "p99 ms", "errors"]


def main() -> int:
    options = _options()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        if line := missing(["curl", "ip", "taskset"]):
            raise NamespaceError(line)
        return _serve(options) if options.serve else _demonstrate(options)
    except (NamespaceError, ProcessError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; nothing is left behind")
        return 0 if options.serve else 130


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__.split("\n")[0])
    parser.add_argument("--serve", action="store_true", help="keep the server up on the host")
    parser.add_argument("--seconds", type=float, default=5.0, help="of load on each server")
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=1)
    return parser.parse_args()


# -- in namespaces ----------------------------------------------------------------------------


def _demonstrate(options: argparse.Namespace) -> int:
    privileged = os.geteuid() == 0
    if not privileged:
        become_root_inside()
    _check_tap()
    with tempfile.TemporaryDirectory(prefix="corten-demo-") as work, cubic_allowed():
        site = _site(os.path.join(work, "site"))
        last = min(1, (os.cpu_count() or 1) - 1)
        setting = Setting(site, work, (0, last))
        rows = [_HEAD]
        for kind, title in ((CortenTap, "Corten on TAP"), (CortenKernel, "on kernel sockets")):
            if not privileged:
                kind.steered = False  # pinning a kernel thread takes the real root
            with kind(setting) as server:
                print(f"{title}: {server.url}", flush=True)
                rows.append([title, *_measure(server, site, options)])
    print(f"\nrandom pages of the sample site, {options.connections:,} keep-alive connections\n")
    print(table(rows))
    return 0


def _site(root: str) -> str:
    """Generate the sample site; where it is."""
    words = [sys.executable, "-m", "corten.app.sample", root]
    process = Process(words, None, None, directory=_ROOT)
    try:
        process.wait(120)
    finally:
        process.stop()
    return root


def _measure(server: Server, site: str, options: argparse.Namespace) -> list[str]:
    """Compare the bytes of all pages, then load the server; its row of the table."""
    pages = site_pages(site)
    octets = _compare(server, site, pages)
    print(f"  curl: {len(pages)} pages, {octets / 1e6:.1f} MB, byte for byte the same", flush=True)
    if find("wrk"):
        script = os.path.join(_ROOT, "bench", "pages.lua")
        load = Load(options.connections, pages[0], script=script)
        result = drive(server, load, options.seconds)
        figures = [result.rate, result.gigabits, result.p50_us, result.p99_us, result.failed]
        print("  wrk: done", flush=True)
    else:
        figures = _own_load(server, pages, options)
        print("  corten load: done (apt-get install wrk for an independent client)", flush=True)
    rate, gigabits, p50, p99, errors = figures
    milliseconds = [f"{p50 / 1000:.2f}", f"{p99 / 1000:.2f}"]
    return [f"{rate:,.0f}", f"{gigabits:.2f}", *milliseconds, f"{errors:.0f}"]


def _compare(server: Server, site: str, pages: list[str]) -> int:
    """Fetch every page with one curl and compare; how many octets they were."""
    with tempfile.TemporaryDirectory(prefix="corten-demo-") as target:
        config = os.path.join(target, "config")
        with open(config, "w", encoding="ascii") as file:
            for page in pages:
                file.write(f'url = "{server.url}{page}"\noutput = "{target}/{page}"\n')
        words = ["curl", "-sS", "--fail", "--noproxy", "*", "--max-time", "60", "-K", config]
        process = Process(words, server.client, None)
        try:
            process.wait(90)
        finally:
            process.stop()
        total = 0
        for page in pages:
            with open(f"{site}/{page}", "rb") as one, open(f"{target}/{page}", "rb") as other:
                expected = one.read()
                if expected != other.read():
                    raise ProcessError(f"/{page}: not the bytes of the file")
            total += len(expected)
    return total


def _own_load(server: Server, pages: list[str], options: argparse.Namespace) -> list[float]:
    """`corten load` on kernel sockets, where there is no wrk."""
    words = [*corten(), "load", *(server.url + page for page in pages)]
    words += ["--link", f"kernel,address={CLIENT_ADDRESS}", "--json"]
    words += ["-c", str(options.connections), "-d", str(options.seconds)]
    process = Process(words, server.client, server.cores[1], directory=_ROOT)
    try:
        found = json.loads(process.wait(options.seconds + 90).strip().splitlines()[-1])
    finally:
        process.stop()
    names = ("requests_per_second", "gigabits_per_second", "p50_us", "p99_us")
    return [*(found[name] for name in names), sum(found["errors"].values())]


def _check_tap() -> None:
    """NamespaceError unless this process may make a TAP device in a namespace of its own."""
    path = "/dev/net/tun"
    if not os.path.exists(path):
        raise NamespaceError(f"{path} is missing: sudo modprobe tun")
    if not os.access(path, os.R_OK | os.W_OK):
        raise NamespaceError(f"no permission for {path}: sudo chmod 666 {path}, or run as root")
    probe = Namespace("probe")
    try:
        with probe.inside(), open(path, "r+b", buffering=0) as tun:
            fcntl.ioctl(tun, _TUNSETIFF, struct.pack("16sH22x", b"probe", _TAP_FLAGS))
    except OSError as error:
        raise NamespaceError(f"cannot make a TAP device: {error.strerror}; run as root") from None
    finally:
        probe.close()


# -- on the host ------------------------------------------------------------------------------


def _serve(options: argparse.Namespace) -> int:
    if os.geteuid() != 0:
        raise NamespaceError("--serve makes a device on the host: sudo ./dev demo --serve")
    with tempfile.TemporaryDirectory(prefix="corten-demo-") as work:
        site = _site(os.path.join(work, "site"))
        link = f"tap:{_DEVICE},address={SERVER_ADDRESS}/24,host={CLIENT_ADDRESS}/24"
        words = [*corten(), "httpd", str(PORT), site, "--link", link]
        words += ["--workers", str(options.workers)]
        server = Process(words, None, None, directory=_ROOT)
        try:
            server.expect("ready")
            print(f"http://{SERVER_ADDRESS}:{PORT}/0.htm … 499.htm   Ctrl-C stops", flush=True)
            while True:
                _rates(server)
        finally:
            server.stop()


def _rates(server: Process) -> None:
    """One live line, over one second."""
    before = _statistics()
    time.sleep(1.0)
    server.check()
    received, sent, octets = (b - a for a, b in zip(before, _statistics(), strict=True))
    # the device counts from the kernel's side: what it receives is what Corten sends
    gigabits = f"{octets * 8 / 1e9:6.2f} Gbit/s out "
    print(f"\r{sent:>9,} frames/s in  {received:>9,} out  {gigabits}", end="", flush=True)


def _statistics() -> tuple[int, int, int]:
    """The device's counters: frames received, frames sent, octets received."""
    with open("/proc/net/dev", encoding="ascii") as file:
        for line in file:
            name, _, rest = line.partition(":")
            if name.strip() == _DEVICE:
                words = rest.split()
                return int(words[1]), int(words[9]), int(words[0])
    raise ProcessError(f"the device {_DEVICE} is gone")


if __name__ == "__main__":
    sys.exit(main())
