"""Every page of the sample site, through curl, byte for byte; and a thousand connections."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from bench.client import site_pages
from bench.namespace import Namespace
from bench.process import Process
from tests.acceptance.serving import URL, Httpd, failed_under_load

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
CURL = ["curl", "-sS", "--fail", "--noproxy", "*", "--max-time", "60"]
CURL += ["--parallel", "--parallel-max", "16", "-K"]


def digests(root: Path, pages: list[str]) -> dict[str, str]:
    return {page: hashlib.sha256((root / page).read_bytes()).hexdigest() for page in pages}


@pytest.mark.parametrize("offload", ["on", "off"])
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_every_page(
    space: Namespace, site: Path, tmp_path: Path, workers: int, offload: str
) -> None:
    pages = site_pages(str(site))
    assert len(pages) == 500
    config = tmp_path / "config"
    lines = [f'url = "{URL}{page}"\noutput = "{tmp_path / page}"\n' for page in pages]
    config.write_text("".join(lines), encoding="ascii")
    with Httpd(space, site, workers=workers, offload=offload) as server:
        assert len(server.worker_pids()) == workers
        client = Process([*CURL, str(config)], space, None)
        try:
            client.wait(50)
        finally:
            client.stop()
    got = digests(tmp_path, pages)
    for page in pages:
        (tmp_path / page).unlink()
    assert got == digests(site, pages)


@pytest.mark.parametrize("offload", ["on", "off"])
@pytest.mark.parametrize(
    ("workers", "seconds"),
    [(1, 3.0), (2, 3.0), *(pytest.param(n, 30.0, marks=pytest.mark.soak) for n in (1, 2, 4))],
)
def test_a_thousand_connections_without_an_error(
    space: Namespace, site: Path, workers: int, seconds: float, offload: str
) -> None:
    with Httpd(space, site, workers=workers, offload=offload) as server:
        assert failed_under_load(server, 1000, seconds, site_pages(str(site))) == 0
        assert len(server.worker_pids()) == workers
        assert "again" not in server.process.text()  # nobody died meanwhile
