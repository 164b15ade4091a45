"""A folder of labeled frames of simulated animals, in Lightning Pose's layout, to train a network on."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rigs.hashing import hash64, uniform
from rigs.simulated.animal import KEYPOINTS
from rigs.simulated.behaviour import Reactions
from rigs.simulated.options import SimulatedOptions
from rigs.simulated.picture import make_picture
from rt_pose.errors import UserError
from rt_pose.files import atomic_writer
from rt_pose.offline.prediction_files import FIELDS, write_table
from rt_pose.rules.keypoint_name import individual_names
from rt_pose.types import FloatArray

ANIMALS = 12
"""Animals, or groups of them, each in an arena of its own, that the frames are spread over."""
HELD_OUT = 2
"""The last of them are for validation only: its error then speaks of animals never trained on."""
SPAN_S = 600.0
"""Scene time that the frames of an animal are spread over."""
SCORER = "truth"


def write_labeled_folder(
    out: Path,
    frames: int,
    seed: int,
    options: SimulatedOptions | None = None,
    progress: Callable[[int, int], None] | None = None,
    views: int = 0,
) -> Path:
    """Write a folder of labeled frames: `labeled-data/*.png`, `CollectedData.csv` and `split.csv`.

    Parameters
    ----------
    out
        Folder to write to; absent or empty.
    frames
        Number of frames; at least `ANIMALS`. They take turns among animals whose seeds are hashes of `seed`,
        at hashed times.
    seed
        Seed of animals, arenas, times and noise.
    options
        The camera, and how many animals are in a frame; None: its defaults.
    progress
        Called as `progress(done, frames)` after each frame.
    views
        Of so many cameras in space the frames are taken in turns, 1 to 4; 0: all of the camera of `options`.

    Returns
    -------
    Path
        `out`.

    Raises
    ------
    UserError
        Where the folder holds something already, where `frames` does not reach all animals, or where an
        option is out of range.

    Notes
    -----
    The layout is Lightning Pose's; of several animals, with DeepLabCut's header row `individuals`.
    A keypoint that cannot be seen is left blank.
    """
    options = replace(options or SimulatedOptions())
    cameras = [replace(options, view=view) for view in range(views)] or [options]
    cameras[-1].check("simulated frames")
    if frames < ANIMALS:
        raise UserError(f"simulated frames: at least {ANIMALS} are needed (one an animal), got {frames}")
    if out.exists() and any(out.iterdir()):
        raise UserError(f"simulated frames: the folder {out} is not empty; name another")
    rows = _write_images(out, frames, seed, cameras, progress)
    write_table(
        out / "CollectedData.csv",
        KEYPOINTS,
        FIELDS[:2],
        rows,
        individuals=individual_names(options.animals) if options.animals > 1 else (),
        scorer=SCORER,
        formats=("%.3f",),
    )
    first_held_out = ANIMALS - HELD_OUT
    split = [(name, "val" if i % ANIMALS >= first_held_out else "train") for i, (name, _) in enumerate(rows)]
    with atomic_writer(out / "split.csv") as file:
        csv.writer(file, lineterminator="\n").writerows([("image", "split"), *split])
    return out


def _write_images(
    out: Path,
    frames: int,
    seed: int,
    cameras: list[SimulatedOptions],
    progress: Callable[[int, int], None] | None,
) -> list[tuple[str, FloatArray]]:
    """Render the frames; name of each image and its keypoints (N, K, 2) px, NaN where they cannot be seen."""
    (out / "labeled-data").mkdir(parents=True)
    renderers: dict[tuple[int, int], _FrameRenderer] = {}
    rows = []
    for i in range(frames):
        animal, view = i % ANIMALS, i // ANIMALS % len(cameras)
        if (animal, view) not in renderers:
            renderers[animal, view] = _FrameRenderer(hash64(seed, "dataset", animal), cameras[view])
        image, xy, visible = renderers[animal, view].render(i)
        name = f"labeled-data/img{i:05d}.png"
        cv2.imwrite(str(out / name), image, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        rows.append((name, np.where(visible[..., None], xy, np.nan)))
        if progress is not None:
            progress(i + 1, frames)
    return rows


class _FrameRenderer:
    """Takes single pictures of one arena."""

    def __init__(self, seed: int, options: SimulatedOptions) -> None:
        self._seed, self._options = seed, options
        self._picture = make_picture(seed, "labels", options)
        self._undisturbed = Reactions(self._picture.timing)
        self._image = np.empty((options.height, options.width, options.channels), np.uint8)

    def render(self, picture: int) -> tuple[NDArray[np.uint8], FloatArray, NDArray[np.bool_]]:
        """Image (H, W, C; BGR), keypoints (N, K, 2) px, visible (N, K), at a hashed time."""
        frame = int(uniform(self._seed, "picture", picture, high=SPAN_S * self._options.rate_hz))
        t_ns = self._options.scene_time_ns(frame)
        self._picture.draw(frame, t_ns, self._undisturbed, self._image)
        return self._image[:, :, ::-1], *self._picture.truth(t_ns, self._undisturbed)
