"""`corten load` at a rate, on Corten's own stack over a TAP device, as people call it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.namespace import Namespace
from tests.netns import ROOT, namespace

pytestmark = pytest.mark.e2e

_SERVER = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    def do_GET(self):
        self.send_response(200)
        self.send_header("X-Peer", "p")
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")
        print(self.client_address[0], flush=True)
    def log_message(self, *_):
        pass
class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 128
Server(("0.0.0.0", 8080), Handler).serve_forever()
"""


def load(space: Namespace, *options: str) -> dict[str, object]:
    """Run it in the namespace; what it found."""
    link = "tap:load,address=10.7.0.2/24,host=10.7.0.1/24"
    words = [sys.executable, "-m", "corten", "load", "http://10.7.0.1:8080/", "--json"]
    done = subprocess.run(
        [*words, "--link", link, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        preexec_fn=space.preparation(),
        timeout=40,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_requests_and_connections_at_a_rate_from_many_addresses(tmp_path: Path) -> None:
    with namespace("load") as space, open(tmp_path / "peers", "w+b") as peers:
        server = subprocess.Popen(
            [sys.executable, "-c", _SERVER],
            stdout=peers,
            preexec_fn=space.preparation(),  # noqa: PLW1509  (the tests run no threads)
        )
        try:
            table, log = tmp_path / "table.txt", tmp_path / "log.hlog"
            files = ["--percentiles", str(table), "--histogram-log", str(log)]
            kept = load(space, "-c", "4", "--rate", "100", "-d", "0.5", *files)
            closed = load(
                space, "-c", "20", "--rate", "100", "-d", "0.5", "--close", "--sources", "8"
            )
        finally:
            server.kill()
            server.wait()
        peers.seek(0)
        seen = set(peers.read().split())
    for found in (kept, closed):
        assert found["errors"] == {}
        assert found["scheduled"] == found["answered"] == 50
    assert closed["opened"] == 100  # with the warm-up's
    assert seen == {b"10.7.0.%d" % i for i in range(2, 10)}
    assert "Percentile" in table.read_text()
    assert "HISTFAAA" in log.read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--rate", "-1"], "--rate -1: from 0"),
        (["--rate", "5", "--hold"], "without --hold"),
        (["--poisson"], "it needs --rate"),
        (["--pipeline", "0"], "--pipeline 0: from 1 to"),
        (["--pipeline", "2", "--close"], "--pipeline excludes"),
        (["--sources", "x"], "--sources x"),
    ],
)
def test_a_mistake_is_one_line(options: list[str], said: str) -> None:
    words = [sys.executable, "-m", "corten", "load", "http://127.0.0.1:9/"]
    done = subprocess.run(
        [*words, "--link", "kernel,address=127.0.0.1", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr
