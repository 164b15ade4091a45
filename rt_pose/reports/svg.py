"""Plots as inline SVG: sharp at any size, and coloured by the page, so that they follow light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from rt_pose.reports.svg_elements import colour, element, line, path_data, picture, text
from rt_pose.types import FloatArray

LEFT, RIGHT, TOP, BOTTOM = 52, 14, 10, 36


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
        """Make empty axes.

        Parameters
        ----------
        x_range, y_range
            Lowest and highest value; a range that is empty or not finite is widened.
        x_label, y_label
            Labels of the axes.
        width, height
            Size of the picture, px.
        """
        self.width, self.height = width, height
        self.right, self.floor = width - RIGHT, height - BOTTOM
        self._x0, self._x1 = _spread(*x_range)
        self._y0, self._y1 = _spread(*y_range)
        self._parts: list[Markup] = []
        self._labels = x_label, y_label

    def x(self, values: FloatArray | float) -> FloatArray:
        """Convert x values to picture coordinates.

        Parameters
        ----------
        values
            Of any shape.

        Returns
        -------
        FloatArray
            px, in the same shape.
        """
        share = (np.asarray(values, np.float64) - self._x0) / (self._x1 - self._x0)
        return LEFT + share * (self.right - LEFT)

    def y(self, values: FloatArray | float) -> FloatArray:
        """Convert y values to picture coordinates; those beyond the axis stay at its edge.

        Parameters
        ----------
        values
            Of any shape.

        Returns
        -------
        FloatArray
            px, in the same shape.
        """
        share = (np.asarray(values, np.float64) - self._y0) / (self._y1 - self._y0)
        return self.floor - np.clip(share, -0.02, 1.0) * (self.floor - TOP)

    def line(self, x: FloatArray, y: FloatArray, stroke: str, width: float = 1.2) -> None:
        """Draw a line, broken where a value is NaN.

        Parameters
        ----------
        x, y
            (n,) values, x ascending.
        stroke
            Colour.
        width
            Width, px.
        """
        x, y = envelope(x, y, self.width)
        look = {"fill": "none", "stroke": colour(stroke), "stroke_width": width, "stroke_linejoin": "round"}
        self._parts.append(element("path", d=path_data(self.x(x), self.y(y)), **look))

    def across(self, y: float, stroke: str, label: str) -> None:
        """Draw a dashed horizontal line with a label.

        Parameters
        ----------
        y
            Its value.
        stroke
            Colour.
        label
            Written at its right end.
        """
        at = float(self.y(y))
        self._parts += [
            line(LEFT, at, self.right, at, stroke=colour(stroke), stroke_dasharray="5 4"),
            text(self.right - 4, at - 4, label, "end", fill=colour(stroke)),
        ]

    def down(self, x: float, stroke: str, title: str, dashed: bool = False) -> None:
        """Draw a vertical line.

        Parameters
        ----------
        x
            Its value.
        stroke
            Colour.
        title
            Shown under the pointer.
        dashed
            Whether it is dashed.
        """
        at = float(self.x(x))
        look = {"stroke": colour(stroke), "stroke_width": 1.4} | (
            {"stroke_dasharray": "5 4"} if dashed else {}
        )
        self._parts.append(line(at, TOP, at, self.floor, element("title", title), **look))

    def span(self, x0: float, x1: float, fill: str, title: str) -> None:
        """Draw a transparent band over the whole height, at least 1 px wide.

        Parameters
        ----------
        x0, x1
            Its ends.
        fill
            Colour.
        title
            Shown under the pointer.
        """
        left, right = float(self.x(x0)), float(self.x(x1))
        self._bar(left, TOP, max(right - left, 1.0), fill, title, fill_opacity=0.22)

    def columns(self, edges: FloatArray, counts: NDArray[np.int64], fill: str) -> None:
        """Draw the columns of a histogram.

        Parameters
        ----------
        edges
            (n + 1,) ascending.
        counts
            (n,) heights.
        fill
            Colour.
        """
        left, right = self.x(edges[:-1]), self.x(edges[1:])
        for x0, x1, y, n in zip(left, right, self.y(counts.astype(np.float64)), counts, strict=True):
            if n:
                self._bar(float(x0), float(y), max(float(x1 - x0) - 0.6, 0.6), fill, f"{n} frames")

    def render(self, title: str) -> Markup:
        """Render the plot.

        Parameters
        ----------
        title
            What it shows, for readers who do not see it.

        Returns
        -------
        Markup
            The SVG element.
        """
        x_label, y_label = self._labels
        turned = f"translate(12 {TOP}) rotate(-90)"
        return picture(
            self.width,
            self.height,
            element("title", title),
            *self._grid(),
            *self._parts,
            line(LEFT, self.floor, self.right, self.floor, class_="axis"),
            text(self.right, self.height - 4, x_label, "end"),
            text(0, 0, y_label, "end", transform=turned),
        )

    def _bar(self, x: float, y: float, width: float, fill: str, title: str, **attributes: object) -> None:
        """From y down to the axis."""
        size = {"x": x, "y": y, "width": width, "height": self.floor - y}
        self._parts.append(element("rect", element("title", title), **size, fill=colour(fill), **attributes))

    def _grid(self) -> list[Markup]:
        parts = []
        for value in nice_ticks(self._x0, self._x1, max(3, self.width // 90)):
            parts.append(text(float(self.x(value)), self.floor + 15, f"{value:g}", "middle"))
        for value in nice_ticks(self._y0, self._y1, max(3, self.height // 45)):
            at = float(self.y(value))
            parts.append(line(LEFT, at, self.right, at, class_="grid"))
            parts.append(text(LEFT - 6, at + 4, f"{value:g}", "end"))
        return parts


def bars(
    rows: Sequence[tuple[str, float, float, str]],
    unit: str,
    fill: str,
    width: int = 720,
    offset: bool = False,
) -> Markup:
    """Draw horizontal bars.

    Parameters
    ----------
    rows
        Name, value, end of a thin line, and text of each bar.
    unit
        Unit of the values, written after the text.
    fill
        Colour.
    width
        Width of the picture, px.
    offset
        Whether each bar begins where the one before ended.

    Returns
    -------
    Markup
        The SVG element.
    """
    row_height, name_width, text_width = 24, 150, 190
    values = [value for _, value, _, _ in rows]
    starts = np.concatenate([[0.0], np.cumsum(values)[:-1]]) if offset else np.zeros(len(rows))
    most = max((s + max(v, m) for s, (_, v, m, _) in zip(starts, rows, strict=True)), default=0.0) or 1.0
    scale = (width - name_width - text_width) / most
    look = {"stroke": colour(fill), "stroke_width": 2, "fill": "none"}
    parts = []
    for i, (start, (name, value, mark, messages)) in enumerate(zip(starts, rows, strict=True)):
        y, x = i * row_height, name_width + float(start) * scale
        end = x + mark * scale
        parts += [
            text(name_width - 10, y + 16, name, "end", class_="name"),
            element("rect", x=x, y=y + 4, width=max(value * scale, 1.0), height=16, rx=2, fill=colour(fill)),
            element("path", d=f"M{x:.1f} {y + 12}H{end:.1f}M{end:.1f} {y + 7}v10", **look),
            text(x + max(value, mark) * scale + 8, y + 16, f"{messages} {unit}"),
        ]
    return picture(width, len(rows) * row_height + 4, *parts)


def envelope(x: FloatArray, y: FloatArray, columns: int) -> tuple[FloatArray, FloatArray]:
    """Thin out a line to at most four points for each column of the picture, so that it looks the same.

    Parameters
    ----------
    x, y
        (n,) points.
    columns
        Width of the picture, px.

    Returns
    -------
    tuple[FloatArray, FloatArray]
        First, lowest, highest and last point of each column, in order. Gaps (NaN) remain only where a column
        holds nothing else.
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
    """Choose round numbers for an axis.

    Parameters
    ----------
    low, high
        Ends of the axis.
    about
        How many numbers at most, roughly.

    Returns
    -------
    list[float]
        Multiples of 1, 2 or 5 times a power of ten, from low to high.
    """
    step = 10.0 ** math.floor(math.log10((high - low) / about))
    step *= next(m for m in (1, 2, 5, 10) if (high - low) / (step * m) <= about)
    first = math.ceil(low / step - 1e-9)
    return [round(i * step, 10) for i in range(first, math.floor(high / step + 1e-9) + 1)]


def _spread(low: float, high: float) -> tuple[float, float]:
    if not (math.isfinite(low) and math.isfinite(high)):
        return 0.0, 1.0
    return (low, high) if high > low else (low - 0.5, low + 0.5)
