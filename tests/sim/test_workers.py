"""The table of 1 to 64 workers: what it says must not change unseen."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from corten.sim import chart, workers

pytestmark = [pytest.mark.sim, pytest.mark.slow]
SLACK = 1e-3  # other compilers' logarithms move a flow or two


def test_the_page_and_the_chart_are_of_the_figures() -> None:
    kept = workers.kept()
    assert workers.PAGE.read_text("utf-8") == workers.page(kept)
    assert workers.CHART.read_text("utf-8") == workers.drawing(kept)
    ET.fromstring(workers.CHART.read_text("utf-8"))


def test_the_figures_hold() -> None:
    kept, found = workers.kept()["small"], workers.small()
    wrong = [
        f"{key}, {name}: {figure}, kept {kept[key][name]}"
        for key, row in found.items()
        for name, figure in row.items()
        if abs(figure - kept[key][name]) > SLACK * max(1.0, kept[key][name])
    ]
    assert found.keys() == kept.keys()
    assert not wrong, "run python -m corten.sim.workers --write, and say why:\n" + "\n".join(wrong)


def test_the_figures_say_what_the_design_promises() -> None:
    """Of the full table: answers come home, programs spread evenly, filters seldom err."""
    full = workers.kept()["full"]
    for count in workers.WORKERS:
        for kind in workers.KINDS:
            assert full[f"{kind}, {count}"]["opened elsewhere"] == 0
        assert full[f"program, {count}"]["uniform"] < 1.05
        assert full[f"presence, {count}"]["taken"] < 0.05
    assert full["learnt, 100000"]["uniform"] > 0.5


def test_a_chart_of_nothing_much() -> None:
    panel = chart.Panel("flat", {"one": [(1, 0.0), (2, 0.0)]}, percent=True)
    ET.fromstring(chart.draw([panel]))
