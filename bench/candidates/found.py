"""Candidates of frames by a package's network, and what they are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.program import say
from rt_pose.clock import HostClock
from rt_pose.config.schema import EngineConfig
from rt_pose.errors import UserError
from rt_pose.inference.choose_engine import choose_engine
from rt_pose.inference.decode import CandidateDecoder, Decoder
from rt_pose.inference.decode_compiled import to_frame
from rt_pose.inference.estimator import Estimator
from rt_pose.inference.preprocess import frame_from_input
from rt_pose.offline.prediction_files import read_predictions
from rt_pose.package import Package
from rt_pose.types import FloatArray
from rt_pose.video import read_frames
from train.data.labels import LabeledFrames, read_labels
from train.evaluation.labeled import VALIDATION, sets_of

AGREE_PX = 10.0


@dataclass
class Found:
    """Candidates of F frames: K keypoints, C candidates, frame px."""

    xy: FloatArray
    """(F, K, C, 2)."""
    cov: FloatArray
    """(F, K, C, 2, 2)."""
    mass: FloatArray
    """(F, K, C)."""
    decode_us: FloatArray
    """(F, 2) time of decoding the highest peaks, and of decoding candidates."""


class Network:
    """Candidates of frames by a package's network; those of videos are kept in a folder."""

    def __init__(self, package: Package, work: Path) -> None:
        """Open nothing yet.

        Parameters
        ----------
        package
            The package.
        work
            The folder.
        """
        self._package, self._work = package, work
        self._estimator: Estimator | None = None

    def on_video(self, video: Path, frames: int) -> Found:
        """Find the candidates of a video's first frames, or read what was found before.

        Parameters
        ----------
        video
            The video.
        frames
            How many.

        Returns
        -------
        Found
            The candidates.

        Raises
        ------
        UserError
            Where it is no video.
        """
        file = self._work / f"{self._package.sha256[:12]}-{video.stem}-{frames}.npz"
        if not file.is_file():
            images = read_frames(video, self._package.manifest.input.channels)
            found = self._find([frame.image for frame in islice(images, frames)])
            part = file.with_suffix(".part.npz")
            np.savez(part, **vars(found))
            part.replace(file)
            say(f"{video.name}: {len(found.xy)} frames")
        with np.load(file) as arrays:
            return Found(**{name: arrays[name] for name in arrays.files})

    def on_images(self, labeled: LabeledFrames) -> Found:
        """Find the candidates of labeled frames.

        Parameters
        ----------
        labeled
            The frames.

        Returns
        -------
        Found
            The candidates.
        """
        return self._find(list(labeled.images))

    def _find(self, images: list[NDArray[np.uint8]]) -> Found:
        manifest = self._package.manifest
        if manifest.input.context is not None:
            raise UserError(f"--model {self._package.path}: its network has a context; give one without")
        if self._estimator is None:
            self._estimator = choose_engine(self._package, EngineConfig(precision="float32")).estimator
        decode = manifest.decode
        peak, several, clock = Decoder(decode), CandidateDecoder(decode), HostClock()
        rows = []
        for image in images:
            maps = self._estimator.infer(self._estimator.preprocess(image))
            begin = clock.now_ns()
            peak(maps)
            middle = clock.now_ns()
            found = several(maps)
            end = clock.now_ns()
            affine = frame_from_input(self._estimator.engine.spec, (image.shape[1], image.shape[0]))
            to_frame(affine, 0, 0, found.xy.reshape(-1, 2), found.cov.reshape(-1, 2, 2))
            times = np.array([middle - begin, end - middle]) / 1e3
            rows.append((found.xy[0], found.cov[0], found.confidence[0], times))
        return Found(*(np.array(part) for part in zip(*rows, strict=True)))


def kept_back(package: Package, data: Path) -> LabeledFrames:
    """Read the labeled frames that training kept back.

    Parameters
    ----------
    package
        The package.
    data
        The labeled folder.

    Returns
    -------
    LabeledFrames
        The frames.

    Raises
    ------
    UserError
        Where there are none.
    """
    manifest = package.manifest
    frames = read_labels(data, "", "gray" if manifest.input.channels == 1 else "rgb", manifest.keypoints)
    kept = np.flatnonzero(sets_of(frames, data.resolve(), manifest).of(VALIDATION))
    if not len(kept):
        raise UserError(f"--model {package.path}: it was trained on every labeled frame of {data}")
    return frames.subset(kept)


def agreed_median(folder: Path, keypoints: list[str], frames: int) -> tuple[FloatArray, float]:
    """Compute the median of networks where all but one at most lie near it.

    Parameters
    ----------
    folder
        Their predictions.
    keypoints
        K names.
    frames
        Only so many rows are read.

    Returns
    -------
    tuple[FloatArray, float]
        (F, K, 2) px, NaN where they do not agree and for keypoints that they do not have; and the share of
        their points in which they do not agree.

    Raises
    ------
    UserError
        Where there are fewer than three files, or one cannot be read.
    """
    tables = [read_predictions(file) for file in sorted(folder.glob("*.csv"))]
    if len(tables) < 3:
        raise UserError(f"--networks {folder}: {len(tables)} CSV files; expected three networks or more")
    names = [name for name in tables[0].keypoints if name in keypoints]
    xy = np.stack([t.xy[:frames, [t.keypoints.index(name) for name in names]] for t in tables])
    middle = np.median(xy, axis=0)
    near = (np.linalg.norm(xy - middle, axis=-1) <= AGREE_PX).sum(axis=0)
    agree = near >= len(tables) - 1
    reference = np.full((xy.shape[1], len(keypoints), 2), np.nan)
    reference[:, [keypoints.index(name) for name in names]] = np.where(agree[..., None], middle, np.nan)
    return reference, float(1.0 - agree.mean())
