"""Plots as inline SVG: sharp at any size, and coloured by the page, so that they follow light and dark.

Colours are names of the page's CSS variables (`blue` is `var(--blue)`) or any CSS colour.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from rt_pose.types import FloatArray

LEFT, RIGHT, TOP, BOTTOM = 52, 14, 10, 36
VARIABLES = frozenset(["blue", "orange", "red", "green", "grey", "ink", "faint", "panel"])


def colour(name: str) -> str:
    """The CSS value of a colour."""
    return f"var(--{name})" if name in VARIABLES else name


def keypoint_colour(k: int, count: int) -> str:
    """A colour for keypoint k of `count`: hues apart, one lightness, readable on light and on dark."""
    return f"hsl({(210 + 300 * k / max(count, 1)) % 360:.0f} 75% 52%)"


class Plot:
    """A pair of axes that is drawn on and then rendered."""

    def __init__(
        self,
        x_range: tuple[float, float],
        y_range: tuple[float, float],
        x_label: str,
        y_label: str,
        width: int = 720,
        height: int = 220,
    ) -> None:
        self.width, self.height = width, height
        self._x0, self._x1 = _spread(*x_range)
        self._y0, self._y1 = _spread(*y_range)
        self._parts: list[str] = []
        self._labels = x_label, y_label

    def x(self, values: FloatArray | float) -> FloatArray:
        """Picture coordinates of x values."""
        inner = self.width - LEFT - RIGHT
        return LEFT + (np.asarray(values, np.float64) - self._x0) / (self._x1 - self._x0) * inner

    def y(self, values: FloatArray | float) -> FloatArray:
        """Picture coordinates of y values; beyond the axis they stay at its edge."""
        inner = self.height - TOP - BOTTOM
        share = (np.asarray(values, np.float64) - self._y0) / (self._y1 - self._y0)
        return self.height - BOTTOM - np.clip(share, -0.02, 1.0) * inner

    def line(self, x: FloatArray, y: FloatArray, stroke: str, width: float = 1.2) -> None:
        """A line, broken where a value is NaN."""
        x, y = envelope(x, y, self.width)
        path = _path(self.x(x), self.y(y))
        self._parts.append(
            f'<path d="{path}" fill="none" stroke="{colour(stroke)}" stroke-width="{width}" '
            'stroke-linejoin="round"/>'
        )

    def across(self, y: float, stroke: str, label: str) -> None:
        """A dashed horizontal line with its name."""
        at = float(self.y(y))
        self._parts.append(
            f'<line x1="{LEFT}" x2="{self.width - RIGHT}" y1="{at:.1f}" y2="{at:.1f}" '
            f'stroke="{colour(stroke)}" stroke-dasharray="5 4"/>'
            f'<text x="{self.width - RIGHT - 4}" y="{at - 4:.1f}" text-anchor="end" '
            f'fill="{colour(stroke)}">{escape(label)}</text>'
        )

    def down(self, x: float, stroke: str, title: str, dashed: bool = False) -> None:
        """A vertical line; `title` shows under the pointer."""
        at = float(self.x(x))
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        self._parts.append(
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{self.height - BOTTOM}" '
            f'stroke="{colour(stroke)}" stroke-width="1.4"{dash}><title>{escape(title)}</title></line>'
        )

    def span(self, x0: float, x1: float, fill: str, title: str) -> None:
        """A band over the whole height, see-through; at least a pixel wide."""
        left, right = float(self.x(x0)), float(self.x(x1))
        self._parts.append(
            f'<rect x="{left:.1f}" y="{TOP}" width="{max(right - left, 1.0):.1f}" '
            f'height="{self.height - TOP - BOTTOM}" fill="{colour(fill)}" fill-opacity="0.22">'
            f"<title>{escape(title)}</title></rect>"
        )

    def columns(self, edges: FloatArray, counts: NDArray[np.int64], fill: str) -> None:
        """A histogram."""
        left, right = self.x(edges[:-1]), self.x(edges[1:])
        top, floor = self.y(counts.astype(np.float64)), float(self.y(max(self._y0, 0.0)))
        for x0, x1, y, n in zip(left, right, top, counts, strict=True):
            if n:
                self._parts.append(
                    f'<rect x="{x0:.1f}" y="{y:.1f}" width="{max(x1 - x0 - 0.6, 0.6):.1f}" '
                    f'height="{floor - y:.1f}" fill="{colour(fill)}"><title>{n} frames</title></rect>'
                )

    def render(self, title: str) -> str:
        """The SVG element."""
        x_label, y_label = self._labels
        floor = self.height - BOTTOM
        return (
            f'<svg class="plot" viewBox="0 0 {self.width} {self.height}" role="img">'
            f"<title>{escape(title)}</title>{self._grid()}{''.join(self._parts)}"
            f'<line class="axis" x1="{LEFT}" x2="{self.width - RIGHT}" y1="{floor}" y2="{floor}"/>'
            f'<text x="{self.width - RIGHT}" y="{self.height - 4}" text-anchor="end">{escape(x_label)}</text>'
            f'<text transform="translate(12 {TOP}) rotate(-90)" text-anchor="end">{escape(y_label)}</text>'
            "</svg>"
        )

    def _grid(self) -> str:
        parts, floor = [], self.height - BOTTOM
        for value in nice_ticks(self._x0, self._x1, max(3, self.width // 90)):
            at = float(self.x(value))
            parts.append(f'<text x="{at:.1f}" y="{floor + 15}" text-anchor="middle">{value:g}</text>')
        for value in nice_ticks(self._y0, self._y1, max(3, self.height // 45)):
            at = float(self.y(value))
            parts.append(
                f'<line class="grid" x1="{LEFT}" x2="{self.width - RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>'
                f'<text x="{LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{value:g}</text>'
            )
        return "".join(parts)


def bars(
    rows: Sequence[tuple[str, float, float, str]],
    unit: str,
    fill: str,
    width: int = 720,
    offset: bool = False,
) -> str:
    """Horizontal bars of (name, value, end of a thin line, text).

    `offset`: each begins where the one before ended.
    """
    row_height, name_width, text_width = 24, 150, 190
    values = [value for _, value, _, _ in rows]
    starts = np.concatenate([[0.0], np.cumsum(values)[:-1]]) if offset else np.zeros(len(rows))
    most = max((s + max(v, m) for s, (_, v, m, _) in zip(starts, rows, strict=True)), default=0.0) or 1.0
    scale = (width - name_width - text_width) / most
    parts = []
    for i, (start, (name, value, mark, text)) in enumerate(zip(starts, rows, strict=True)):
        y, x = i * row_height, name_width + start * scale
        parts.append(
            f'<text x="{name_width - 10}" y="{y + 16}" text-anchor="end" class="name">{escape(name)}</text>'
            f'<rect x="{x:.1f}" y="{y + 4}" width="{max(value * scale, 1):.1f}" height="16" rx="2" '
            f'fill="{colour(fill)}"/>'
            f'<line x1="{x:.1f}" x2="{x + mark * scale:.1f}" y1="{y + 12}" y2="{y + 12}" '
            f'stroke="{colour(fill)}" stroke-width="2"/>'
            f'<line x1="{x + mark * scale:.1f}" x2="{x + mark * scale:.1f}" y1="{y + 7}" y2="{y + 17}" '
            f'stroke="{colour(fill)}" stroke-width="2"/>'
            f'<text x="{x + max(value, mark) * scale + 8:.1f}" y="{y + 16}">{escape(f"{text} {unit}")}</text>'
        )
    height = len(rows) * row_height + 4
    return f'<svg class="plot" viewBox="0 0 {width} {height}" role="img">{"".join(parts)}</svg>'


def envelope(x: FloatArray, y: FloatArray, columns: int) -> tuple[FloatArray, FloatArray]:
    """At most four points a column of the picture that look like the whole: lowest, highest, in order.

    A column's gaps (NaN) show where it holds nothing else.
    """
    if len(x) <= 4 * columns:
        return x, y
    keep: list[int] = []
    for chunk in np.array_split(np.arange(len(x)), columns):
        values = y[chunk]
        if np.isnan(values).all():
            keep.append(int(chunk[0]))
        else:
            ends = (chunk[0], chunk[np.nanargmin(values)], chunk[np.nanargmax(values)], chunk[-1])
            keep.extend(sorted({int(i) for i in ends}))
    return x[keep], y[keep]


def nice_ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers between low and high, about so many of them."""
    step = 10.0 ** math.floor(math.log10((high - low) / about))
    step *= next(m for m in (1, 2, 5, 10) if (high - low) / (step * m) <= about)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _spread(low: float, high: float) -> tuple[float, float]:
    if not (math.isfinite(low) and math.isfinite(high)):
        return 0.0, 1.0
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _path(x: Iterable[float], y: Iterable[float]) -> str:
    parts, pen_down = [], False
    for px, py in zip(x, y, strict=True):
        if math.isnan(px) or math.isnan(py):
            pen_down = False
            continue
        parts.append(f"{'L' if pen_down else 'M'}{px:.1f} {py:.1f}")
        pen_down = True
    return "".join(parts)
