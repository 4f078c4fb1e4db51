"""The memif wire: `corten httpd` at one end, and a client on a stack of ours at the other.

No program of the kernel's can be the client here. `fetch` is this file, run as a program:
`python -m tests.acceptance.memif LINK FOLDER`, the pages in FOLDER/pages.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import corten
from bench.namespace import Namespace
from bench.process import Process
from corten.endpoint.connection import Connection
from tests.acceptance.serving import ADDRESS, CLIENT_ADDRESS, URL, Httpd
from tests.acceptance.wire import Wire
from tests.netns import ROOT

_FETCHERS = 16
_PAGES_S = 50.0


class Memif(Wire):
    """A socket in a folder of its own."""

    def __init__(self, space: Namespace) -> None:
        super().__init__(space)
        self.folder = tempfile.mkdtemp(prefix="corten-memif-")
        self.link = f"memif:{self.folder}/s,address={ADDRESS}/24"
        self.client_link = f"memif:{self.folder}/s,role=client,address={CLIENT_ADDRESS}/24"

    def fetch(self, pages: list[str], folder: Path) -> None:
        (folder / "pages").write_text("\n".join(pages), encoding="ascii")
        words = [sys.executable, "-m", "tests.acceptance.memif", self.client_link, str(folder)]
        client = Process(words, self.client, None, directory=str(ROOT))
        try:
            client.wait(_PAGES_S)
        finally:
            client.stop()

    def failed(self, server: Httpd, connections: int, seconds: float, pages: list[str]) -> int:
        words = [sys.executable, "-m", "corten", "load", "--json", "--hashes"]
        words += [*(URL + page for page in pages), "--link", self.client_link]
        words += ["-c", str(connections), "-d", str(seconds)]
        process = Process(words, self.client, None, directory=str(ROOT))
        try:
            process.popen.wait(seconds + 90)
            found = json.loads(process.text().strip().splitlines()[-1])
        finally:
            process.stop()
        assert found["requests"] > connections
        failed: int = sum(found["errors"].values())
        return failed

    def close(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


class Fetcher(corten.Handler):
    """One of several connections that ask for a page after the other."""

    left: list[str]
    folder: Path
    fetching = 0

    def on_open(self, connection: Connection) -> None:
        Fetcher.fetching += 1
        self._data = b""
        self._ask(connection)

    def _ask(self, connection: Connection) -> None:
        if self.left:
            self._page = self.left.pop()
            connection.send(f"GET /{self._page} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        else:
            connection.close()

    def on_data(self, connection: Connection, data: bytes) -> None:
        self._data += data
        head, end, body = self._data.partition(b"\r\n\r\n")
        if end:
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            if len(body) >= length:
                (self.folder / self._page).write_bytes(body)
                self._data = b""
                self._ask(connection)

    def on_close(self, connection: Connection, error: Exception | None) -> None:
        if error is not None:
            print(f"failed: {error}", flush=True)
        Fetcher.fetching -= 1
        if not Fetcher.fetching:
            connection.worker.stop()


def main(link: str, folder: str) -> None:
    Fetcher.folder = Path(folder)
    Fetcher.left = (Fetcher.folder / "pages").read_text(encoding="ascii").split("\n")

    def begin(worker: Any) -> None:
        for _ in range(_FETCHERS):
            worker.connect(ADDRESS, 80, Fetcher)

    corten.serve({}, [link], setup=begin, supervised=False)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
