"""What is wrong with a calibration that poses contradict: which camera, and what it looks like.

One camera after the other is left out; it is the one without which the keypoints' noise is least. Then faults
that are made by hand are tried: calibrations exchanged, frames mirrored or turned, another resolution, a unit
of its own. One that brings the noise down to where it is without the camera (or below the limit, where no
camera explains it by itself) is the explanation. Otherwise the camera has moved, or no more can be said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from rt_pose.types import FloatArray
from rt_pose.views.camera import CalibratedCamera
from rt_pose.views.resection import Resection
from rt_pose.views.triangulation import Triangulated, triangulate
from rt_pose.views.view_poses import sampled

NEAR = 1.3
"""A noise so many times another is not told from it."""
MOST_POINTS = 30
"""Of each camera, with which faults are tried."""
FEW_STEPS = 3
SCALES = (0.25, 1 / 3, 0.5, 2 / 3, 0.75, 4 / 3, 1.5, 2.0, 3.0, 4.0)
"""Sizes of frames, in sizes of those that were calibrated."""
UNITS = (10.0, 25.4, 100.0, 1000.0, 0.1, 1 / 25.4, 0.01, 0.001)
"""Of length, in others: cm, inches, dm and m in mm, and mm in them."""
FLIPS = (
    ((True, False), "its image is mirrored left to right"),
    ((False, True), "its image is mirrored top to bottom"),
    ((True, True), "its image is turned by 180 degrees"),
)
Noise = Callable[[Triangulated], float]
KEPT = 0.9
"""Share of the observations that must still be of use when a fault is taken back."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is wrong."""

    cameras: list[str]
    """The cameras that it is about; where there are several, the text says how."""
    text: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What is found without one camera."""

    noise_px: float = np.inf
    """Noise of the others; infinite where they are too few."""
    moved: Resection | None = None
    """Its pose by points of the others; None where they are too few."""
    offset_limit_px: float = np.nan
    """How far that pose may be off."""


@dataclass(frozen=True, slots=True)
class _Fault:
    """A fault that is tried: the cameras it is about, and how it looks when it is taken back."""

    names: list[str]
    text: str
    xy: FloatArray
    """(V, n, 2) px."""


def explain(
    cameras: Sequence[CalibratedCamera],
    xy: FloatArray,
    alone: Sequence[LeftOut],
    noise_px: float,
    limit_px: float,
    noise_of: Noise,
) -> Explanation:
    """Find out what is wrong with a calibration.

    Parameters
    ----------
    cameras
        V cameras.
    xy
        (V, n, 2) px where they see points; NaN where they do not.
    alone
        What is found without each of them.
    noise_px
        The noise with all of them.
    limit_px
        A noise that is allowed.
    noise_of
        Estimates the noise of keypoints from their reprojection errors; infinite where there are none.

    Returns
    -------
    Explanation
        What was found.
    """
    without = np.array([one.noise_px for one in alone])
    best = float(without.min())
    culprits = [v for v in range(len(cameras)) if without[v] <= min(NEAR * best, limit_px)]
    few = sampled(xy, MOST_POINTS)
    tried = culprits if len(cameras) > 2 else [0, 1]
    least, fault = min(_try_faults(cameras, few, tried, noise_of), key=lambda row: row[0])
    if least <= limit_px and least <= NEAR * best and least < noise_px / NEAR:
        return fault
    if len(culprits) != 1:
        return _of_several(cameras, culprits, alone)
    (v,) = culprits
    names = [cameras[v].name]
    for other in cameras:
        if other is not cameras[v] and same_pose(other, cameras[v]):
            return Explanation(names, f"its pose is a copy of that of '{other.name}'")
    return Explanation(names, _movement(cameras[v], alone[v].moved, best))


def same_pose(a: CalibratedCamera, b: CalibratedCamera) -> bool:
    """Tell whether two cameras stand at the same place and look the same way.

    Parameters
    ----------
    a, b
        The cameras.

    Returns
    -------
    bool
        Whether they do, to the last digit.
    """
    return np.array_equal(a.rotation, b.rotation) and np.array_equal(a.translation, b.translation)


def _of_several(
    cameras: Sequence[CalibratedCamera], culprits: Sequence[int], alone: Sequence[LeftOut]
) -> Explanation:
    """Where no camera explains it by itself, or one of several does."""
    copies = [camera.name for a, b in combinations(cameras, 2) if same_pose(a, b) for camera in (a, b)]
    if copies:
        return Explanation(copies, f"{' and '.join(copies)} have the same pose: one is a copy of the other")
    names = [cameras[v].name for v in culprits]
    if names:
        return Explanation(names, "the poses do not tell which of them is wrong")
    names = [camera.name for camera in cameras]
    if len(cameras) == 2:
        return Explanation(names, "they do not fit each other; two cameras do not tell which is wrong")
    if all(one.moved is not None and one.moved.offset_px <= one.offset_limit_px for one in alone):
        return Explanation(
            names,
            "none of them is off by itself: the keypoints may have more noise than is expected; if so, "
            "state it with --noise-px",
        )
    return Explanation(names, "no camera explains it by itself: two or more are wrong")


def _try_faults(
    cameras: Sequence[CalibratedCamera], xy: FloatArray, tried: Sequence[int], noise_of: Noise
) -> list[tuple[float, Explanation]]:
    """The noise that is left when each fault is taken back; those of one camera of those that are `tried`."""
    faults = [*_of_all(cameras, xy), *(fault for v in tried for fault in _of_image(cameras[v], xy, v))]
    found = triangulate(cameras, np.concatenate([fault.xy for fault in faults], axis=1), steps=FEW_STEPS)
    count, least = xy.shape[1], KEPT * np.isfinite(xy).all(axis=-1).sum()
    rows = []
    for i, fault in enumerate(faults):
        part = found.part(slice(i * count, (i + 1) * count))
        noise = noise_of(part) if part.used.sum() >= least else np.inf  # else its camera is but left out
        rows.append((noise, Explanation(fault.names, fault.text)))
    for v in tried:
        for unit in UNITS:
            other = list(cameras)
            other[v] = replace(cameras[v], translation=cameras[v].translation * unit)
            text = f"its translation is in another unit than the others: it fits {unit:.4g} times as long"
            rows.append(
                (noise_of(triangulate(other, xy, steps=FEW_STEPS)), Explanation([cameras[v].name], text))
            )
    return rows


def _of_all(cameras: Sequence[CalibratedCamera], xy: FloatArray) -> Iterator[_Fault]:
    """Faults of several cameras."""
    for a, b in combinations(range(len(cameras)), 2):
        swapped = xy.copy()
        swapped[[a, b]] = xy[[b, a]]
        names = [cameras[a].name, cameras[b].name]
        yield _Fault(names, f"the calibrations of {' and '.join(names)} are exchanged", swapped)
    for scale in SCALES:
        text = f"the poses are of frames of {scale:.3g} times the size of those that were calibrated"
        yield _Fault([camera.name for camera in cameras], text, _scaled(xy, scale))


def _of_image(camera: CalibratedCamera, xy: FloatArray, v: int) -> Iterator[_Fault]:
    """Faults of one camera's image."""
    size = np.array(camera.size, np.float64)

    def changed(seen: FloatArray) -> FloatArray:
        return np.concatenate([xy[:v], seen[None], xy[v + 1 :]])

    for flip, text in FLIPS:
        yield _Fault([camera.name], text, changed(np.where(flip, size - 1 - xy[v], xy[v])))
    for scale in SCALES:
        text = f"its poses are of frames of {_size(size * scale)}, its calibration of {_size(size)}"
        yield _Fault([camera.name], text, changed(_scaled(xy[v], scale)))


def _scaled(xy: FloatArray, scale: float) -> FloatArray:
    """Poses of frames of `scale` times the calibrated size, in px of the calibrated one."""
    scaled: FloatArray = (xy + 0.5) / scale - 0.5
    return scaled


def _size(size: FloatArray) -> str:
    return f"{size[0]:.0f}x{size[1]:.0f}"


def _movement(camera: CalibratedCamera, found: Resection | None, best: float) -> str:
    """How a camera would have moved since it was calibrated, where a movement explains what it sees."""
    if found is None or found.noise_px > 2 * NEAR * best:
        return "it does not see what the others see, wherever it would stand"
    turn = found.camera.rotation_matrix @ camera.rotation_matrix.T
    degrees = np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1)))
    shift = float(np.linalg.norm(found.camera.position - camera.position))
    return (
        f"as if it had been turned by {degrees:.1f} degrees and moved by {shift:.3g} (the file's unit) since"
    )
