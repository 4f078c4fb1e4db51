"""Every page of the sample site over each wire, byte for byte; and a thousand connections."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.client import site_pages
from tests.acceptance.wire import WIRES, Wire, laid

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
SOAK = pytest.mark.soak
OFFLOAD = ("on", "off")


@pytest.fixture(params=list(WIRES))
def wire(request: pytest.FixtureRequest) -> Iterator[Wire]:
    with laid(request.param) as made:
        yield made


def digests(root: Path, pages: list[str]) -> dict[str, str]:
    return {page: hashlib.sha256((root / page).read_bytes()).hexdigest() for page in pages}


@pytest.mark.parametrize(
    ("workers", "offload"),
    [(1, "off"), (2, "on"), *(pytest.param(n, o, marks=SOAK) for n in (1, 2, 4) for o in OFFLOAD)],
)
def test_every_page(wire: Wire, site: Path, tmp_path: Path, workers: int, offload: str) -> None:
    pages = site_pages(str(site))
    assert len(pages) == 500
    with wire.httpd(site, workers, offload) as server:
        assert len(server.worker_pids()) == workers
        wire.fetch(pages, tmp_path)
    got = digests(tmp_path, pages)
    for page in pages:
        (tmp_path / page).unlink()
    assert got == digests(site, pages)


@pytest.mark.parametrize(
    ("workers", "offload", "seconds"),
    [
        (1, "on", 3.0),
        (2, "off", 3.0),
        *(pytest.param(n, o, 30.0, marks=SOAK) for n in (1, 2, 4) for o in OFFLOAD),
    ],
)
def test_a_thousand_connections_without_an_error(
    wire: Wire, site: Path, workers: int, offload: str, seconds: float
) -> None:
    with wire.httpd(site, workers, offload) as server:
        assert wire.failed(server, 1000, seconds, site_pages(str(site))) == 0
        assert len(server.worker_pids()) == workers
        assert "again" not in server.process.text()  # nobody died meanwhile
