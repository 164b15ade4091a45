"""What several cameras saw, in the order of time: as the filter in space takes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_S
from rt_pose.errors import UserError
from rt_pose.types import FloatArray
from rt_pose.views.view_poses import ViewPoses

Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ViewSequence:
    """E exposures of V cameras, K keypoints; no exposure is before the one before it."""

    view: Indices
    """(E,) number of the camera."""
    frame: Indices
    """(E,) number of the row of the poses, from 0; those of one row follow each other."""
    t_ns: Indices
    """(E,) when."""
    xy: FloatArray
    """(V, F, K, 2) px, of all rows; NaN where not seen."""
    cov: FloatArray
    """(V, F, K, 2, 2) px^2."""
    late: int
    """Exposures before one of an earlier row, which are left out."""

    @classmethod
    def of(cls, poses: ViewPoses, noise_px: float, fps: float | None) -> Self:
        """Order what was seen.

        Parameters
        ----------
        poses
            What was seen.
        noise_px
            Standard deviation of the keypoints in x and y, where the poses have no covariances.
        fps
            Frames a second, where the poses have no times; None where they have.

        Returns
        -------
        ViewSequence
            All exposures.

        Raises
        ------
        UserError
            Where times are known neither of the frames nor by their rate, or by both.
        """
        times = _times(poses, fps)
        frame, view = np.nonzero(times.T >= 0)
        t_ns = times[view, frame]
        order = np.lexsort((view, t_ns, frame))
        view, frame, t_ns = view[order], frame[order], t_ns[order]
        kept = t_ns >= np.maximum.accumulate(t_ns) if len(t_ns) else np.zeros(0, bool)
        cov = poses.cov
        if cov is None:
            cov = np.broadcast_to(noise_px**2 * np.eye(2), (*poses.xy.shape, 2))
        late = int((~kept).sum())
        return cls(view[kept], frame[kept], t_ns[kept], poses.xy, cov, late)

    def part(self, exposures: slice | Indices) -> tuple[Indices, Indices, FloatArray, FloatArray]:
        """Get some of the exposures, as `CausalFilter3D.observe_all` takes them.

        Parameters
        ----------
        exposures
            Which.

        Returns
        -------
        tuple[Indices, Indices, FloatArray, FloatArray]
            Camera (e,), time (e,), positions (e, K, 2) and covariances (e, K, 2, 2).
        """
        view, frame = self.view[exposures], self.frame[exposures]
        return view, self.t_ns[exposures], self.xy[view, frame], self.cov[view, frame]


def _times(poses: ViewPoses, fps: float | None) -> Indices:
    """(V, F) ns, -1 where a camera took no frame."""
    if poses.t_ns is not None:
        if fps is not None:
            raise UserError("--fps: a session knows when its frames were exposed; leave it out")
        return poses.t_ns
    if fps is None:
        raise UserError("--filter: files of poses have no times; give the rate of their frames, --fps 100")
    if not 0 < fps <= 1e6:
        raise UserError(f"--fps: expected frames a second, above 0, got {fps:g}")
    t_ns = np.round(np.asarray(poses.frames) * (NS_PER_S / fps)).astype(np.int64)
    return np.broadcast_to(t_ns, poses.xy.shape[:2])
