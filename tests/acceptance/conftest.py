"""What every acceptance test has: a namespace of its own, and the sample site, made once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.namespace import Namespace
from corten.app import sample
from tests.acceptance.memif import Memif
from tests.acceptance.wire import WIRES
from tests.netns import namespace

WIRES["memif"] = Memif


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("site")
    sample.write(str(root))
    return root


@pytest.fixture
def space() -> Iterator[Namespace]:
    with namespace("acceptance") as made:
        yield made


@pytest.fixture
def dual(space: Namespace) -> Namespace:
    """A namespace with IPv6 beside IPv4."""
    try:
        space.speak_ipv6()
    except OSError as error:
        pytest.skip(f"no IPv6: {error}")
    return space
