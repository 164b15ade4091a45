"""Plots put values where they belong and never hide an outlier."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_pose.reports.svg import BOTTOM, LEFT, RIGHT, TOP, Plot, bars, envelope, nice_ticks


def test_corners() -> None:
    plot = Plot((0, 10), (-5, 5), "x", "y", width=400, height=200)
    assert plot.x(0.0) == LEFT
    assert plot.x(10.0) == 400 - RIGHT
    assert plot.y(-5.0) == 200 - BOTTOM
    assert plot.y(5.0) == TOP


def test_a_line_is_broken_at_gaps() -> None:
    plot = Plot((0, 4), (0, 1), "x", "y")
    plot.line(np.arange(5.0), np.array([0, 1, np.nan, 1, 0]), "blue")
    path = re.search(r'<path d="([^"]*)"', plot.render("t"))
    assert path is not None
    assert path[1].count("M") == 2
    assert path[1].count("L") == 2


@given(st.integers(0, 9_999))
def test_an_outlier_survives_thinning(at: int) -> None:
    x = np.arange(10_000.0)
    y = np.zeros(10_000)
    y[at] = 7.0
    thin_x, thin_y = envelope(x, y, 100)
    assert len(thin_x) <= 400
    assert thin_y.max() == 7.0
    assert thin_x[thin_y.argmax()] == at
    assert (np.diff(thin_x) > 0).all()


def test_a_long_gap_survives_thinning() -> None:
    y = np.zeros(10_000)
    y[3000:6000] = np.nan
    thin_x, thin_y = envelope(np.arange(10_000.0), y, 100)
    assert np.isnan(thin_y[(thin_x > 3100) & (thin_x < 5900)]).all()


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(3, 12))
def test_ticks_are_few_and_inside(low: float, span: float, about: int) -> None:
    ticks = nice_ticks(low, low + span, about)
    assert 1 <= len(ticks) <= about + 1
    assert all(low - 1e-6 * span <= t <= low + span * (1 + 1e-6) for t in ticks)


@pytest.mark.parametrize("values", [(0.0, 0.0), (float("nan"), float("nan")), (3.0, 3.0)])
def test_an_empty_range_is_drawn(values: tuple[float, float]) -> None:
    plot = Plot((0, 1), values, "x", "y")
    plot.line(np.array([0.0, 1.0]), np.array(values), "blue")
    assert plot.render("t").startswith("<svg")


def test_bars_follow_one_another() -> None:
    svg = bars([("a", 1.0, 2.0, "1"), ("b", 3.0, 3.5, "3")], "ms", "blue", offset=True)
    (x0, w0), (x1, w1) = (
        (float(x), float(w)) for x, w in re.findall(r'<rect x="([\d.]+)" y="\d+" width="([\d.]+)"', svg)
    )
    assert x1 == pytest.approx(x0 + w0, abs=0.2)
    assert w1 == pytest.approx(3 * w0, rel=0.02)


def test_names_in_bars_are_escaped() -> None:
    assert "<b>" not in bars([("<b>", 1.0, 1.0, "<i>")], "px", "blue")
