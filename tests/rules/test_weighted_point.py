"""Points made of keypoints: their weights, their moments, and what is no point."""

from __future__ import annotations

import numpy as np
import pytest

from rt_pose.errors import UserError
from rt_pose.rules.weighted_point import bind_point, point_names
from rt_pose.types import Track

KEYPOINTS = ["nose", "neck", "tail-base"]


def track(lost: bool = False) -> Track:
    xy = np.array([[[10.0, 20.0], [30.0, 60.0], [0.0, 0.0]]])
    cov = np.zeros((1, 3, 4, 4))
    cov[0, 0, :2, :2] = [[4.0, 1.0], [1.0, 9.0]]
    cov[0, 1, :2, :2] = [[8.0, -2.0], [-2.0, 16.0]]
    missing = np.array([[False, lost, False]])
    return Track("top", 0, 0, xy, np.zeros((1, 3, 2)), cov, np.zeros((1, 3)), missing)


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("nose", {0: 1.0}),
        ("tail-base", {2: 1.0}),
        ("(nose + neck) / 2", {0: 0.5, 1: 0.5}),
        ("0.25 * nose + neck * 0.75", {0: 0.25, 1: 0.75}),
        ("nose + 0.5 * (nose - neck)", {0: 1.5, 1: -0.5}),
        ("-(-nose)", {0: 1.0}),
        ("nose - neck + neck", {0: 1.0}),
        ("2 * nose * 3 / 6", {0: 1.0}),
    ],
)
def test_weights(text: str, weights: dict[int, float]) -> None:
    point = bind_point(text, KEYPOINTS, "rule 'r'")
    assert dict(zip(point.keypoints, point.weights, strict=True)) == pytest.approx(weights)


def test_moments_are_those_of_independent_keypoints() -> None:
    point = bind_point("nose + 0.5 * (nose - neck)", KEYPOINTS, "rule 'r'")
    moments = point.moments(track(), 0)
    assert moments is not None
    (x, y), cov = moments
    assert (x, y) == pytest.approx((1.5 * 10.0 - 0.5 * 30.0, 1.5 * 20.0 - 0.5 * 60.0))
    assert cov == pytest.approx((2.25 * 4.0 + 0.25 * 8.0, 2.25 * 1.0 - 0.25 * 2.0, 2.25 * 9.0 + 0.25 * 16.0))


def test_a_lost_keypoint_leaves_no_point() -> None:
    assert bind_point("(nose + neck) / 2", KEYPOINTS, "rule 'r'").moments(track(lost=True), 0) is None
    assert bind_point("nose", KEYPOINTS, "rule 'r'").moments(track(lost=True), 0) is not None
    unknown = track()
    unknown.xy[0, 0, 0] = np.nan
    assert bind_point("nose", KEYPOINTS, "rule 'r'").moments(unknown, 0) is None


def test_a_camera_may_be_named() -> None:
    assert bind_point("nose@top", KEYPOINTS, "rule 'r'").camera == "top"
    assert bind_point("nose", KEYPOINTS, "rule 'r'").camera == ""
    with pytest.raises(UserError, match="the point is of 'top' already"):
        bind_point("(nose@top + neck@side) / 2", KEYPOINTS, "rule 'r'")


def test_names_have_the_form_that_they_have_in_conditions() -> None:
    model = ["left paw", "hind.paw"]
    assert bind_point('"left paw"@top', model, "rule 'r'").keypoints == (0,)
    assert bind_point("individual0.'hind.paw'@top", model, "rule 'r'").keypoints == (1,)
    assert point_names('("left paw"@top + hind.paw) / 2', "rule 'r'") == ["left paw", "hind.paw"]
    with pytest.raises(UserError, match="there is no individual 'individual1'"):
        bind_point("individual1.'hind.paw'", model, "rule 'r'")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nos", "unknown keypoint 'nos', did you mean 'nose'"),
        ("nose + neck", "weights of 2 in all"),
        ("nose - neck", "weights of 0 in all"),
        ("nose + 3", "and 3 beside them"),
        ("5", "weights of 0 in all and 5 beside them"),
        ("nose * neck", "a keypoint times or over a number"),
        ("1 / nose", "a keypoint times or over a number"),
        ("nose / 0", "a number other than 0"),
        ("nose + 3 px", "expected keypoints and plain numbers"),
        ("nose > 3", "expected keypoints and plain numbers"),
        ("speed(nose)", "expected 'and', 'or', a sign or the end"),
        ("", "expected a keypoint, or a number"),
        ("1e308 * nose * 1e308", "weights of inf in all"),
        (" + ".join(["nose"] * 120), "names and numbers"),
    ],
)
def test_what_is_no_point(text: str, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        bind_point(text, KEYPOINTS, "rule 'r': do.aim.keypoint")
    assert expected in str(caught.value)
    assert str(caught.value).startswith("rule 'r': do.aim.keypoint: ")


def test_names_are_found_without_a_model() -> None:
    assert point_names("nose@top + 0.5 * (nose - -neck)", "rule 'r'") == ["nose", "nose", "neck"]
