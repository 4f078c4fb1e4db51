"""`corten sim plot` and what it draws with."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from corten.cli import main
from corten.sim.bulk import Bottleneck
from corten.sim.gauge import Gauge
from corten.sim.plot import draw_path
from tests.cli.command import ROOT

pytestmark = pytest.mark.slow  # matplotlib alone takes its time

QUICK = ["sim", "plot", "--seconds", "1"]


def command(*arguments: str) -> int:
    with pytest.raises(SystemExit) as done:
        main([*QUICK, *arguments])
    return int(done.value.code or 0)


def test_a_path_is_drawn_the_same_each_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--congestion", "cubic", "--congestion", "reno", "--loss", "0.01", "-o"]
    for name in "ab":
        assert command(*options, str(tmp_path / f"{name}.svg")) == 0
    first, second = (tmp_path / f"{name}.svg" for name in "ab")
    assert first.read_bytes() == second.read_bytes()
    assert "<svg" in first.read_text()
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[:2]] == [
        "cubic",
        "reno",
    ]


def test_a_sequence_is_drawn_as_png(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--sequence", "--loss", "0.02", "-o", str(tmp_path / "s.png")) == 0
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")
    assert "10.0.0.1" in capsys.readouterr().out


def test_a_congestion_control_of_ones_own(tmp_path: Path) -> None:
    mine = f"{ROOT / 'examples' / 'congestion.py'}:Delay"
    assert command("--congestion", mine, "-o", str(tmp_path / "p.svg")) == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["-o", "plot.pdf"], "plot.pdf: give a name that ends in .svg or .png"),
        (["--congestion", "bbr"], "congestion 'bbr': cubic, reno or MODULE:CLASS is wanted"),
        (["--congestion", "nowhere:Mine"], "congestion 'nowhere:Mine': No module named 'nowhere'"),
        (["none.pcapng"], "none.pcapng: No such file or directory"),
        (["-o", "no/where.svg"], "no/where.svg: No such file or directory: choose another name"),
    ],
)
def test_what_cannot_be_is_one_line(
    arguments: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command(*arguments) == 2
    assert capsys.readouterr().err == f"corten: {says}\n"


def test_without_matplotlib_the_error_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert command("-o", str(tmp_path / "p.svg")) == 2
    assert capsys.readouterr().err == "corten: plots need matplotlib: pip install matplotlib\n"


def test_a_gauge_that_saw_nothing_is_drawn_empty(tmp_path: Path) -> None:
    path = Bottleneck(1, {}, {})
    draw_path({"none": Gauge(path.network, lambda: None, path.wire)}, tmp_path / "p.svg")
    assert (tmp_path / "p.svg").exists()
