"""Where the animal truly was: smoothed in hindsight, known from a simulated rig, or from a table of labels.

A truth is a series of one camera over one playing of its recording, in scene time. Its positions are taken as
they are given; where no velocity comes with them it is the central difference of neighbouring frames.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_S
from rt_pose.package import TrackingSpec
from rt_pose.records import Observation
from rt_pose.session.frame_numbers import camera_stamps, number_frames
from rt_pose.session.read import Session
from rt_pose.types import FloatArray, FrameStamps, Track, Track3D


class SmoothedArrays(Protocol):
    """A smoother's result: (F, K, 2) px, (F, K, 2) px/s, (F, K, 4, 4); NaN where nothing was seen."""

    xy: FloatArray
    velocity: FloatArray
    cov: FloatArray


Smoother = Callable[[NDArray[np.int64], FloatArray, FloatArray, FloatArray, TrackingSpec], SmoothedArrays]
"""(t_ns (F,), xy (F, K, 2), cov (F, K, 2, 2), confidence (F, K), parameters) -> smoothed."""


@dataclass
class TruthSeries:
    """The truth of one camera, frame by frame. F frames, N individuals, K keypoints."""

    source: str
    """Where it comes from, in words for people."""
    camera: str
    epoch: int
    t_ns: NDArray[np.int64]
    """(F,) scene time, ascending."""
    index: NDArray[np.int64]
    """(F,) index of the camera's frames."""
    xy: FloatArray
    """(F, N, K, 2) px; NaN where it is not known."""
    velocity: FloatArray
    """(F, N, K, 2) px/s."""
    cov: FloatArray | None = None
    """(F, N, K, 4, 4) of [x, y, vx, vy]; None for a truth that is certain."""
    cuts: NDArray[np.bool_] | None = None
    """(F, N) from where on a row is of another animal than before; None where all rows stay what they are."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Frames, individuals and keypoints."""
        frames, individuals, keypoints = self.xy.shape[:3]
        return frames, individuals, keypoints

    def tracks(self) -> Iterator[Track]:
        """Iterate over the truth as tracks, which rules can judge.

        Yields
        ------
        Track
            One a frame; a keypoint whose position or velocity is not known is lost.
        """
        individuals, keypoints = self.xy.shape[1:3]
        certain = np.zeros((individuals, keypoints, 4, 4))
        unseen = np.zeros((individuals, keypoints))
        known: NDArray[np.bool_] = np.isfinite(self.xy) & np.isfinite(self.velocity)
        unknown = ~np.asarray(known.all(axis=-1))  # (F, N, K)
        for f in range(len(self.t_ns)):
            yield Track(
                camera=self.camera,
                frame_index=int(self.index[f]),
                t_valid_ns=int(self.t_ns[f]),
                xy=self.xy[f],
                velocity=self.velocity[f],
                cov=certain if self.cov is None else self.cov[f],
                seen_ms_ago=unseen,
                lost=unknown[f],
            )


@dataclass
class SpatialTruth:
    """The truth of a group of views in space, moment by moment. F moments, one animal, K keypoints."""

    source: str
    """Where it comes from, in words for people."""
    camera: str
    """Name of the group, which its events bear as their camera."""
    epoch: int
    """In the group's own count."""
    t_ns: NDArray[np.int64]
    """(F,) scene time, ascending."""
    xyz: FloatArray
    """(F, K, 3) mm, in the group's axes; NaN where it is not known."""
    velocity: FloatArray
    """(F, K, 3) mm/s."""
    cuts: NDArray[np.bool_] | None = None
    """As of `TruthSeries`: there is one animal."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Moments, individuals and keypoints."""
        moments, keypoints = self.xyz.shape[:2]
        return moments, 1, keypoints

    def tracks(self) -> Iterator[Track3D]:
        """Iterate over the truth as tracks, which rules in space can judge.

        Yields
        ------
        Track3D
            One a moment; a keypoint whose position or velocity is not known is lost.
        """
        keypoints = self.shape[2]
        certain, unseen = np.zeros((keypoints, 6, 6)), np.zeros(keypoints)
        known: NDArray[np.bool_] = np.isfinite(self.xyz) & np.isfinite(self.velocity)
        unknown = ~np.asarray(known.all(axis=-1))  # (F, K)
        for f, t_ns in enumerate(self.t_ns.tolist()):
            yield Track3D(t_ns, self.xyz[f], self.velocity[f], certain, unseen, unknown[f])


@dataclass
class TruthInSpace:
    """What one source says of the groups whose rules are scored."""

    series: list[SpatialTruth]
    reasons: dict[str, str]
    """By group of which it says nothing, the reason."""
    stamps: dict[int, FrameStamps]
    """By the number of a turn of a group, stamps of the newest frame that it had used, in the group's own
    count of epochs."""


def smoothed_truth(
    session: Session, tracking_of: Callable[[str], TrackingSpec], smooth: Smoother
) -> list[TruthSeries]:
    """Smooth a session's own observations, over each playing of each camera, with the filter's model.

    Parameters
    ----------
    session
        The session.
    tracking_of
        Parameters of the filter of a camera.
    smooth
        The smoother.

    Returns
    -------
    list[TruthSeries]
        One for each camera and epoch.
    """
    by_series: dict[tuple[str, int], list[Observation]] = defaultdict(list)
    for seen in session.observations:
        by_series[seen.camera, seen.stamps.epoch].append(seen)
    found = []
    for (camera, epoch), observations in by_series.items():
        t_ns = np.array([o.stamps.t_scene_ns for o in observations], np.int64)
        # The filter ignores what comes out of order; so does the smoother.
        kept = np.flatnonzero(np.diff(np.maximum.accumulate(t_ns), prepend=t_ns[0] - 1) > 0)
        seen_in_order = [observations[i] for i in kept]
        xy, cov, confidence = (
            np.stack([getattr(o, name).array() for o in seen_in_order])
            for name in ("xy", "cov", "confidence")
        )
        spec = tracking_of(camera)
        parts = [smooth(t_ns[kept], xy[:, n], cov[:, n], confidence[:, n], spec) for n in range(xy.shape[1])]
        found.append(
            TruthSeries(
                "the session smoothed in hindsight",
                camera,
                epoch,
                t_ns[kept],
                np.array([o.stamps.index for o in seen_in_order], np.int64),
                *(np.stack([getattr(p, name) for p in parts], axis=1) for name in ("xy", "velocity", "cov")),
            )
        )
    return found


def known_truth(session: Session) -> list[TruthSeries]:
    """Get what the rig itself knew.

    Parameters
    ----------
    session
        The session.

    Returns
    -------
    list[TruthSeries]
        One for each camera and epoch, with every frame that was handed over; empty where the rig knew
        nothing, or had several animals: their order is not that of the tracks.
    """
    stamps = {(f.camera, f.stamps.index): f.stamps for f in session.frames}
    by_series: dict[tuple[str, int], list[tuple[int, int, FloatArray]]] = defaultdict(list)
    for truth in session.truths:
        of_frame = stamps.get((truth.camera, truth.index))
        if of_frame is not None and truth.xy.shape[0] == 1:
            row = (of_frame.t_scene_ns, truth.index, truth.xy.array())
            by_series[truth.camera, of_frame.epoch].append(row)
    found = []
    for (camera, epoch), rows in by_series.items():
        rows.sort(key=lambda row: row[0])
        t_ns = np.array([row[0] for row in rows], np.int64)
        index = np.array([row[1] for row in rows], np.int64)
        found.append(
            moving_truth(
                "the truth that the rig knew", camera, epoch, t_ns, index, np.stack([r[2] for r in rows])
            )
        )
    return found


def table_truth(session: Session, xy: FloatArray) -> list[TruthSeries]:
    """Assign a table of positions to each camera that played the recording.

    A camera's index is the position in the file; the scene time of frames that it did not hand over is
    interpolated between those it did. Rows before its first and after its last frame are left out.

    Parameters
    ----------
    session
        The session.
    xy
        (F, K, 2) px, one row a frame of the recording.

    Returns
    -------
    list[TruthSeries]
        One for each camera, over its first playing.
    """
    found = []
    for camera in session.info.cameras:
        frames = sorted(
            (f.stamps.index, f.stamps.t_scene_ns)
            for f in session.frames
            if f.camera == camera and f.stamps.epoch == 0
        )
        if len(frames) < 2:
            continue
        seen, times = np.array(frames, np.int64).T
        index = np.arange(seen[0], min(seen[-1] + 1, len(xy)))
        t_ns = np.rint(np.interp(index, seen, times)).astype(np.int64)
        found.append(moving_truth("the table", camera, 0, t_ns, index, xy[index][:, None]))
    return found


def numbered_truth(session: Session, camera: str, xy: FloatArray, source: str) -> list[TruthSeries]:
    """Assign positions that another program found in a camera's video to the camera's frames.

    The scene time of frames that the camera did not hand over is interpolated between those it did. Rows
    before its first and after its last frame are left out.

    Parameters
    ----------
    session
        The session.
    camera
        Name of the camera.
    xy
        (F, K, 2) px of the pictures, one row a frame of the video (`rt_pose.session.frame_numbers`).
    source
        Where they come from, in words for people.

    Returns
    -------
    list[TruthSeries]
        One for each epoch of the camera.
    """
    numbers, offset = number_frames(session, camera), np.array(session.info.cameras[camera].offset_xy)
    by_epoch: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for stamps in camera_stamps(session, camera):
        number = numbers.of(stamps)
        rows = by_epoch[stamps.epoch]
        # What comes out of order has no place in a series.
        if number >= 0 and (not rows or (number > rows[-1][0] and stamps.t_scene_ns > rows[-1][1])):
            rows.append((number, stamps.t_scene_ns))
    found = []
    for epoch, rows in by_epoch.items():
        if len(rows) < 2:
            continue
        seen, times = np.array(rows, np.int64).T
        index = np.arange(seen[0], min(seen[-1] + 1, len(xy)))
        t_ns = np.rint(np.interp(index, seen, times)).astype(np.int64)
        if len(index) > 1:
            found.append(moving_truth(source, camera, epoch, t_ns, index, xy[index][:, None] + offset))
    return found


def moving_truth(
    source: str,
    camera: str,
    epoch: int,
    t_ns: NDArray[np.int64],
    index: NDArray[np.int64],
    xy: FloatArray,
) -> TruthSeries:
    """Make a series from positions; its velocity is the central difference of neighbouring frames.

    Parameters
    ----------
    source
        Where it comes from, in words for people.
    camera
        Name of the camera.
    epoch
        Epoch of the stamps.
    t_ns
        (F,) scene times, ascending, ns.
    index
        (F,) index of the camera's frames.
    xy
        (F, N, K, 2) px.

    Returns
    -------
    TruthSeries
        The series, without a covariance.
    """
    return TruthSeries(source, camera, epoch, t_ns, index, xy, central_differences(t_ns, xy))


def central_differences(t_ns: NDArray[np.int64], places: FloatArray) -> FloatArray:
    """Compute velocities from places.

    Parameters
    ----------
    t_ns
        (F,) times, ascending, ns.
    places
        (F, ...).

    Returns
    -------
    FloatArray
        (F, ...) in the places' unit a second; 0 where there is one place alone.
    """
    if len(t_ns) < 2:
        return np.zeros_like(places)
    velocity: FloatArray = np.gradient(places, (t_ns - t_ns[0]) / NS_PER_S, axis=0)
    return velocity
