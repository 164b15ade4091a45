"""What a model says of frames that nobody has labeled: places to begin with, and how good they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from rt_pose.config.schema import EngineConfig
from rt_pose.errors import UserError
from rt_pose.inference.choose_engine import choose_engine
from rt_pose.inference.decode import Keypoints
from rt_pose.labeling.animal_points import AnimalPoints
from rt_pose.offline.animal_rows import AnimalRows
from rt_pose.offline.pose_space import pose_space, residuals
from rt_pose.package import Package, Subspace, check_frame_size, read_package
from rt_pose.types import FloatArray

Proposals = dict[str, tuple[float, float, float]]
"""x and y (px) and confidence, by the point: the keypoint, of several animals `animal.keypoint`."""


class ProposalModel:
    """A package's network, run on single frames."""

    def __init__(self, path: str, animals: int = 1) -> None:
        """Load a package.

        Parameters
        ----------
        path
            Its folder.
        animals
            How many are labeled, where that is known.

        Raises
        ------
        UserError
            Where it is none, or no engine runs it.
        """
        self.package: Package = read_package(path)
        self.keypoints = self.package.manifest.keypoints
        self.skeleton = [list(bone) for bone in self.package.manifest.skeleton]
        self._points = AnimalPoints(self.keypoints)
        self._open(animals)

    @property
    def individuals(self) -> int:
        """The most animals in a frame that it was trained on."""
        return self.package.manifest.individuals

    def _open(self, animals: int) -> None:
        self._most = max(self.individuals, animals) if self.individuals > 1 else 0
        self._estimator = choose_engine(self.package, EngineConfig(), self._most).estimator

    def label_for(self, points: AnimalPoints) -> None:
        """Take the animals and keypoints that are labeled, for which places are proposed from now on.

        Parameters
        ----------
        points
            Their names.

        Raises
        ------
        UserError
            Where it knows none of the keypoints, or finds one animal and several are labeled.
        """
        if not set(points.keypoints) & set(self.keypoints):
            raise UserError(
                f"--model {self.package.path}: finds {', '.join(self.keypoints)}; labeled are "
                f"{', '.join(points.keypoints)}; give the model of this animal"
            )
        if len(points.animals) > max(self._most, 1):
            if self.individuals == 1:
                raise UserError(
                    f"--model {self.package.path}: finds one animal, labeled are {len(points.animals)} "
                    f"({', '.join(points.animals)}); leave it out, or give one that was trained on several"
                )
            self._open(len(points.animals))
        self._points = points

    def estimate(self, images: Iterable[NDArray[np.uint8]]) -> Keypoints[FloatArray]:
        """Find the keypoints of frames that do not follow one another.

        Parameters
        ----------
        images
            F frames (H, W, C) uint8, C 1 or 3 (RGB).

        Returns
        -------
        Keypoints[FloatArray]
            Keypoints (F, K), where several animals are labeled (F, D, K), frame px. Of a network of several
            the surest animal, where one is labeled.
        """
        found = self._estimator.estimate_all(map(self._as_trained, images))
        if self.individuals == 1 or self._count > 1:
            return found
        return Keypoints(*(part[:, 0] for part in found))

    @property
    def _count(self) -> int:
        return max(len(self._points.animals), 1)

    def proposer(self) -> Callable[[NDArray[np.uint8]], Proposals]:
        """Begin with the frames of a recording, in their order.

        Returns
        -------
        Callable
            From a frame (H, W, C) uint8, C 1 or 3 (RGB), to places to begin with, of the keypoints that the
            model is confident of. Animals keep their names by nearness, which is no identity.
        """
        rows = AnimalRows(self._count, len(self.keypoints)) if self._count > 1 else None
        names = self._points.names_of(self.keypoints)

        def propose(image: NDArray[np.uint8]) -> Proposals:
            found = self.estimate([image])
            one = Keypoints(found.xy[0], found.cov[0], found.confidence[0])
            own = one if rows is None else rows(one)
            return proposals_of(own, names, self.package.manifest.tracking.min_confidence)

        return propose

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


def proposals_of(found: Keypoints[FloatArray], names: Sequence[str], min_confidence: float) -> Proposals:
    """Return what a network found as places to begin with.

    Parameters
    ----------
    found
        Keypoints (K) of one frame, of several animals (N, K), px of its image.
    names
        Of these points.
    min_confidence
        Those below it are not proposed.

    Returns
    -------
    Proposals
        x and y (px) and confidence, by the point.
    """
    xy, confidence = found.xy.reshape(-1, 2), found.confidence.ravel()
    return {
        name: (round(float(x), 2), round(float(y), 2), round(float(c), 3))
        for name, (x, y), c in zip(names, xy, confidence, strict=True)
        if c >= min_confidence and np.isfinite(x + y)
    }


def uncertainty(found: Keypoints[FloatArray]) -> FloatArray:
    """Score frames by what the network is not confident of.

    Parameters
    ----------
    found
        Keypoints (F, K), or of several animals (F, D, K).

    Returns
    -------
    FloatArray
        (F,) the share of confidence that is missing, 0 to 1, on the mean of the keypoints. Of several animals
        those that are there count, and as many as there usually are.
    """
    confidence = np.clip(found.confidence, 0.0, 1.0)
    if confidence.ndim == 2:
        return np.asarray(1.0 - confidence.mean(axis=1))
    seen = np.isfinite(found.xy).all(axis=-1)  # (F, D, K)
    there = seen.any(axis=-1).sum(axis=-1)
    counted = np.maximum(there, max(round(float(np.median(there))), 1)) * confidence.shape[-1]
    return np.asarray(1.0 - np.where(seen, confidence, 0.0).sum(axis=(1, 2)) / counted)


def implausibility(
    found: Keypoints[FloatArray], subspaces: Sequence[Subspace], min_confidence: float
) -> FloatArray:
    """Score frames by how far their poses lie from the spaces that poses keep to.

    Parameters
    ----------
    found
        Keypoints (F, K), or of several animals (F, D, K).
    subspaces
        The package's; where it has none, one is fitted to the frames themselves if there are enough of them.
    min_confidence
        Keypoints below it are left out of the fit.

    Returns
    -------
    FloatArray
        (F,) the largest distance of a keypoint, in standard deviations of the space; 0 where none is known.
    """
    if found.xy.ndim == 4:
        frames, animals = found.xy.shape[:2]
        poses = Keypoints(*(part.reshape(frames * animals, *part.shape[2:]) for part in found))
        return implausibility(poses, subspaces, min_confidence).reshape(frames, animals).max(axis=1)
    spaces = list(subspaces)
    if not spaces:
        confident = np.where(found.confidence[..., None] >= min_confidence, found.xy, np.nan)
        fitted = pose_space(confident, range(found.xy.shape[1]))
        spaces = [fitted] if fitted is not None else []
    score = np.zeros(len(found.xy))
    for space in spaces:
        d = found.xy[:, space.keypoints].reshape(len(found.xy), -1)
        whole = np.isfinite(d).all(axis=1)
        off = residuals(d[whole], np.array(space.mean_px), np.array(space.components))
        score[whole] = np.fmax(score[whole], (off / np.sqrt(space.eps_px2)).max(axis=1))
    return score
