"""Where several cameras saw the same keypoints at the same times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError, nearest
from rt_pose.types import FloatArray
from rt_pose.views.camera import CalibratedCamera


@dataclass(frozen=True, slots=True)
class ViewPoses:
    """2D poses of V cameras, F frames that were exposed together, K keypoints, one animal or board."""

    cameras: list[str]
    keypoints: list[str]
    frames: list[int]
    """Number of each frame; of a session in its first camera's count."""
    xy: FloatArray
    """(V, F, K, 2) px; NaN where a camera did not see a keypoint, or not surely enough."""
    cov: FloatArray | None = None
    """(V, F, K, 2, 2) px^2; None where nothing is known of it."""
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Width and height of a camera's frames, px, where they are known."""
    t_ns: NDArray[np.int64] | None = None
    """(V, F) when each camera's frame was exposed, ns, -1 where it took none; None where it is not known."""

    def points(self) -> FloatArray:
        """List what was seen by two cameras or more, keypoint by keypoint.

        Returns
        -------
        FloatArray
            (V, n, 2) px.
        """
        flat = self.xy.reshape(len(self.cameras), -1, 2)
        seen = np.isfinite(flat).all(axis=-1).sum(axis=0)
        return flat[:, seen >= 2]


def cameras_of(
    calibration: Sequence[CalibratedCamera], names: Sequence[str], where: str
) -> list[CalibratedCamera]:
    """Pick the calibrated cameras that have poses.

    Parameters
    ----------
    calibration
        All cameras of a calibration.
    names
        Names of those with poses.
    where
        What was given, for messages.

    Returns
    -------
    list[CalibratedCamera]
        In the order of `names`.

    Raises
    ------
    UserError
        Where the calibration has no camera of a name, or a name stands twice, or alone.
    """
    known = {camera.name: camera for camera in calibration}
    for name in names:
        if name not in known:
            raise UserError(f"{where}: the calibration has no camera '{name}'{nearest(name, known)}")
        if list(names).count(name) > 1:
            raise UserError(f"{where}: camera '{name}' is given twice")
    if len(names) < 2:
        raise UserError(f"{where}: expected two cameras or more, got {len(names)}")
    return [known[name] for name in names]


def split_names(given: Sequence[str], option: str) -> dict[str, str]:
    """Split what is given as CAMERA=FILE.

    Parameters
    ----------
    given
        The words.
    option
        The option, for messages.

    Returns
    -------
    dict[str, str]
        File of each camera.

    Raises
    ------
    UserError
        Where a word has another form, or a camera stands twice.
    """
    found: dict[str, str] = {}
    for word in given:
        name, equals, file = word.partition("=")
        if not (name and equals and file):
            raise UserError(
                f"{option}: expected CAMERA=FILE for each camera, such as top=top.csv, got '{word}'"
            )
        if name in found:
            raise UserError(f"{option}: camera '{name}' is given twice")
        found[name] = file
    return found


def evenly_spaced(count: int, most: int) -> NDArray[np.intp]:
    """Pick indices evenly.

    Parameters
    ----------
    count
        From 0 to below this.
    most
        How many at most.

    Returns
    -------
    NDArray[np.intp]
        In order, none twice.
    """
    if count <= most:
        return np.arange(count)
    return np.linspace(0, count - 1, most).round().astype(np.intp)


def sampled(xy: FloatArray, per_camera: int) -> FloatArray:
    """Pick points at random, the same every time, of which every camera sees its share.

    Parameters
    ----------
    xy
        (V, n, 2) px; NaN where a camera does not see a point.
    per_camera
        So many of each camera, or all that it sees.

    Returns
    -------
    FloatArray
        (V, m, 2).
    """
    random = np.random.default_rng(0)
    chosen = np.zeros(xy.shape[1], bool)
    for seen in np.asarray(np.isfinite(xy).all(axis=-1)):
        chosen[random.permutation(np.flatnonzero(seen))[:per_camera]] = True
    return xy[:, chosen]
