"""Frames whose pixels are gone, or that find no place, are counted with their reason."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rt_pose.loop.frame_ring import FrameRing, RingDescription
from rt_pose.records import CapturedFrame
from rt_pose.session import video_recording
from rt_pose.session.video_file import read_times
from rt_pose.session.video_recording import CameraRecorder
from rt_pose.types import CameraInfo, FrameStamps


@pytest.fixture
def ring() -> Iterator[FrameRing]:
    ring = FrameRing.create(CameraInfo("top", "none", "0", 64, 48, 1, 100.0))
    yield ring
    ring.close()


def _write(ring: FrameRing, index: int, slot: int) -> CapturedFrame:
    ring.begin_write(slot)[:] = index
    generation = ring.end_write(slot)
    stamps = FrameStamps(index=index, t_exposure_ns=None, t_arrival_ns=0, t_scene_ns=0)
    return CapturedFrame(t_ns=1, camera="top", stamps=stamps, slot=slot, generation=generation)


def test_overwritten_pixels_are_lost_and_counted(tmp_path: Path, ring: FrameRing) -> None:
    film = CameraRecorder(tmp_path, ring.description)
    kept, gone, gone_too = _write(ring, 1, 0), _write(ring, 2, 1), _write(ring, 3, 2)
    _write(ring, 4, 1)
    ring.begin_write(2)
    for frame in (kept, gone, gone_too):
        film.copy(frame)
    losses = film.losses(t_ns=9)
    assert [(d.stage, d.count, d.first_index, d.camera, d.t_ns) for d in losses] == [
        ("recorder", 2, 2, "top", 9)
    ]
    assert "overwritten" in losses[0].reason
    assert film.losses(t_ns=10) == []
    film.close()
    times = read_times(tmp_path, "top")
    assert times is not None
    assert times.frame.tolist() == [1]


def test_a_full_backlog_loses_frames_and_counts_them(
    tmp_path: Path, ring: FrameRing, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_recording, "MAX_BACKLOG", 4)
    film = CameraRecorder(tmp_path, ring.description)
    for i in range(6):
        film.copy(_write(ring, i, i))
    film.encode_one()
    film.copy(_write(ring, 6, 6))
    film.close()
    (loss,) = film.losses(t_ns=1)
    assert (loss.count, loss.first_index) == (2, 4)
    assert "behind" in loss.reason
    times = read_times(tmp_path, "top")
    assert times is not None
    assert times.frame.tolist() == [0, 1, 2, 3, 6]


def test_a_ring_that_is_gone_costs_the_film_not_the_recorder(tmp_path: Path) -> None:
    film = CameraRecorder(tmp_path, RingDescription("top", "rt_pose_no_such_ring", 8, 48, 64, 1))
    stamps = FrameStamps(index=5, t_exposure_ns=None, t_arrival_ns=0, t_scene_ns=0)
    film.copy(CapturedFrame(t_ns=1, camera="top", stamps=stamps, slot=0, generation=2))
    film.close()
    (loss,) = film.losses(t_ns=1)
    assert loss.count == 1
    assert "no film could be begun" in loss.reason


def test_pixels_survive_the_writers_next_lap(tmp_path: Path, ring: FrameRing) -> None:
    film = CameraRecorder(tmp_path, ring.description)
    film.copy(_write(ring, 100, 0))
    assert film.pending
    ring.begin_write(0)[:] = 200
    film.close()
    from rt_pose.session.video_file import read_video

    ((_, image),) = read_video(tmp_path, "top", [0], 1)
    assert np.abs(image.astype(int) - 100).max() <= 2
