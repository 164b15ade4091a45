"""An animal in space: as the program's own publisher sends it, and as a session holds it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from support import views_session as views
from support.fake_publisher import FakePublisher
from support.qt import QtCore, QtTest

from rt_pose.clock import NS_PER_MS, FakeClock
from rt_pose.loop.publish3d import GroupPublisher
from rt_pose.types import Track3D
from rt_pose.viewer.alerts import alerts
from rt_pose.viewer.messages import GroupBody, StatsBody
from rt_pose.viewer.recording import open_recording
from rt_pose.viewer.session_window import SessionWindow
from rt_pose.viewer.subscribe import Subscription
from rt_pose.viewer.traces import format_value
from rt_pose.viewer.window import ViewerWindow

Until = Callable[..., None]
NAMES = ("a", "b", "c")
K = len(views.KEYPOINTS)


@pytest.fixture
def fake(clock: FakeClock) -> Iterator[FakePublisher]:
    with FakePublisher(clock, "0190f1e2-7a3b-7c4d-8e5f-000000000001", cameras=NAMES) as publisher:
        yield publisher


def send(fake: FakePublisher, clock: FakeClock, xyz: np.ndarray, lost: int | None = None) -> None:
    """Keypoints in space, exposed 8 ms ago as the poses of the fake publisher are."""
    t_ns = clock.now_ns() - 8 * NS_PER_MS
    gone = np.arange(K) == lost
    cov = np.tile(np.diag([4.0, 9.0, 16.0, 1.0, 1.0, 1.0]), (K, 1, 1))
    track = Track3D(
        t_ns, xyz, np.tile(views.VELOCITY, (K, 1)), cov, np.zeros(K), gone, np.full(K, 3), np.full(K, 0.9)
    )
    header = {"t_exposure_ns": t_ns, "late": 2, "error_px": {"a": 1.25, "b": None, "c": None}}
    publisher = GroupPublisher(fake.publisher, views.GROUP, (1, K))
    publisher.publish("pose3d", track, header)
    publisher.publish("prediction3d", track, header)


def test_a_run_is_shown_in_space_and_on_every_camera(
    qt_app: Any, fake: FakePublisher, clock: FakeClock, until: Until
) -> None:
    cameras = views.cameras()
    described = {views.GROUP: msgspec.to_builtins(views.info_of(cameras))}
    xyz = views.places(views.T0_NS)
    window = ViewerWindow(Subscription(fake.address), clock)
    window.show()
    try:
        until(
            lambda: views.GROUP in window.grid.spaces,
            lambda: (fake.meta(keypoints=views.KEYPOINTS, views=described), window.refresh()),
        )
        fake.event("corner-light", "fired", camera=views.GROUP)
        clock.advance_ms(20)
        for name in NAMES:
            fake.pose(1, 0.0, name)
        send(fake, clock, xyz, lost=2)
        counts = {"used": 9, "late": 2, "restarts": 1, "error_px": {"a": 1.25, "b": None}, "wrong": ["b"]}
        fake.stats(views={views.GROUP: {**counts, "offset_px": {}, "why": "it has moved"}})
        space = window.grid.spaces[views.GROUP]
        until(lambda: window.state.stats and len(space.pose.points.data) == K, window.refresh)
        assert len(space.pose.ghost.data) == K - 1, "a lost keypoint is predicted nowhere"
        clock.advance_ms(300)
        window.refresh()
        window.redraw()
        at = space.projection.project(xyz)
        points = space.pose.points.data
        np.testing.assert_allclose(np.stack([points["x"], points["y"]], axis=-1), at, atol=1e-3)
        for camera in cameras:
            crosses = window.grid.arenas[camera.name].reprojection.points.data
            drawn = np.stack([crosses["x"], crosses["y"]], axis=-1)
            np.testing.assert_allclose(drawn, camera.project(xyz[:2]), atol=1e-3)
        assert "error, px: a 1.2, b –" in space.figures.text()
        assert "9 observations used, 2 late, 1 restarts" in space.figures.text()
        assert window.alert.text() == "views 'arena': b NO LONGER FIT THE CALIBRATION: it has moved"
        said = space.describe(*at[0])
        assert said.startswith("nose\n20.0, 0.0, 25.0 mm ± 3.1 mm")
        assert "seen by 3 cameras" in said
        assert "lost" in space.describe(*at[2])
        window.grid.show_alone(views.GROUP)
        titles = [plot.title.text() for plot in window.side.traces.plots]
        assert titles[0] == "z(nose)   25 mm"
        assert titles[2] == "reprojection error   1.25 px, –, –"
        window.grid.show_alone("a")
        corner, _ = window.side.rules.rows
        assert [outcome for _, outcome in corner.ticks] == ["fired"], "it is of each of the group's cameras"
        window.grid.show_alone("")
        window.reprojection_button.click()
        assert len(window.grid.arenas["a"].reprojection.points.data) == 0
    finally:
        window.close()


def test_what_is_not_of_the_pictures_time_is_not_drawn_on_it(
    qt_app: Any, fake: FakePublisher, clock: FakeClock, until: Until
) -> None:
    described = {views.GROUP: msgspec.to_builtins(views.info_of(views.cameras()))}
    window = ViewerWindow(Subscription(fake.address), clock)
    try:
        until(
            lambda: views.GROUP in window.grid.spaces,
            lambda: (fake.meta(keypoints=views.KEYPOINTS, views=described), window.refresh()),
        )
        send(fake, clock, views.places(views.T0_NS))
        until(lambda: window.state.group_states, window.refresh)
        clock.advance_ms(150)
        fake.pose(2, 0.0, "a")
        until(lambda: window.state.cameras["a"].pose, window.refresh)
        assert len(window.grid.arenas["a"].reprojection.points.data) == 0
        clock.advance_ms(600)
        window.refresh()
        assert window.grid.spaces[views.GROUP].badge.text().startswith("STALE")
        fake.pose(3, 0.0, "a", exposed_ms_ago=758.0 - 20.0)  # 20 ms after what was placed
        until(lambda: 3 in window.state.cameras["a"].poses, window.refresh)
        crosses = window.grid.arenas["a"].reprojection.points.data
        carried = views.places(views.T0_NS + 20 * NS_PER_MS)
        drawn = np.stack([crosses["x"], crosses["y"]], axis=-1)
        np.testing.assert_allclose(drawn, views.cameras()[0].project(carried), atol=0.01)
    finally:
        window.close()


def test_a_group_that_cannot_be_read_is_shown_without_cameras(
    qt_app: Any, fake: FakePublisher, clock: FakeClock, until: Until
) -> None:
    described = {views.GROUP: msgspec.to_builtins(views.info_of(views.cameras()))}
    described[views.GROUP]["calibrated"][0]["matrix"] = [[1.0]]
    window = ViewerWindow(Subscription(fake.address), clock)
    try:
        until(
            lambda: views.GROUP in window.grid.spaces,
            lambda: (fake.meta(keypoints=views.KEYPOINTS, views=described), window.refresh()),
        )
        fake.pose(1, 0.0, "a")
        send(fake, clock, views.places(views.T0_NS))
        space = window.grid.spaces[views.GROUP]
        until(lambda: len(space.pose.points.data) == K, window.refresh)
        assert len(window.grid.arenas["a"].reprojection.points.data) == 0
    finally:
        window.close()


def test_a_session_is_scrubbed_in_space(qt_app: Any, tmp_path: Path) -> None:
    recording = open_recording(views.write_views_session(tmp_path / "session"))
    window = SessionWindow(recording, FakeClock(0))
    window.show()
    try:
        assert QtTest.QTest.qWaitForWindowExposed(window)
        space, cameras = window.grid.spaces[views.GROUP], views.cameras()
        assert list(window.grid.pictures()) == ["a", "b", "c", "arena"]
        window.show_time(views.exposure(12, 2))
        for view, camera in enumerate(cameras):
            arena = window.grid.arenas[camera.name]
            t_ns = views.exposure(12, view)
            assert arena.t_shown_ns == t_ns
            crosses, points = arena.reprojection.points.data, arena.pose.points.data
            drawn = np.stack([crosses["x"], crosses["y"]], axis=-1)
            np.testing.assert_allclose(drawn, camera.project(views.places(t_ns)), atol=1e-2)
            np.testing.assert_allclose(points["x"] - crosses["x"], views.NOISE_PX, atol=0.02)
        assert "error, px: a 3.0, b 3.0, c 3.0" in space.figures.text()
        assert "36 observations used, 0 late\n" in space.figures.text()
        window.show_time(views.exposure(views.UNSEEN, 2))
        assert len(space.pose.points.data) == K - 1
        window.show_time(views.exposure(views.FRAMES - 1, 2) + 10 * NS_PER_MS)
        assert "1 late" in space.figures.text()
        assert any("views 'arena': camera 'c' has moved" in one.text for one in recording.incidents)
        window.grid.show_alone(views.GROUP)
        assert [picture.caption.text() for picture in window.grid.shown()] == ["arena"]
        assert window.camera == "a"
        window.show_time(views.exposure(12, 2))
        z, speed, error, latency = window.side.traces.plots
        height = views.places(window.t_ns)[0, 2]
        assert z.title.text() == f"z(nose)   {format_value(height, 'mm')}"
        assert speed.title.text() == "speed(nose)   108 mm/s"
        assert error.title.text() == "reprojection error   3 px, 3 px, 3 px"
        assert latency.title.text().startswith("latency   –, 6 ms")
        assert window.side.confidence.values == pytest.approx([0.9, 0.8, 0.7])
    finally:
        window.close()


def test_the_mouse_turns_the_pane(qt_app: Any, tmp_path: Path) -> None:
    window = SessionWindow(open_recording(views.write_views_session(tmp_path / "session")), FakeClock(0))
    window.show()
    try:
        assert QtTest.QTest.qWaitForWindowExposed(window)
        window.grid.show_alone(views.GROUP)
        qt_app.processEvents()
        space = window.grid.spaces[views.GROUP]
        before = space.projection
        drag(space.viewport(), QtCore.QPoint(200, 150), QtCore.QPoint(260, 170))
        assert space.projection.azimuth != before.azimuth
        assert space.projection.elevation > before.elevation, "down shows it from further above"
        np.testing.assert_allclose(
            space.pose.points.data["x"][0],
            space.projection.project(views.places(window.t_ns))[0, 0],
            atol=0.5,
        )
        space.fit()
        assert space.projection == before
    finally:
        window.close()


def drag(widget: Any, start: Any, stop: Any) -> None:
    """With the left button."""
    button, none = QtCore.Qt.MouseButton.LeftButton, QtCore.Qt.KeyboardModifier.NoModifier
    QtTest.QTest.mousePress(widget, button, none, start)
    steps = 6
    for i in range(1, steps + 1):
        QtTest.QTest.mouseMove(widget, start + (stop - start) * i / steps)
    QtTest.QTest.mouseRelease(widget, button, none, stop)


def test_a_wrong_camera_is_an_alert() -> None:
    group = GroupBody(wrong=["top"], why="it turned by 3 degrees")
    assert alerts(StatsBody(views={"arena": group})) == [
        "views 'arena': top NO LONGER FIT THE CALIBRATION: it turned by 3 degrees"
    ]
    assert alerts(StatsBody(views={"arena": GroupBody()})) == []
