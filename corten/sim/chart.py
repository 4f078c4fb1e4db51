"""A line chart as SVG text, drawn by hand: a page of the docs needs no library to be written."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

_WIDTH, _HEIGHT = 380, 250  # of a panel
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 34, 58
_COLOURS = ("#b5532a", "#5b6b7a", "#7a9a4b", "#c9a227", "#8a5a9e")


@dataclass
class Panel:
    """One chart: lines by name, each a list of (x, y); x on a logarithmic scale of base 2."""

    title: str
    lines: dict[str, list[tuple[float, float]]] = field(default_factory=dict)
    percent: bool = False  # of y
    floor: float = 0.0  # the least y shown


def draw(panels: list[Panel]) -> str:
    """The panels side by side."""
    width = _WIDTH * len(panels)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEIGHT}" '
        'font-family="sans-serif" font-size="10" fill="#333">',
        f'<rect width="{width}" height="{_HEIGHT}" fill="#fff"/>',
    ]
    for i, panel in enumerate(panels):
        parts += [f'<g transform="translate({i * _WIDTH} 0)">', *_panel(panel), "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _nice(top: float) -> float:
    """A step that cuts what is to be shown into three to seven."""
    step: float = 10.0 ** math.floor(math.log10(top)) if top > 0 else 1.0
    for factor in (2.0, 1.0, 0.5, 0.2):
        if top / (step * factor) >= 3:
            return step * factor
    return step / 10


def _panel(panel: Panel) -> list[str]:
    points = [point for line in panel.lines.values() for point in line]
    first, last = min(x for x, _ in points), max(x for x, _ in points)
    top = max(max(y for _, y in points) * 1.05, panel.floor + 1e-6)
    span_x, span_y = math.log2(last / first) or 1.0, top - panel.floor

    def x_of(x: float) -> float:
        return _LEFT + math.log2(x / first) / span_x * (_WIDTH - _LEFT - _RIGHT)

    def y_of(y: float) -> float:
        return _HEIGHT - _BOTTOM - (y - panel.floor) / span_y * (_HEIGHT - _TOP - _BOTTOM)

    parts = [f'<text x="{_LEFT}" y="18" font-size="12">{panel.title}</text>']
    step = _nice(span_y)
    for k in range(int(span_y / step) + 1):
        y = panel.floor + k * step
        text = f"{y:.0%}" if panel.percent and step >= 0.01 else f"{y:.1%}"
        text = text if panel.percent else f"{y:g}"
        parts.append(
            f'<path d="M{_LEFT} {y_of(y):.1f}H{_WIDTH - _RIGHT}" stroke="#e4e0da"/>'
            f'<text x="{_LEFT - 6}" y="{y_of(y) + 3:.1f}" text-anchor="end">{text}</text>'
        )
    below = f'y="{_HEIGHT - _BOTTOM + 14}" text-anchor="middle"'
    parts += [
        f'<text x="{x_of(x):.1f}" {below}>{x:g}</text>' for x in sorted({x for x, _ in points})
    ]
    for i, (name, line) in enumerate(panel.lines.items()):
        colour = _COLOURS[i % len(_COLOURS)]
        path = "L".join(f"{x_of(x):.1f} {y_of(y):.1f}" for x, y in line)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        at_x, at_y = _LEFT + (i % 2) * 165, _HEIGHT - 26 + (i // 2) * 14
        parts.append(
            f'<path d="M{at_x} {at_y - 3}h16" stroke="{colour}" stroke-width="2"/>'
            f'<text x="{at_x + 21}" y="{at_y}">{name}</text>'
        )
    return parts
