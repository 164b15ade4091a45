"""What a model says of frames that nobody has labeled: places to begin with, and how good they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from rt_pose.config.schema import EngineConfig
from rt_pose.errors import UserError
from rt_pose.inference.choose_engine import choose_engine
from rt_pose.inference.decode import Keypoints
from rt_pose.offline.pose_space import pose_space, residuals
from rt_pose.package import Package, Subspace, check_frame_size, read_package
from rt_pose.types import FloatArray

Proposals = dict[str, tuple[float, float, float]]
"""x and y (px) and confidence, by the keypoint."""


class ProposalModel:
    """A package's network, run on single frames."""

    def __init__(self, path: str) -> None:
        """Load a package.

        Parameters
        ----------
        path
            Its folder.

        Raises
        ------
        UserError
            Where it is none, or no engine runs it.
        """
        self.package: Package = read_package(path)
        self.keypoints = self.package.manifest.keypoints
        self.skeleton = [list(bone) for bone in self.package.manifest.skeleton]
        self._estimator = choose_engine(self.package, EngineConfig()).estimator

    def estimate(self, images: Iterable[NDArray[np.uint8]]) -> Keypoints[FloatArray]:
        """Find the keypoints of frames that do not follow one another.

        Parameters
        ----------
        images
            F frames (H, W, C) uint8, C 1 or 3 (RGB).

        Returns
        -------
        Keypoints[FloatArray]
            Keypoints (F, K), frame px.
        """
        return self._estimator.estimate_all(map(self._as_trained, images))

    def proposals(self, image: NDArray[np.uint8]) -> Proposals:
        """Find places to begin with.

        Parameters
        ----------
        image
            Frame (H, W, C) uint8, C 1 or 3 (RGB).

        Returns
        -------
        Proposals
            Of the keypoints that it is confident of.
        """
        found = self.estimate([image])
        one = Keypoints(found.xy[0], found.cov[0], found.confidence[0])
        return proposals_of(one, self.keypoints, self.package.manifest.tracking.min_confidence)

    def check(self, keypoints: Sequence[str]) -> None:
        """Check that the model finds keypoints that are labeled.

        Parameters
        ----------
        keypoints
            Names of those that are labeled.

        Raises
        ------
        UserError
            Where it knows none of them.
        """
        if not set(keypoints) & set(self.keypoints):
            raise UserError(
                f"--model {self.package.path}: finds {', '.join(self.keypoints)}; labeled are "
                f"{', '.join(keypoints)}; give the model of this animal"
            )

    def check_size(self, width: int, height: int, name: str) -> None:
        """Check that frames have a size that the network takes.

        Parameters
        ----------
        width, height
            Of the frames, px.
        name
            Of the recording.

        Raises
        ------
        UserError
            Where they have not.
        """
        check_frame_size(self.package, width, height, name)

    def _as_trained(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        channels = self.package.manifest.input.channels
        if image.shape[2] == channels:
            return image
        if channels == 3:
            return np.repeat(image, 3, axis=2)
        return np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)[..., None]


def proposals_of(found: Keypoints[FloatArray], keypoints: Sequence[str], min_confidence: float) -> Proposals:
    """Return what a network found as places to begin with.

    Parameters
    ----------
    found
        Keypoints (K) of one frame, px of its image.
    keypoints
        Their names.
    min_confidence
        Those below it are not proposed.

    Returns
    -------
    Proposals
        x and y (px) and confidence, by the keypoint.
    """
    return {
        name: (round(float(x), 2), round(float(y), 2), round(float(c), 3))
        for name, (x, y), c in zip(keypoints, found.xy, found.confidence, strict=True)
        if c >= min_confidence and np.isfinite(x + y)
    }


def uncertainty(found: Keypoints[FloatArray]) -> FloatArray:
    """Score frames by what the network is not confident of.

    Parameters
    ----------
    found
        Keypoints (F, K).

    Returns
    -------
    FloatArray
        (F,) the share of confidence that is missing, 0 to 1, on the mean of the keypoints.
    """
    return np.asarray(1.0 - np.clip(found.confidence, 0.0, 1.0).mean(axis=1))


def implausibility(
    found: Keypoints[FloatArray], subspaces: Sequence[Subspace], min_confidence: float
) -> FloatArray:
    """Score frames by how far their poses lie from the spaces that poses keep to.

    Parameters
    ----------
    found
        Keypoints (F, K).
    subspaces
        The package's; where it has none, one is fitted to the frames themselves if there are enough of them.
    min_confidence
        Keypoints below it are left out of the fit.

    Returns
    -------
    FloatArray
        (F,) the largest distance of a keypoint, in standard deviations of the space; 0 where none is known.
    """
    spaces = list(subspaces)
    if not spaces:
        confident = np.where(found.confidence[..., None] >= min_confidence, found.xy, np.nan)
        fitted = pose_space(confident, range(found.xy.shape[1]))
        spaces = [fitted] if fitted is not None else []
    score = np.zeros(len(found.xy))
    for space in spaces:
        d = found.xy[:, space.keypoints].reshape(len(found.xy), -1)
        far = residuals(d, np.array(space.mean_px), np.array(space.components)) / np.sqrt(space.eps_px2)
        score = np.fmax(score, far.max(axis=1))
    return score
