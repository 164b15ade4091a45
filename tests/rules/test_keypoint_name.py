"""`individual.keypoint@camera`: parts may be left out, and every name of a package can be written."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rt_pose.errors import UserError
from rt_pose.package.manifest_check import NOT_IN_NAMES
from rt_pose.rules.bind import bind
from rt_pose.rules.keypoint_name import KeypointName, individual_names, read_name
from rt_pose.rules.tokens import tokenise
from rt_pose.types import Track

KEYPOINTS = ["nose", "left.paw", "paw", "left paw", "a@b", '5" mark']
INDIVIDUALS = individual_names(2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nose", ("nose", "", "")),
        ("nose@top", ("nose", "", "top")),
        ("left.paw", ("left.paw", "", "")),
        ("left.paw@top", ("left.paw", "", "top")),
        ("a@b", ("a@b", "", "")),
        ("individual1.nose", ("nose", "individual1", "")),
        ("individual1.nose@top", ("nose", "individual1", "top")),
        ("individual1.left.paw@top", ("left.paw", "individual1", "top")),
        ('"left.paw"@top', ("left.paw", "", "top")),
        ("'left paw'@top", ("left paw", "", "top")),
        ('individual0."left paw"@"my cam"', ("left paw", "individual0", "my cam")),
        ("\"individual0\".'left paw'", ("left paw", "individual0", "")),
        ('"a@b"@top', ("a@b", "", "top")),
        ('"5"" mark"', ('5" mark', "", "")),
        ("mouse.nose", ("nose", "mouse", "")),
        ('mouse."left.paw"', ("left.paw", "mouse", "")),
        ("left.pow", ("left.pow", "", "")),
        ("nase@top", ("nase", "", "top")),
    ],
)
def test_names_are_read(text: str, expected: tuple[str, str, str]) -> None:
    assert read_name(text, KEYPOINTS, INDIVIDUALS) == KeypointName(*expected)


@pytest.mark.parametrize("quote", ["'", '"'])
@given(name=st.text(min_size=1).filter(lambda n: n.strip() and not any(c in n for c in NOT_IN_NAMES)))
def test_every_name_that_a_package_may_have_can_be_written(quote: str, name: str) -> None:
    written = f"{quote}{name.replace(quote, 2 * quote)}{quote}"
    for before, after in (("", ""), ("individual0.", ""), ("", "@top"), ("individual0.", "@top")):
        whole = f"{before}{written}{after}"
        (token, end) = tokenise(whole, "rule")
        assert (token.kind, token.text, end.kind) == ("name", whole, "end")
        assert read_name(whole, [name], INDIVIDUALS).keypoint == name
        condition = bind(f"x({whole}) > 3", [name], {}, "rule")
        assert condition.keypoints == (0,)
        assert (condition.camera, condition.individual) == (after[1:], 0 if before else None)


def track(*xs: float) -> Track:
    xy = np.array([[[x, 0.0] for x in xs]])
    k = len(xs)
    zeros = np.zeros((1, k, 2))
    return Track("top", 0, 0, xy, zeros, np.zeros((1, k, 4, 4)), np.zeros((1, k)), np.zeros((1, k), bool))


def test_quoted_names_are_the_keypoints_that_they_name() -> None:
    condition = bind("x('left paw') - x(\"left.paw\") > 3 and x(left.paw) < 9", KEYPOINTS, {}, "rule")
    assert condition.holds(track(0, 5, 0, 9, 0, 0))
    assert not condition.holds(track(0, 5, 9, 5, 0, 0))
    assert condition.keypoints == (1, 3)
    assert "the x of 'left paw'" in condition.says


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x(mouse.nose) > 3", "there is no individual 'mouse'; there is individual0 and individual1"),
        ('x(mouse."left.paw") > 3', "there is no individual 'mouse'"),
        ("x(individual2.nose) > 3", "there is no individual 'individual2'"),
        ("x(individual0.nase) > 3", "unknown keypoint 'individual0.nase'"),
        ("x(left.pow) > 3", "unknown keypoint 'left.pow', did you mean 'left.paw'?"),
        ("x(individual0.nose) > x(individual1.nose) + x(nose)", "whose nose? The condition names several"),
        ("distance(individual0.nose, individual1.centroid) > speed(centroid)", "write e.g. individual0.cent"),
        ("x(nose@side) > 3", "there is no camera 'side'"),
        ('x("left paw) > 3', "a quote that is not closed"),
        ("x('') > 3", "a quote that is not closed"),
    ],
)
def test_what_does_not_exist_is_named(text: str, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        bind(text, KEYPOINTS, {}, "rule 'r'", cameras=["top"], individuals=2)
    assert expected in str(caught.value)
    assert "^" in str(caught.value)
