"""The chart: requests per second and per busy second of the server's core, one panel a scenario."""

from __future__ import annotations

import os
from typing import Any

import matplotlib
from matplotlib import pyplot

_COLOURS = {"corten": "#b5532a", "hello": "#b5532a", "asgi": "#b5532a", "ceiling": "#c9c4bd"}
_COLOURS["asgi-null"] = _COLOURS["ceiling"]
_OTHER = "#5b6b7a"


def draw(summaries: dict[str, dict[str, Any]], titles: dict[str, str], stem: str) -> list[str]:
    """Write STEM.svg and STEM.png; their paths."""
    matplotlib.use("Agg")
    shown = [name for name in summaries if any("rate" in e for e in summaries[name].values())]
    if not shown:
        return []
    figure, panels = pyplot.subplots(
        len(shown), 2, figsize=(11, 0.6 + 2.1 * len(shown)), squeeze=False, layout="constrained"
    )
    for row, name in zip(panels, shown, strict=True):
        _bars(row[0], summaries[name], "rate", titles[name], "requests/s")
        _bars(row[1], summaries[name], "per_busy", "", "requests per busy second of the core")
    paths = [f"{stem}.svg", f"{stem}.png"]
    os.makedirs(os.path.dirname(stem), exist_ok=True)
    for path in paths:
        figure.savefig(path, dpi=144)
    pyplot.close(figure)
    return paths


def _bars(panel: Any, summary: dict[str, Any], figure: str, title: str, label: str) -> None:
    servers = [name for name in summary if figure in summary[name]]
    middles = [summary[name][figure]["median"] for name in servers]
    spans = [
        [
            middle - summary[name][figure]["min"]
            for name, middle in zip(servers, middles, strict=True)
        ],
        [
            summary[name][figure]["max"] - middle
            for name, middle in zip(servers, middles, strict=True)
        ],
    ]
    colours = [_COLOURS.get(name) or _COLOURS.get(name.split("-")[0], _OTHER) for name in servers]
    panel.barh(servers, middles, xerr=spans, color=colours, height=0.7, error_kw={"lw": 0.8})
    panel.invert_yaxis()
    panel.set_title(title, fontsize=9, loc="left")
    panel.set_xlabel(label, fontsize=8)
    panel.tick_params(labelsize=8)
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
