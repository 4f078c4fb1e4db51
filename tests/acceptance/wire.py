"""The wires that a server of ours is tried over: a class each, named in `WIRES`.

A `Wire` lays the way between the server and its client, and says how each of them uses it. To add
one: subclass it, lay the wire in `__init__` (skip the test there where the machine cannot), say
`link`, and name the class in `WIRES`; `tests/acceptance/test_pages.py` runs over each of them.

    server    the namespace that `corten httpd` runs in
    client    the namespace of the client's programs; the server's own where nothing else is said
    link      the server's `--link`, but for `offload=`
    fetch     every page into a folder, by curl
    failed    requests that failed under a load, by wrk

A client that is no program of the kernel's overrides `fetch` and `failed`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.namespace import Namespace
from bench.process import Process
from tests.acceptance.serving import ADDRESS, CLIENT_ADDRESS, LINK, URL, Httpd, failed_under_load
from tests.netns import namespace

_CURL = ["curl", "-sS", "--fail", "--noproxy", "*", "--max-time", "60"]
_CURL += ["--parallel", "--parallel-max", "16", "-K"]
_PAGES_S = 50.0  # for all of them


class Wire:
    """A server's side and a client's, of one namespace at first."""

    link = ""
    has_offload = True  # whether offload=on is another thing than offload=off

    def __init__(self, space: Namespace) -> None:
        """Lay it. `space`: a new namespace, the caller's to close."""
        self.server = self.client = space

    def httpd(self, site: Path, workers: int, offload: str) -> Httpd:
        """The server, running; a context."""
        return Httpd(
            self.server,
            site,
            workers=workers,
            offload=offload,
            link=self.link,
            client=self.client,
        )

    def fetch(self, pages: list[str], folder: Path) -> None:
        """Each page of the running server as a file of its name. ProcessError when one fails."""
        config = folder / "config"
        lines = [f'url = "{URL}{page}"\noutput = "{folder / page}"\n' for page in pages]
        config.write_text("".join(lines), encoding="ascii")
        client = Process([*_CURL, str(config)], self.client, None)
        try:
            client.wait(_PAGES_S)
        finally:
            client.stop()

    def failed(self, server: Httpd, connections: int, seconds: float, pages: list[str]) -> int:
        """Requests without a good reply, of random pages."""
        return failed_under_load(server, connections, seconds, pages)

    def close(self) -> None:
        """Let go of what `__init__` made."""


class Tap(Wire):
    """A TAP device, and the kernel that it is a wire to."""

    link = LINK


class Packet(Wire):
    """One end of a veth pair, and the kernel at the other end, in a namespace of its own."""

    link = f"packet:wire,address={ADDRESS}/24"

    def __init__(self, space: Namespace) -> None:
        self.server = space
        self.client = Namespace("client")
        lay_veth(self.server, self.client, f"{CLIENT_ADDRESS}/24")

    def close(self) -> None:
        self.client.close()


WIRES: dict[str, type[Wire]] = {"tap": Tap, "packet": Packet}


def lay_veth(server: Namespace, client: Namespace, client_address: str) -> None:
    """A veth pair, `wire` at both ends, up; an address at the client's end alone."""
    words = ["link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", client.path]
    server.ip(*words)
    client.ip("address", "add", client_address, "dev", "wire")
    for side in (server, client):
        side.ip("link", "set", "wire", "up")


@contextmanager
def laid(name: str) -> Iterator[Wire]:
    """The wire of a name for the block; the test is skipped where there can be none."""
    with namespace("server") as space:
        wire = WIRES[name](space)
        try:
            yield wire
        finally:
            wire.close()
