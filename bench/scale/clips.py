"""Recordings of the simulated rig, which cost a run no more than copying their frames does."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from bench.program import say
from rigs.simulated.behaviour import Reactions
from rigs.simulated.options import SimulatedOptions
from rigs.simulated.picture import make_picture
from rt_pose.clock import NS_PER_S
from rt_pose.errors import UserError

SIZE = (640, 480)
FRAMES, FPS = 300, 30
SEED = 3000
"""No animal that a network of the demo is trained on has such a seed."""


def flat_clip(folder: Path, animals: int) -> Path:
    """Record several animals from straight above.

    Parameters
    ----------
    folder
        Where the recording goes, or is already.
    animals
        How many there are.

    Returns
    -------
    Path
        The recording.
    """
    return _clip(folder / f"animals{animals}.avi", SimulatedOptions(animals=animals))


def view_clip(folder: Path, view: int) -> Path:
    """Record one animal from one of the views in space.

    Parameters
    ----------
    folder
        Where the recording goes, or is already.
    view
        Number of the view.

    Returns
    -------
    Path
        The recording.
    """
    return _clip(folder / f"view{view}.avi", SimulatedOptions(view=view))


def _clip(path: Path, options: SimulatedOptions) -> Path:
    if path.is_file():
        return path
    options.width, options.height = SIZE
    say(f"{path.stem}: {FRAMES} frames of {SIZE[0]}x{SIZE[1]}")
    picture = make_picture(SEED, path.stem, options)
    image = np.empty((options.height, options.width, 1), np.uint8)
    undisturbed = Reactions(picture.timing)
    part = path.with_suffix(".part.avi")
    writer = cv2.VideoWriter(str(part), cv2.VideoWriter.fourcc(*"MJPG"), FPS, SIZE)
    for i in range(FRAMES):
        picture.draw(i, i * NS_PER_S // FPS, undisturbed, image)
        writer.write(np.repeat(image, 3, axis=2))
    writer.release()
    if not part.is_file():
        raise UserError(f"bench scale: {path} could not be written; OpenCV has no encoder for MJPG here")
    return part.replace(path)
