"""The golden table: what this stack gets out of a path must not change unseen."""

from __future__ import annotations

import pytest

from corten.sim import golden

pytestmark = [pytest.mark.sim, pytest.mark.slow]
TOLERANCE = 0.05  # other compilers round CUBIC's floats otherwise; an instant that moves, moves all
SLACK = 0.05  # seconds, or of an index: small figures move by more than their twentieth part


def test_the_page_is_of_the_figures() -> None:
    assert golden.PAGE.read_text("utf-8") == golden.page(golden.kept())


def test_the_figures_hold() -> None:
    kept, found = golden.kept(), golden.measure(small=True)
    assert found["goodput"]
    wrong = [
        f"{kind}, {key}: {figure}, kept {kept[kind][key]}"
        for kind, figures in found.items()
        for key, figure in figures.items()
        if abs(figure - kept[kind][key]) > max(TOLERANCE * kept[kind][key], SLACK)
    ]
    assert not wrong, "run python -m corten.sim golden --write, and say why:\n" + "\n".join(wrong)
