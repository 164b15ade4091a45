"""A recorded session at any of its times; and one that still runs stays closed, because of its controls."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support import recorded_session as session

from rt_pose.errors import UserError
from rt_pose.session.locks import lock
from rt_pose.viewer.expressions import Expressions, Scope
from rt_pose.viewer.recorded_camera import BLOCK
from rt_pose.viewer.recording import Recording, open_recording


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return open_recording(session.write_recorded_session(tmp_path_factory.mktemp("view") / "session"))


def test_every_camera_shows_what_was_newest(recording: Recording) -> None:
    assert len(recording.t_ns) == 2 * session.FRAMES
    t_ns = session.exposure(25)
    left, right = (recording.cameras[name].state(t_ns) for name in session.CAMERAS)
    assert left.pose is not None
    assert right.pose is not None
    assert (left.pose.header.frame, right.pose.header.frame) == (25, 24)
    np.testing.assert_allclose(left.pose.xy, session.keypoints(25), atol=1e-4)
    assert left.pose.lost.tolist() == [[False, False], [False, True]]
    np.testing.assert_allclose(left.pose.cov, np.broadcast_to([1.0, 0.0, 1.0], (2, 2, 3)))
    np.testing.assert_allclose(left.pose.confidence, [[0.9, 0.8], [0.7, 0.6]], rtol=1e-6)
    assert (left.pose.header.individuals, left.pose.header.alive) == (session.INDIVIDUALS, [True, True])
    empty = recording.cameras["left"].state(session.exposure(session.BO_EMPTY[0])).pose
    assert empty is not None
    assert (empty.header.identity_p, empty.header.alive) == ([0.99, None], [True, False])
    assert np.isnan(empty.confidence[1]).all()
    assert left.frame is not None
    assert right.frame is not None
    levels = [float(np.frombuffer(camera.frame.pixels, np.uint8).mean()) for camera in (left, right)]
    assert levels == pytest.approx([40 + 75, 40 + 72], abs=1.5)
    assert left.shown_pose() is left.pose
    assert recording.cameras["right"].state(session.exposure(0)).pose is None, "it had not begun"


def test_events_notes_orders_and_faults_are_stepped_through(recording: Recording) -> None:
    texts = []
    t_ns = recording.t_ns[0]
    while (found := recording.step_incident(t_ns, 1)) is not None:
        assert recording.frame_at(found.t_ns) > recording.frame_at(t_ns)
        t_ns = found.t_ns
        texts.append((found.text, found.failed))
    assert texts == [
        ("visit of ada fired: acknowledged", False),
        ("note: water given", False),
        ("visit of ada withheld (control trial)", False),
        ("visit of ada suppressed (disarmed)", False),
        ("visit of ada fired: refused (interlock open)", True),
        ("output 'laser': interlock open", True),
    ]
    back = recording.step_incident(t_ns, -1)
    assert back is not None
    assert back.t_ns == session.exposure(40)
    first = recording.step_incident(session.exposure(10), -1)
    assert first is None or first.t_ns <= recording.t_ns[0]


def test_expressions_are_traced_in_mm_for_each_animal(recording: Recording) -> None:
    scope = Scope.of(recording.meta, recording.individuals)
    expressions = Expressions(["speed(nose)", "inside(nose, plate)", "x(tail)"], scope)
    camera = recording.cameras["left"]
    start, end = session.exposure(20), session.exposure(29)
    speed, inside, place, latency = camera.curves(expressions, 12.0, start, end)
    assert (speed.unit, place.unit, inside.unit) == ("mm/s", "mm", "")
    np.testing.assert_allclose(speed.values, [[25.0] * 10, [12.5] * 10], rtol=1e-5)
    assert speed.t_ns.tolist() == [session.exposure(i) for i in range(20, 30)]
    within = np.hypot(*(session.keypoints(29)[0, 0] - (30.0, 20.0))) < 8
    assert inside.values[0, -1] == float(within)
    assert np.isnan(place.values[1, 5]), "its tail was lost"
    assert latency.values[:, 0].tolist() == [4.0, 6.0]
    assert latency.budget == 12.0
    again = camera.curves(expressions, 12.0, start, end)
    assert len(camera._blocks) == 1
    np.testing.assert_array_equal(again[0].values, speed.values)
    assert session.FRAMES < BLOCK


def test_a_session_that_runs_is_not_opened(tmp_path: Path) -> None:
    folder = session.write_recorded_session(tmp_path / "live", status="running")
    held = lock(folder)
    assert held is not None
    with pytest.raises(UserError, match="still being recorded, and what was withheld stays hidden"):
        open_recording(folder)
