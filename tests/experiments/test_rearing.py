"""The experiment in space of the gallery: it fires when the nose is up, and not when another part is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.space_rig import SpaceRig

from rigs.simulated.animal import KEYPOINTS
from rt_pose.cli.main import main
from rt_pose.config.build import load
from rt_pose.config.schema import RunConfig

FILE = Path(__file__).resolve().parents[2] / "configs" / "experiments" / "rearing.yaml"
Height = Callable[[float], float]
"""Time (s) -> mm above the floor."""


def fired(seconds: float, nose: Height, others: Height = lambda t: 20.0) -> list[float]:
    """Times (s) of stimuli; the animal walks on at 50 mm/s."""
    rig = SpaceRig(load(RunConfig, FILE), tuple(KEYPOINTS), delay_ms=1.0, inert=True)
    found: list[float] = []
    for frame in range(round(seconds * 100)):
        t = frame / 100
        heights = [nose(t) if name == "nose" else others(t) for name in KEYPOINTS]
        places = [(50.0 * t - 30.0, 4.0 * k - 20.0, height) for k, height in enumerate(heights)]
        found += [t for event in rig.step(*places) if event.outcome == "fired"]
    return found


def up_from(*begins: float, top: float = 85.0) -> Height:
    """Rises in a quarter of a second, stays up for half a second and comes down again."""
    return lambda t: (
        15.0
        + (top - 15.0)
        * max(float(np.interp(t - begin, [0.0, 0.25, 0.75, 1.0], [0.0, 1.0, 1.0, 0.0])) for begin in begins)
    )


def test_rules_check_explains_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules", "check", str(FILE)]) == 0
    said = capsys.readouterr().out
    assert "rearing: when the height of nose is above 60 mm with a probability of at least 90 %" in said
    assert "judged in space, by the cameras front, side and back together (arena)" in said
    assert "z is the height above its origin" in said


def test_it_fires_once_the_nose_has_been_up_for_a_while() -> None:
    (when,) = fired(2.0, up_from(0.5))
    assert when == pytest.approx(0.5 + 0.2 + 0.1, abs=0.06)


def test_it_waits_between_stimuli() -> None:
    assert fired(6.0, up_from(0.5, 1.7, 4.0)) == pytest.approx([0.8, 4.3], abs=0.1)


def test_a_nose_that_is_not_high_enough_is_no_rearing() -> None:
    assert not fired(2.0, up_from(0.5, top=50.0))
    assert not fired(2.0, lambda t: 15.0, up_from(0.5))
