"""Each test of this suite runs on each backend, and ends with the backend's own leak check."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conformance.backend import Backend
from tests.conformance.kernel_backend import KernelBackend
from tests.conformance.stack_backend import StackBackend

BACKENDS: list[type[Backend]] = [KernelBackend, StackBackend]


@pytest.fixture(params=BACKENDS, ids=lambda kind: kind.name)
def backend(request: pytest.FixtureRequest) -> Iterator[Backend]:
    made: Backend = request.param()
    yield made
    made.close()
