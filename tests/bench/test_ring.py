"""The bare rings: more frames under way than one burst takes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.netns import ROOT


def test_two_ends_answer_one_another(tmp_path: Path) -> None:
    name = str(tmp_path / "memif.sock")
    words = [sys.executable, "-m", "bench.ring"]
    server = subprocess.Popen(
        [*words, "server", name, "100"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    try:
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        client = [*words, "client", name, "60", "1000", "0.2"]
        said = subprocess.run(
            client, cwd=ROOT, capture_output=True, text=True, timeout=40, check=True
        )
        assert json.loads(said.stdout)["requests_per_second"] > 0
        assert server.wait(20) == 0
    finally:
        server.kill()
        server.communicate()
