"""A pytest plugin: the fixture `network`, and tests that are coroutines, under virtual time.

    async def test_it_asks_again(network):
        server, client = network.host("server"), network.host("client")
        link = network.link(client, server, loss=0.3)
        ...
        assert await client.task(fetch("server")) == b"..."

The seed comes from the test's name, so that each test has weather of its own and always the same;
`--corten-seed N` gives another. A test that fails shows the seed and the last packets, and writes
all of them to a pcapng file in `--corten-pcapng DIR`.

Rules. Every pytest run of an environment that has Corten loads this file: it imports nothing of it
until the fixture is asked for. Coroutines without the fixture are other plugins' business.
"""

from __future__ import annotations

import inspect
import re
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from corten.sim.net import Net

NET = pytest.StashKey["Net"]()
SHOWN = 60  # packets


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("corten", "simulated networks")
    group.addoption(
        "--corten-seed",
        type=int,
        metavar="N",
        help="the seed of the fixture `network`; without it, from each test's name",
    )
    group.addoption(
        "--corten-pcapng",
        metavar="DIR",
        default=".corten",
        help="where the packets of a test that failed are written to (default: %(default)s)",
    )


@pytest.fixture
def network(request: pytest.FixtureRequest) -> Iterator[Net]:
    """A network under virtual time: a `corten.sim.Net`, closed after the test."""
    from corten.sim.net import Net

    given = request.config.getoption("--corten-seed")
    seed = zlib.crc32(request.node.nodeid.encode()) if given is None else given
    title = f"pytest '{request.node.nodeid}' --corten-seed={seed}"
    with Net(seed, title=title) as net:
        request.node.stash[NET] = net
        yield net


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """A coroutine that has the fixture runs in its network, on no host."""
    net = pyfuncitem.stash.get(NET, None)
    if net is None or not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    net.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    net = item.stash.get(NET, None)
    if net is not None and report.failed and call.when == "call":
        report.sections.append(("corten", _tell(item, net)))
    return report


def _tell(item: pytest.Item, net: Any) -> str:
    """The seed, the last packets, and where all of them are."""
    folder = Path(item.config.getoption("--corten-pcapng"))
    path = folder / f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', item.nodeid).strip('-')[-120:]}.pcapng"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        net.write_pcapng(path)
    except OSError as error:
        return f"{net.report(SHOWN)}\nno pcapng: {path}: {error.strerror}"
    return f"{net.report(SHOWN)}\npackets: {path}"
