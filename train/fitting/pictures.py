"""Pictures of predictions for TensorBoard: labeled frames with their labels and what was found."""

from __future__ import annotations

import cv2
import numpy as np
import pytorch_lightning as lightning
from numpy.typing import NDArray
from pytorch_lightning.loggers import TensorBoardLogger

from rt_pose.types import FloatArray
from train.data.labels import LabeledFrames

FRAMES = 4
LEAST_SIDE = 480
"""Smaller frames are enlarged to it, so that a pixel of error can be seen."""
LABEL, FOUND = (60, 220, 60), (255, 70, 70)


class Pictures(lightning.Callback):
    """Writes a few of the frames that validations run on after each validation, under a tag."""

    def __init__(self, frames: LabeledFrames, tag: str) -> None:
        self._frames = frames
        self._tag = tag

    def on_validation_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """See `Callback.on_validation_end`."""
        found = getattr(module, "found", None)
        if found is None or not isinstance(trainer.logger, TensorBoardLogger):
            return
        for i in range(min(FRAMES, len(self._frames))):
            labels, own = (xy.reshape(-1, 2) for xy in (self._frames.xy[i], found[i]))
            picture = draw(self._frames.images[i], labels, own)
            trainer.logger.experiment.add_image(
                f"{self._tag}/{self._frames.names[i]}", picture, trainer.global_step, dataformats="HWC"
            )


def draw(image: NDArray[np.uint8], labels: FloatArray, found: FloatArray) -> NDArray[np.uint8]:
    """Draw labels as rings and found keypoints as crosses, joined by lines.

    Parameters
    ----------
    image
        Frame (H, W, C) uint8, gray or RGB; a small one is enlarged by a whole factor.
    labels, found
        Keypoints (K, 2), frame px; NaN where there is none.

    Returns
    -------
    NDArray
        RGB picture (H', W', 3) uint8.
    """
    zoom = max(int(np.ceil(LEAST_SIDE / max(image.shape[:2]))), 1)
    rgb = np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image
    picture = np.ascontiguousarray(rgb.repeat(zoom, axis=0).repeat(zoom, axis=1))
    for label, point in zip(_centres(labels, zoom), _centres(found, zoom), strict=True):
        if label is not None and point is not None:
            cv2.line(picture, label, point, FOUND, 1, cv2.LINE_AA)
        if label is not None:
            cv2.circle(picture, label, 5, LABEL, 1, cv2.LINE_AA)
        if point is not None:
            cv2.drawMarker(picture, point, FOUND, cv2.MARKER_TILTED_CROSS, 7, 1, cv2.LINE_AA)
    return picture


def _centres(xy: FloatArray, zoom: int) -> list[tuple[int, int] | None]:
    """Pixels of the enlarged picture; None for what is not there."""
    points: list[tuple[int, int] | None] = []
    for x, y in (xy + 0.5) * zoom - 0.5:
        points.append((round(x), round(y)) if np.isfinite([x, y]).all() else None)
    return points
