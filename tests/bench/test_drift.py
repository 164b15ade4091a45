"""What `bench.drift` changes in recordings, and how it plays them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.drift.alterations import moved, moved_poses, relit
from bench.drift.outputs import play, to_and_fro
from bench.drift.program import Detector, mark_like_control, text
from bench.drift.rig import rig_frames, write_film
from rt_pose.offline.innovations import Recorded
from rt_pose.package import DriftLimits, DriftSpec, TrackingSpec
from rt_pose.session.describe import machine
from rt_pose.video import probe, read_frames

SIZE = (64, 48)


def seen(xy: np.ndarray, confidence: float = 0.9) -> Recorded:
    """One keypoint in frames at 10 Hz."""
    shape = (len(xy), 1)
    return Recorded(0.1, xy.reshape(-1, 1, 2), np.tile(np.eye(2), (*shape, 1, 1)), np.full(shape, confidence))


def test_a_moved_camera_moves_pixels_and_poses_alike() -> None:
    at = np.array([20.0, 30.0])
    image = np.zeros((SIZE[1], SIZE[0], 1), np.uint8)
    image[29:32, 19:22] = 250
    for move in ({"shift_px": 5.0}, {"turn_deg": 10.0}, {"scale": 1.2}):
        there = moved_poses(seen(at[None]), SIZE, **move).xy[0, 0]
        found = moved(**move)(image)
        assert (found.shape, found.dtype) == (image.shape, image.dtype)
        y, x = np.mgrid[: SIZE[1], : SIZE[0]]
        weight = found[:, :, 0] / found.sum()
        np.testing.assert_allclose(there, [(weight * x).sum(), (weight * y).sum()], atol=0.1)
        assert np.abs(there - at).max() > 1.0


def test_light_is_a_table_of_grey_levels() -> None:
    levels = np.array([[[0], [52], [128], [254]]], np.uint8)
    assert relit(gain=0.5)(levels).ravel().tolist() == [0, 26, 64, 127]
    assert relit(gain=2.0)(levels).ravel().tolist() == [0, 104, 255, 255]
    assert relit(contrast=0.5)(levels).ravel().tolist() == [64, 90, 128, 191]


def test_alarms_are_counted_from_the_change_on() -> None:
    recorded = seen(np.arange(10.0).repeat(2))
    there_and_back = to_and_fro(recorded, 3.0)
    assert there_and_back.xy[:, 0, 0].tolist() == [*range(10), *range(8, 0, -1), *range(10), 8.0, 7.0]
    drift = DriftSpec({"confidence": DriftLimits(-2.2, 0.5, 1.0, 3.0)}, 1.0, 20.0, 60.0)
    tracking = TrackingSpec([1e4], [0.1], [1.0], [1.0])
    assert play(drift, tracking, there_and_back).alarms == 0
    detector = Detector(tracking, drift)
    quiet = detector.quiet("as it was", recorded)
    changed = detector.changed("light", "dim", recorded, seen(np.zeros(20), 0.3))
    assert (changed["alarm_before"], changed["statistics"]) == (False, ["confidence"])
    assert 0.9 < changed["delay_s"] < 1.3, "five spreads in the first second"
    control = detector.changed("control", "nothing", recorded, recorded)
    assert control["delay_s"] is None
    rows = mark_like_control([control, changed])
    page = text({"machine": machine(), "parts": {"mouse": {"quiet": [quiet], "changed": rows}}})
    assert "| light: dim" in page
    assert [row["like_control"] for row in mark_like_control([changed, dict(changed), control])] == [1, 1, 0]


def test_the_rigs_film_has_the_frames_that_were_drawn(tmp_path: Path) -> None:
    frames = list(rig_frames(5, 10, 0.3))
    write_film(tmp_path / "rig.mkv", frames, 10)
    assert probe(tmp_path / "rig.mkv").rate_hz == 10.0
    found = [frame.image.copy() for frame in read_frames(tmp_path / "rig.mkv", 1)]
    np.testing.assert_array_equal(found, frames)
