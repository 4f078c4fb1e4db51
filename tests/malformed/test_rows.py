"""Every row of malformed input under `rows/`: reaction, counters, work, memory, and the canary."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

from tests.malformed import rows
from tests.malformed.bench import Row, try_row

MODULES = [
    importlib.import_module(f"{rows.__name__}.{found.name}")
    for found in pkgutil.iter_modules(rows.__path__)
]
ROWS: list[Row] = [row for module in MODULES for row in module.ROWS]


@pytest.mark.parametrize(
    "row",
    [pytest.param(row, marks=pytest.mark.requirement(*row.pins), id=str(row)) for row in ROWS],
)
def test_row(row: Row) -> None:
    try_row(row)


def test_every_row_has_a_name_of_its_own() -> None:
    names = [str(row) for row in ROWS]
    assert len(set(names)) == len(names)
