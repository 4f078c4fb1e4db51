"""The example of a user's congestion control runs, and does what it says."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "congestion.py"


@pytest.mark.slow
def test_the_example_keeps_the_queue_short_and_draws_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    spec = importlib.util.spec_from_file_location("congestion_example", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    example.OCTETS = 1_500_000
    figure = tmp_path / "plot.svg"
    example.main(str(figure))
    rows = {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()[1:]}
    assert set(rows) == {"reno", "cubic", "Delay"}
    assert float(rows["Delay"][0]) > 8
    assert float(rows["Delay"][1]) < 15 < float(rows["reno"][1])
    assert rows["Delay"][-1] == "0"
    drawn = figure.read_text(encoding="utf-8")
    assert "<svg" in drawn
    assert all(f"<!-- {name} -->" in drawn for name in rows)  # the text of each legend
