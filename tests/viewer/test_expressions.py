"""What is traced is what rules measure, and what cannot be known is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rt_pose.config.rules import ZoneConfig
from rt_pose.errors import UserError
from rt_pose.viewer.expressions import Expressions, Scope, default_expression, split_expressions
from rt_pose.viewer.messages import CameraMeta, Meta, PoseHeader, PoseMessage

KEYPOINTS = ["nose", "left.paw"]


def meta(**config: Any) -> Meta:
    zones = {"plate": ZoneConfig(circle=[10.0, 0.0, 3.0])}
    cameras = {"top": CameraMeta(100, 100)}
    return Meta(
        v=1, session="s", seq=0, t_pub_ns=0, keypoints=KEYPOINTS, zones=zones, cameras=cameras, config=config
    )


def pose(t_ns: int, x: float, lost: bool = False, individuals: int = 1) -> PoseMessage:
    header = PoseHeader(
        v=1, session="s", seq=0, t_pub_ns=t_ns, frame=0, shape=(individuals, 2, 8), fields=[], t_valid_ns=t_ns
    )
    xy = np.zeros((individuals, 2, 2), np.float32)
    xy[:, 0, 0] = x + np.arange(individuals)
    velocity = np.full((individuals, 2, 2), 3.0, np.float32)
    gone = np.zeros((individuals, 2), bool)
    gone[:, 0] = lost
    return PoseMessage(
        header, xy, np.ones((individuals, 2, 3), np.float32), velocity, gone, np.full((individuals, 2), 0.7)
    )


def one(text: str, at: PoseMessage, individuals: int = 1, **config: Any) -> tuple[str, list[float]]:
    found = Expressions([text], Scope.of(meta(**config), individuals))
    return found.members[0].unit, found.evaluate("top", at)[0].tolist()


def test_numbers_in_px_or_in_mm_and_conditions() -> None:
    at = pose(0, 8.0)
    mm = {"geometry": {"top": {"mm_per_px": 0.5}}}
    assert one("x(nose)", at) == ("px", [8.0])
    assert one("x(nose)", at, **mm) == ("mm", [4.0])
    assert one("x(nose) - 2 px", at, **mm) == ("px", [6.0])
    assert one("distance(nose, 'left.paw') / 2", at) == ("px", [4.0])
    assert one("distance(nose, plate)", pose(0, 5.0), **mm) == ("mm", pytest.approx([1.0]))
    assert one("inside(nose, plate)", at) == ("", [1.0])
    assert one("inside(nose, plate) and x(nose) > 9", at) == ("", [0.0])
    assert one("confidence(nose)", at)[1] == pytest.approx([0.7])
    assert one(default_expression("left.paw"), at)[1] == pytest.approx([np.hypot(3, 3)])


def test_each_animal_has_its_own_and_lost_ones_have_none() -> None:
    assert one("x(nose)", pose(0, 8.0, individuals=3), 3)[1] == [8.0, 9.0, 10.0]
    named = one("x(individual1.nose)", pose(0, 8.0, individuals=3), 3)[1]
    assert np.isnan(named).tolist() == [True, False, True]
    assert np.isnan(one("x(nose)", pose(0, 8.0, lost=True))[1]).all()


def test_a_mean_goes_on_from_frame_to_frame() -> None:
    expressions = Expressions(["mean(x(nose), 100 ms)"], Scope.of(meta(), 1))
    values = [expressions.evaluate("top", pose(i * 10_000_000, float(i)))[0][0] for i in range(20)]
    assert np.isnan(values[:10]).all()
    assert values[-1] == pytest.approx(np.mean(np.arange(9, 20)))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("unseen(nose) < 50 ms", "known to the loop alone"),
        ("line(lever)", "known to the loop alone"),
        ("sped(nose)", "unknown quantity 'sped'"),
        ("x(nos)", "nos"),
        ("3 * 4", "no quantity"),
        ("x(nose) +", "trace `x\\(nose\\) \\+`"),
    ],
)
def test_what_cannot_be_traced_is_refused(text: str, why: str) -> None:
    with pytest.raises(UserError, match=why):
        Expressions([text], Scope.of(meta(), 1))


def test_they_stand_between_semicolons() -> None:
    assert split_expressions(" x(nose);; y(nose) ; x(nose)") == ["x(nose)", "y(nose)"]
