"""Figures of simulated paths and of connections, as SVG or PNG. They need matplotlib.

`draw_path` has the congestion window, the round trip, the goodput and the queue over time, a line
for each run; `draw_sequence` is a time-sequence diagram of one connection.

Rules. matplotlib is loaded when something is drawn, without its global state, and is nobody else's
business. The same run gives the same file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from corten.endpoint.error import CortenError
from corten.sim.gauge import Gauge
from corten.sim.sequence import Sequence

COLOURS = ("#b5532a", "#3b6ea5", "#7a9a4b", "#c9a227", "#8a5a9e", "#5b6b7a")
SUFFIXES = (".svg", ".png")
SALT = "corten"  # of identifiers in an SVG: else they come by chance


def check_output(path: str | Path) -> Path:
    """The path; CortenError when it is no picture's."""
    found = Path(path)
    if found.suffix not in SUFFIXES:
        raise CortenError(f"{found}: give a name that ends in {' or '.join(SUFFIXES)}")
    return found


def draw_path(gauges: Mapping[str, Gauge], path: str | Path, title: str = "") -> None:
    """Four panels over one axis of time; the name of each gauge is its line's."""
    where = check_output(path)
    figure = _figure(8.5, 9.0)
    panels: Any = figure.subplots(4, 1, sharex=True)
    names = ("window, KiB", "round trip, ms", "goodput, Mbit/s", "queue, KiB")
    for panel, name in zip(panels, names, strict=True):
        panel.set_ylabel(name)
        panel.grid(alpha=0.3)
        panel.margins(x=0)
    for i, (name, gauge) in enumerate(gauges.items()):
        style = {"color": COLOURS[i % len(COLOURS)], "linewidth": 1.1, "label": name}
        looks = gauge.looks
        times = [look.time for look in looks]
        rates = gauge.goodput()
        panels[0].plot(times, [look.cwnd / 1024 for look in looks], **style)
        panels[1].plot(times, [look.rtt * 1000 for look in looks], **style)
        panels[2].plot([at for at, _ in rates], [rate / 1e6 for _, rate in rates], **style)
        panels[3].plot(times, [look.queue / 1024 for look in looks], **style)
    for panel in panels:
        panel.set_ylim(bottom=0)
    panels[0].legend(loc="upper right", ncols=3, frameon=False)
    panels[0].set_title(title, fontsize=10)
    panels[3].set_xlabel("seconds")
    _save(figure, where)


def draw_sequence(sequence: Sequence, path: str | Path) -> None:
    """What was sent as short upright strokes, what was acknowledged and allowed as stairs; each at
    the instant at which its packet left."""
    where = check_output(path)
    figure = _figure(8.5, 6.0)
    panel: Any = figure.subplots()
    panel.yaxis.set_major_formatter(_grouped)
    for pieces, colour, name in (
        (sequence.sent, COLOURS[1], "sent"),
        (sequence.again, COLOURS[0], "sent again"),
        (sequence.sacked, COLOURS[3], "SACKed"),
    ):
        if pieces:
            at, start, end = zip(*pieces, strict=True)
            panel.vlines(at, start, end, color=colour, linewidth=1.2, label=name)
    for stairs, colour, name in (
        (sequence.acked, COLOURS[2], "acknowledged"),
        (sequence.window, COLOURS[5], "allowed by the window"),
    ):
        if stairs:
            at, place = zip(*stairs, strict=True)
            panel.step(at, place, where="post", color=colour, linewidth=0.9, label=name)
    if sequence.lost:
        at, place = zip(*sequence.lost, strict=True)
        panel.plot(at, place, "x", color="black", markersize=4, label="lost")
    top = max((end for _, _, end in sequence.sent), default=1)
    panel.set_ylim(-0.02 * top, 1.05 * top)
    panel.set_xlabel("seconds")
    panel.set_ylabel("octets")
    panel.set_title(sequence.title, fontsize=10)
    panel.grid(alpha=0.3)
    panel.legend(loc="upper left", frameon=False)
    _save(figure, where)


def _grouped(value: float, _: object) -> str:
    """1,200,000."""
    return f"{value:,.0f}"


def _figure(width: float, height: float) -> Any:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise CortenError("plots need matplotlib: pip install matplotlib") from None
    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: Any, path: Path) -> None:
    from matplotlib import rc_context

    metadata = {"Date": None} if path.suffix == ".svg" else {"Software": "Corten"}
    try:
        with rc_context({"svg.hashsalt": SALT}):
            figure.savefig(path, metadata=metadata, dpi=120)
    except OSError as error:
        raise CortenError(f"{path}: {error.strerror}: choose another name") from None


__all__ = ["check_output", "draw_path", "draw_sequence"]
