"""A run over recordings of two animals by two cameras, with a network that finds both: placed, replayed."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from support.live_run import ScriptedObserver, config, run
from support.several_package import ARM, HEIGHT, WIDTH, make_animals_video, make_several_package

from rt_pose.audit.replay import replay_session
from rt_pose.config.rules import ActionConfig, RuleConfig
from rt_pose.config.schema import CameraConfig, OutputConfig, RunConfig
from rt_pose.config.views import ViewsConfig, ViewTrackingConfig
from rt_pose.session.group_tracks import group_tracks
from rt_pose.session.read import Session
from rt_pose.types import FloatArray
from rt_pose.views.calibration_file import write_calibration
from rt_pose.views.camera import CalibratedCamera

pytestmark = pytest.mark.timeout(300)  # whoever is first compiles all of it
FRAMES, FOCAL, DISTANCE_MM = 40, 600.0, 1500.0
REACH_MM = ARM * DISTANCE_MM / FOCAL
"""Of an animal's keypoints from its middle."""


def looking_along_y(name: str, elevation: float) -> CalibratedCamera:
    """A camera that looks at the origin from so far above; x is to its right."""
    up = np.radians(elevation)
    ahead = np.array([0.0, np.cos(up), -np.sin(up)])
    right = np.array([1.0, 0.0, 0.0])
    turn = np.stack([right, np.cross(ahead, right), ahead])
    matrix = np.array([[FOCAL, 0.0, (WIDTH - 1) / 2], [0.0, FOCAL, (HEIGHT - 1) / 2], [0.0, 0.0, 1.0]])
    away = np.array([0.0, 0.0, DISTANCE_MM])
    return CalibratedCamera(name, (WIDTH, HEIGHT), matrix, np.zeros(5), cv2.Rodrigues(turn)[0].ravel(), away)


def animals() -> FloatArray:
    """(F, 2, 2, 3) mm: they run past one another."""
    x = np.linspace(-120.0, 120.0, FRAMES)
    middles = np.zeros((FRAMES, 2, 1, 3))
    middles[:, 0, 0, 0], middles[:, 1, 0, 0] = x, x[::-1]
    middles[:, 0, 0, 1], middles[:, 1, 0, 1] = 60.0, -60.0
    return middles + np.array([[REACH_MM, 0.0, 0.0], [-REACH_MM, 0.0, 0.0]])


def config_of(folder: Path) -> RunConfig:
    package = make_several_package(folder / "package")
    cameras = [looking_along_y("low", 40.0), looking_along_y("high", 80.0)]
    write_calibration(folder / "calibration.toml", cameras, 0.5)
    drivers = {}
    for camera in cameras:
        video = make_animals_video(folder / f"{camera.name}.avi", camera.project(animals()))
        options = {"path": str(video), "rate_hz": 60.0, "skip_when_late": False}
        drivers[camera.name] = CameraConfig("video", options)
    tracking = ViewTrackingConfig(speed=400.0)
    pulse = ActionConfig("stimulus", "5 ms")
    return config(
        package.path,
        individuals=["anna", "bert"],
        cameras=drivers,
        views={"arena": ViewsConfig(str(folder / "calibration.toml"), list(drivers), tracking=tracking)},
        outputs={"stimulus": OutputConfig("simulated")},
        rules=[
            RuleConfig("near", "distance(any.k0, other.k0) < 150 mm", pulse, view="arena", late="fire"),
            RuleConfig("right", "x(anna.k0) > 100", pulse, view="arena", late="fire", refractory="0 ms"),
            RuleConfig("left", "x(bert.k0) > 100", pulse, view="arena", late="fire", refractory="0 ms"),
        ],
        frames="every",
        seconds=None,
        armed_at_start=True,
    )


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    folder = tmp_path_factory.mktemp("run")
    run(config_of(folder), folder / "session", ScriptedObserver())
    (written,) = {path.parent for path in (folder / "session").rglob("session.json")}
    return Session.read(written)


def test_two_animals_from_pixels_to_places(session: Session) -> None:
    truth, placed, errors, held = animals(), 0, [], set()
    for turn in group_tracks(session, "arena"):
        record, frame = turn.track, turn.newest.stamps.index
        if not all(record.alive) or any(record.lost):
            continue
        xyz = record.xyz.array()
        distances = np.linalg.norm(xyz[:, None] - truth[frame][None], axis=-1).mean(axis=-1)
        held.add(tuple(distances.argmin(axis=1).tolist()))
        errors.append(distances.min(axis=1))
        placed += 1
    assert placed > len(session.tracks3d) / 2
    assert len(held) == 1, "each has kept its slot"
    assert sorted(held.pop()) == [0, 1]
    assert np.median(errors) < 10.0


def test_its_rules_fire_for_the_right_one(session: Session) -> None:
    last = session.tracks3d[-1]
    right = int(last.xyz.array()[:, 0, 0].argmax())
    named = {r.event.individual for r in session.events if r.event.rule == ("right", "left")[right]}
    assert named == {right}
    assert any(record.event.rule == "near" for record in session.events)
    assert {record.event.camera for record in session.events} == {"arena"}


def test_it_replays_bit_for_bit_and_counts_births(session: Session) -> None:
    result = replay_session(session)
    assert result.identical, result.differences
    assert result.tracks_in_space == len(session.tracks3d)
    assert session.end is not None
    counts = session.end.counts["views"]["arena"]
    assert (counts["births"], counts["deaths"]) == (2, 0)
