"""The example of an own quantity is found by its entry point and can be used in a rule."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from rt_pose.config.rules import ActionConfig, RuleConfig
from rt_pose.config.schema import OutputConfig, RunConfig
from rt_pose.decisions.rule import make_rules
from rt_pose.rules.quantities import find_quantity, quantity_names

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "own_quantity"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The example as pip would leave it: its module and its metadata on the path."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    info = tmp_path / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.syspath_prepend(str(EXAMPLE))
    yield  # type: ignore[misc]
    sys.modules.pop("rt_pose_elongation", None)


@pytest.mark.usefixtures("installed")
def test_its_entry_point_is_a_word_of_rules() -> None:
    assert "elongation" in quantity_names()
    quantity = find_quantity("elongation")
    assert quantity is not None
    assert quantity.name == "elongation"


@pytest.mark.usefixtures("installed")
def test_a_rule_measures_with_it() -> None:
    config = RunConfig(
        outputs={"laser": OutputConfig("simulated")},
        rules=[RuleConfig("bent", "elongation(nose, back, tail) < 0.8", ActionConfig("laser", pulse="5 ms"))],
    )
    (rule,) = make_rules(config, ["nose", "back", "tail"], {"laser": 1.0})
    assert rule.condition.says == "the elongation of nose, back and tail is below 0.8"


class Points:
    def __init__(self, xy: list[tuple[float, float]]) -> None:
        self.x = [np.array([x]) for x, _ in xy]
        self.y = [np.array([y]) for _, y in xy]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("xy", "expected"),
    [
        ([(0.0, 0.0), (3.0, 0.0), (6.0, 0.0)], 1.0),
        ([(0.0, 0.0), (3.0, 4.0), (6.0, 0.0)], 0.6),
        ([(1.0, 1.0)] * 3, np.nan),
    ],
)
def test_what_it_measures(xy: list[tuple[float, float]], expected: float) -> None:
    quantity = find_quantity("elongation")
    assert quantity is not None
    assert quantity.measure(Points(xy), 0, 1, 2) == pytest.approx([expected], nan_ok=True)


def test_without_it_there_is_no_such_word() -> None:
    assert find_quantity("elongation") is None
