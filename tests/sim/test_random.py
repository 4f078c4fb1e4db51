"""Seeds by the thousand: networks, settings and conversations by chance.

CORTEN_SEEDS says how many (`./dev test sim` splits them over the workers), CORTEN_FIRST_SEED where
they begin. A failure names its seed:
`python -m corten.sim --scenario random --seed N --trace` shows it again.
"""

from __future__ import annotations

import os

import pytest

from corten.sim.scenario import random
from tests.trace.pace import COMPILED

pytestmark = [pytest.mark.sim, pytest.mark.timeout(900)]

SEEDS = int(os.environ.get("CORTEN_SEEDS", "2000" if COMPILED else "50"))
FIRST = int(os.environ.get("CORTEN_FIRST_SEED", "1"))
PARTS = 20


@pytest.mark.parametrize("part", range(PARTS))
def test_random_seeds(part: int) -> None:
    for seed in range(FIRST + part, FIRST + SEEDS, PARTS):
        random(seed)


def test_a_seed_gives_the_same_run_again() -> None:
    for seed in (3, 5, 8):
        first, second = random(seed), random(seed)
        assert first.trace.text() == second.trace.text()
        assert first.now == second.now
        assert first.checker.segments == second.checker.segments > 0
