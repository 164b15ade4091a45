"""Several animals in space in the viewer: each with its colour, its name and its own keypoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.qt import QtTest
from support.random_session import KEYPOINTS, write_random_session
from support.random_views import DrawnHerd, views_config

from rt_pose.clock import FakeClock
from rt_pose.session.read import Session
from rt_pose.viewer.group_state import describe_in_space, flatten, reproject
from rt_pose.viewer.orthographic import Projection
from rt_pose.viewer.recorded_group import RecordedGroup
from rt_pose.viewer.recording import open_recording
from rt_pose.viewer.session_window import SessionWindow
from rt_pose.viewer.trace import time_of

pytestmark = pytest.mark.timeout(300)  # whoever is first compiles all of it
K, NAMES = len(KEYPOINTS), ["anna", "bert"]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("viewer")
    config = views_config(1, folder / "calibration.toml")
    config.individuals, config.rules, config.protocol = list(NAMES), [], []
    write_random_session(folder / "session", 1, 120, config, DrawnHerd(1, config), calm=True)
    return folder / "session"


@pytest.fixture
def group(path: Path) -> RecordedGroup:
    return RecordedGroup(Session.read(path), "arena")


def last_whole(group: RecordedGroup) -> int:
    return max(i for i, turn in enumerate(group.turns) if not any(turn.track.lost))


def test_a_recorded_turn_has_the_rows_of_all_animals(group: RecordedGroup) -> None:
    i = last_whole(group)
    pose, track = group.pose(i), group.turns[i].track
    np.testing.assert_allclose(pose.xyz.reshape(2, K, 3), track.xyz.array(), rtol=1e-6)
    assert pose.header.individuals == NAMES
    flat = flatten(pose, Projection())
    assert flat.xy.shape == (2, K, 2)
    assert (flat.header.individuals, flat.header.alive) == (NAMES, [True, True])
    camera = next(iter(group.group.cameras.values()))
    seen = reproject(camera, pose, time_of(pose))
    np.testing.assert_allclose(seen, camera.project(track.xyz.array().reshape(-1, 3)), atol=0.01)
    said = describe_in_space(pose, 1, 0, KEYPOINTS, "mm")
    assert said.startswith("bert.nose\n")
    assert f"seen by {track.views[K]} cameras" in said
    first_ns, last_ns = group.t_ns[0], group.t_ns[-1]
    assert group.curves(None, first_ns, last_ns)[0].title == "z(anna.nose)"


def test_a_session_is_shown_with_all_of_them(qt_app: Any, path: Path, group: RecordedGroup) -> None:
    window = SessionWindow(open_recording(path), FakeClock(0))
    window.show()
    try:
        assert QtTest.QTest.qWaitForWindowExposed(window)
        window.show_time(group.t_ns[last_whole(group)])
        space = window.grid.spaces["arena"]
        assert len(space.pose.points.data) == 2 * K
        assert len(space.pose.bones) == 2
    finally:
        window.close()
