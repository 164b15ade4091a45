"""Cameras out of a run's description, which may be another program's."""

from __future__ import annotations

import dataclasses
import json

import msgspec
import numpy as np
import pytest
from support import views_session as views

from rt_pose.errors import UserError
from rt_pose.types import ViewsInfo
from rt_pose.views.described import described_cameras


def test_cameras_are_those_that_were_described() -> None:
    info = views.info_of(views.cameras())
    read = msgspec.convert(json.loads(json.dumps(msgspec.to_builtins(info))), ViewsInfo)
    place = np.array([[12.0, -7.0, 5.0]])
    for camera, (name, found) in zip(views.cameras(), described_cameras(read).items(), strict=True):
        assert (found.name, found.size) == (name, camera.size) == (camera.name, camera.size)
        np.testing.assert_array_equal(found.project(place), camera.project(place))


@pytest.mark.parametrize(
    "wrong",
    [
        {"matrix": [[1.0, 0.0], [0.0, 1.0]]},
        {"rotation": [0.0, float("nan"), 0.0]},
        {"distortions": [0.0]},
        {"matrix": [[1.0], [1.0, 2.0]]},
    ],
)
def test_numbers_that_cannot_be_a_cameras_are_named(wrong: dict[str, object]) -> None:
    info = views.info_of(views.cameras())
    info.calibrated[1] = dataclasses.replace(info.calibrated[1], **wrong)
    with pytest.raises(UserError, match=f"camera 'b' of a group of views: {next(iter(wrong))}: expected"):
        described_cameras(info)
