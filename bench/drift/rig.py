"""Frames of the simulated rig, as fast as they can be drawn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import av
import numpy as np

from bench.drift.alterations import Image
from rigs.simulated.behaviour import Reactions
from rigs.simulated.options import SimulatedOptions
from rigs.simulated.render import Renderer
from rigs.simulated.scene import Scene

CALIBRATION_SEEDS, SESSION_SEEDS = (2001, 2002, 2003), (3001, 3002)


def rig_frames(seed: int, rate_hz: int, seconds: float) -> Iterator[Image]:
    """Draw the frames of an animal that nothing disturbs.

    Parameters
    ----------
    seed
        Of animal, arena and noise.
    rate_hz
        Frames a second.
    seconds
        Length, s.

    Yields
    ------
    Image
        (H, W, 1), each an array of its own.
    """
    options = SimulatedOptions(rate_hz=float(rate_hz))
    scene = Scene(seed, options)
    renderer, undisturbed = Renderer(seed, "top", options, scene), Reactions(scene.timing)
    for frame in range(round(seconds * rate_hz)):
        t_ns = options.scene_time_ns(frame)
        image = np.empty((options.height, options.width, options.channels), np.uint8)
        renderer.draw(scene.postures(t_ns, undisturbed), frame, t_ns, image)
        yield image


def write_film(path: Path, frames: Iterable[Image], rate_hz: int) -> None:
    """Write gray frames without loss.

    Parameters
    ----------
    path
        The film; complete where it exists.
    frames
        (H, W, 1) each.
    rate_hz
        Frames a second.
    """
    part = path.with_name("part-" + path.name)
    with av.open(str(part), "w") as container:
        stream = container.add_stream("ffv1", rate=rate_hz)
        stream.pix_fmt = "gray"
        for image in frames:
            if not stream.codec_context.is_open:
                stream.height, stream.width = image.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image[:, :, 0], format="gray")))
        container.mux(stream.encode())
    part.replace(path)
