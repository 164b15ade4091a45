"""Quantities against what they mean, their units, and those of a user's own package."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pytest

from rt_pose.errors import UserError
from rt_pose.rules.bind import bind
from rt_pose.rules.condition import Condition, ConditionEvaluator
from rt_pose.rules.geometry import Geometry
from rt_pose.rules.unit_resolver import MetricScale
from rt_pose.rules.zones import Box, Circle, Line, Point, Zone
from rt_pose.types import Track

KEYPOINTS = ["a", "b", "c"]
ZONES: dict[str, Zone] = {
    "disc": Circle(100.0, 0.0, 10.0),
    "plate": Box(0.0, 0.0, 50.0, 50.0, metric=True),
    "rail": Line(0.0, -10.0, 20.0, -10.0),
    "port": Point(30.0, 40.0),
}


def track() -> Track:
    xy = np.array([[[0.0, 0.0], [30.0, 0.0], [30.0, 40.0]]])
    velocity = np.array([[[30.0, 40.0], [0.0, 0.0], [0.0, 10.0]]])
    unseen = np.array([[0.0, 25.0, 0.0]])
    return Track("cam", 0, 0, xy, velocity, np.zeros((1, 3, 4, 4)), unseen, np.zeros((1, 3), bool))


def judged(
    text: str, measures: MetricScale | None = None, geometry: Geometry | None = None
) -> ConditionEvaluator:
    evaluator = bind(text, KEYPOINTS, ZONES, "r", measures).evaluator(0, geometry)
    evaluator.set_track(track(), np.array([[0.9, 0.2, 1.0]]))
    return evaluator


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x(c) > 0", 30.0),
        ("y(c) > 0", 40.0),
        ("speed(a) > 0", 50.0),
        ("velocity(a, 0) > 0", 30.0),
        ("velocity(a, 90 deg) > 0", 40.0),
        ("velocity(a, 180) > 0", -30.0),
        ("distance(a, c) > 0", 50.0),
        ("distance(a, port) > 0", 50.0),
        ("distance(a, disc) > 0", 90.0),
        ("distance(a, rail) > 0", 10.0),
        ("distance(b, rail) > 0", math.hypot(10.0, 10.0)),
        ("approach(a, port) > 0", 50.0),
        ("approach(a, disc) > 0", 30.0),
        ("approach(c, b) > 0", -10.0),
        ("angle(a, b, c) > 0", 90.0),
        ("angle(b, a, c) > 0", math.degrees(math.atan2(4, 3))),
        ("heading(b, c) > 0", 90.0),
        ("heading(c, b) > 0", -90.0),
        ("direction(a) > 0", math.degrees(math.atan2(4, 3))),
        ("turning(b, c) > 0", 0.0),
        ("turning(b, a) > 0", math.degrees(-40.0 / 30.0)),
        ("inside(a, disc)", -90.0),
        ("unseen(b) > 0", 25.0),
        ("unseen(b) > 1 s", 0.025),
        ("confidence(b) > 0", 0.2),
        ("confidence(b) > 10 %", 20.0),
        ("heading(b, c) > 1 rad", math.pi / 2),
    ],
)
def test_values(text: str, value: float) -> None:
    assert judged(text).value() == pytest.approx(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50 px/s <= speed(a) < 51", True),
        ("speed(a) * 100 ms > 4.9 px", True),
        ("speed(a) * 100 ms > 5.1 px", False),
        ("distance(a, b) + distance(b, c) - 1 < 70", True),
        ("distance(a, c) / distance(a, b) > 1.6", True),
        ("-x(b) < -29 and abs(-x(b)) < 31", True),
        ("min(x(b), y(c), 35) > 29 and max(x(b), y(c)) > 39", True),
        ("0.9 rad < heading(a, c) < 0.93 rad", True),
        ("2 * (x(b) - 10) > y(c) - 1", True),
        ("unseen(b) > 0.02 s", True),
        ("x(a) / y(a) > 0 or x(a) / y(a) <= 0", False),
    ],
)
def test_arithmetic_and_units(text: str, expected: bool) -> None:
    assert judged(text).holds() is expected


@pytest.mark.parametrize(
    ("text", "at", "expected"),
    [
        ("speed(a) > 5 px", 11, "cannot compare px/s with px"),
        ("speed(a) > 5 mm/s", 11, "mm need the rig's measures"),
        ("x(a) + speed(b) > 3", 7, "px and px/s do not go together"),
        ("heading(a, b) > 3 ms", 16, "cannot compare deg with ms"),
        ("x(a) + inside(b, disc) > 3", 7, "true or false"),
        ("(x(a) > 3) > 2", 6, "a condition stands where a number is meant"),
        ("x(a) + 3", 5, "compare it"),
        ("5 > 3", 0, "there is no quantity in it"),
        ("x(a) / 0 > 3", 7, "a division by 0"),
        ("inside(a, rail)", 10, "'rail' is a line"),
        ("crossing(a, disc, left)", 12, "'disc' is a circle"),
        ("crossing(a, rail, lefft)", 18, "did you mean 'left'?"),
        ("crossing(a, rail)", 0, "takes (keypoint, line, side), got 2"),
        ("distance(a, dsc) > 3", 12, "unknown keypoint or zone 'dsc', did you mean 'disc'?"),
        ("velocity(a, 3 px) > 2", 12, "an angle such as 30 deg"),
        ("phase(y(a), 0 Hz) < 90", 12, "above 0"),
        ("phase(3, 8 Hz) < 90", 6, "a quantity such as y(paw)"),
        ("phase(y(a), 8 Hz, 3 deg) < 90", 18, "an amplitude"),
        ("abs(x(a), 3) > 3", 0, "abs takes one number, got 2"),
        ("min(x(a)) > 3", 0, "min takes two numbers or more, got 1"),
        ("abs(x(a))", 0, "compare it"),
        ("speed(3 + x(a)) > 2", 8, "expected a keypoint"),
        ("inside(a, plate)", 10, "mm need the rig's measures"),
    ],
)
def test_what_does_not_go_together_is_shown_with_a_caret(text: str, at: int, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        bind(text, KEYPOINTS, ZONES, "rule 'r'")
    message, shown, caret = str(caught.value).split("\n")
    assert expected in message
    assert (shown, caret) == (f"  {text}", "  " + " " * at + "^")


SCALE, HALF = MetricScale(True, 0.5), Geometry(np.diag([0.5, 0.5, 1.0]))


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("speed(a) > 2 cm/s", 2.5, "cm/s"),
        ("distance(a, c) > 20 mm", 25.0, "mm"),
        ("distance(a, port) > 20 mm", 25.0, "mm"),  # a zone in px, which a scale makes mm
        ("inside(c, plate)", 15.0, "mm"),
        ("distance(a, c) > 20", 50.0, "px"),
    ],
)
def test_millimetres(text: str, value: float, unit: str) -> None:
    condition = bind(text, KEYPOINTS, ZONES, "r", SCALE)
    evaluator = condition.evaluator(0, HALF)
    evaluator.set_track(track())
    assert evaluator.value() == pytest.approx(value)
    assert condition.unit == unit


@pytest.mark.parametrize(
    ("text", "measures", "expected"),
    [
        ("speed(a) > 2 cm/s + 3 px/s", SCALE, "px and mm in one comparison"),
        ("distance(a, b) + 3 > 2 cm", SCALE, "a number without a unit among mm: write e.g. `20 mm`"),
        ("distance(a, port) > 2 cm", MetricScale(True, None), "zone 'port' is in px, the comparison in mm"),
    ],
)
def test_px_and_mm_do_not_mix(text: str, measures: MetricScale, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        bind(text, KEYPOINTS, ZONES, "r", measures)
    assert expected in str(caught.value)


PLUGIN = """
import numpy as np
from rt_pose.rules.quantities import Quantity

def elongation(moment, first, last):
    return np.hypot(moment.x[first] - moment.x[last], moment.y[first] - moment.y[last])

ELONGATION = Quantity("elongation", ("keypoint", "keypoint"), "px", elongation, "the elongation {0} {1}")
NOTHING = 3
WRONG = Quantity("wrong", ("keypont",), "px", elongation, "")
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package with entry points, its metadata on disk as pip writes it."""
    (tmp_path / "my_quantities.py").write_text(PLUGIN)
    info = tmp_path / "my_quantities-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-quantities\nVersion: 1.0\n")
    points = "\n".join(
        f"{name} = my_quantities:{target}"
        for name, target in (
            ("elongation", "ELONGATION"),
            ("nothing", "NOTHING"),
            ("gone", "GONE"),
            ("wrong", "WRONG"),
        )
    )
    (info / "entry_points.txt").write_text(f"[rt_pose.quantities]\n{points}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("my_quantities", None)


@pytest.mark.usefixtures("package")
def test_a_quantity_of_a_users_own_package() -> None:
    condition: Condition = bind("elongation(a, c) > 4 cm and x(a) < 1 mm", KEYPOINTS, {}, "r", SCALE)
    evaluator = condition.evaluator(0, HALF)
    evaluator.set_track(track())
    assert evaluator.value() == pytest.approx(2.5)
    assert evaluator.probability() == 0.0
    with pytest.raises(UserError, match="did you mean 'elongation'"):
        bind("elongaton(a, c) > 4", KEYPOINTS, {}, "r")


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("nothing", "expected an rt_pose.rules.quantities.Quantity, got int"),
        ("gone", "cannot be loaded"),
        ("wrong", "no kind of argument 'keypont'"),
    ],
)
def test_a_package_that_is_wrong(name: str, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        bind(f"{name}(a) > 4", KEYPOINTS, {}, "r")
    assert expected in str(caught.value)
