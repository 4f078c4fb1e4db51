"""Bars as SVG text, drawn by hand: the same figures always make the same file."""

from __future__ import annotations

from dataclasses import dataclass
from xml.sax.saxutils import escape

_WIDTH, _ROW, _TOP, _BOTTOM = 400, 22, 30, 8
_LEFT, _RIGHT = 110, 70
_OURS, _OTHER, _BARE = "#b5532a", "#5b6b7a", "#c9c4bd"


@dataclass
class Bar:
    """One contender: the median, and the least and the most of its valid runs."""

    name: str
    value: float
    low: float
    high: float


@dataclass
class Panel:
    """What is compared, and the bars; `form` writes a value."""

    title: str
    bars: list[Bar]
    form: str = "{:,.0f}"


def draw(panels: list[Panel]) -> str:
    """The panels, two in a row."""
    height = _TOP + _BOTTOM + _ROW * max(len(panel.bars) for panel in panels)
    rows = -(-len(panels) // 2)
    width = _WIDTH * min(2, len(panels))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {rows * height}" '
        'font-family="sans-serif" font-size="11" fill="#333">',
        f'<rect width="{width}" height="{rows * height}" fill="#fff"/>',
    ]
    for i, panel in enumerate(panels):
        place = f"translate({i % 2 * _WIDTH} {i // 2 * height})"
        parts += [f'<g transform="{place}">', *_panel(panel), "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(panel: Panel) -> list[str]:
    top = max((bar.high for bar in panel.bars), default=0.0) or 1.0
    scale = (_WIDTH - _LEFT - _RIGHT) / top
    parts = [f'<text x="8" y="18" font-weight="bold">{escape(panel.title)}</text>']
    for i, bar in enumerate(panel.bars):
        y = _TOP + i * _ROW
        colour = _OTHER
        if bar.name.startswith(("corten", "hello", "memif")):
            colour = _OURS
        elif bar.name in ("ceiling", "ring"):
            colour = _BARE
        middle = y + _ROW / 2 - 2
        low, high = (_LEFT + value * scale for value in (bar.low, bar.high))
        parts += [
            f'<text x="{_LEFT - 6}" y="{middle + 4:.1f}" text-anchor="end">'
            f"{escape(bar.name)}</text>",
            f'<rect x="{_LEFT}" y="{y}" width="{bar.value * scale:.1f}" height="{_ROW - 6}" '
            f'fill="{colour}"/>',
            f'<path d="M{low:.1f} {middle:.1f}H{high:.1f}" stroke="#333"/>',
            f'<text x="{high + 5:.1f}" y="{middle + 4:.1f}">{panel.form.format(bar.value)}</text>',
        ]
    return parts
