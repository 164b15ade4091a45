"""What a simulated camera showed, from a session's log alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rigs.simulated.behaviour import Reactions
from rigs.simulated.options import SimulatedOptions
from rigs.simulated.render import Renderer
from rigs.simulated.scene import Scene
from rt_pose.types import FloatArray


def truth_at(
    seed: int, options: SimulatedOptions, frame: int, stimuli_us: Sequence[int]
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Keypoints (N, K, 2) px of a frame and whether each can be seen (N, K), from a log alone.

    `stimuli_us`: scene times at which the output acted, in order: the `t_device_us` of its acks.
    """
    scene = Scene(seed, options)
    return scene.truth(options.scene_time_ns(frame), Reactions.to(scene.timing, stimuli_us))


def frame_at(
    seed: int, camera: str, options: SimulatedOptions, frame: int, stimuli_us: Sequence[int]
) -> NDArray[np.uint8]:
    """The pixels (H, W, C) of a frame, from a log alone: see `truth_at`."""
    scene = Scene(seed, options)
    image = np.empty((options.height, options.width, options.channels), np.uint8)
    t_ns = options.scene_time_ns(frame)
    postures = scene.postures(t_ns, Reactions.to(scene.timing, stimuli_us))
    Renderer(seed, camera, options, scene).draw(postures, frame, t_ns, image)
    return image
