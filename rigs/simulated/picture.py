"""What a simulated camera shows, whichever world it looks at: the flat arena from above, or one in space."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rigs.simulated.behaviour import Reactions, Timing
from rigs.simulated.options import SimulatedOptions
from rigs.simulated.render import Renderer
from rigs.simulated.scene import Scene
from rigs.simulated.solid_render import SolidRenderer
from rigs.simulated.solid_scene import SolidScene
from rt_pose.types import FloatArray


class Picture(Protocol):
    """Frames and their truth. Not for several threads at once."""

    timing: Timing
    """How the animals react."""

    def draw(self, frame: int, t_ns: int, reactions: Reactions, into: NDArray[np.uint8]) -> None:
        """Draw a frame.

        Parameters
        ----------
        frame
            Its index.
        t_ns
            Its scene time, ns.
        reactions
            The stimuli that the animals answer to.
        into
            Buffer (H, W, C) uint8 that is overwritten.
        """
        ...

    def shine(self, places: Sequence[tuple[float, float]], into: NDArray[np.uint8]) -> None:
        """Draw light on a frame that has been drawn.

        Parameters
        ----------
        places
            Where it falls on the floor, scene units.
        into
            The frame (H, W, C) uint8.
        """
        ...

    def truth(self, t_ns: int, reactions: Reactions) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Return the exact keypoints of a frame.

        Parameters
        ----------
        t_ns, reactions
            As of `draw`.

        Returns
        -------
        xy : FloatArray
            Keypoints (N, K, 2) px.
        visible : NDArray
            Whether each can be seen (N, K).
        """
        ...

    def places(self, t_ns: int, reactions: Reactions) -> FloatArray | None:
        """Return the exact keypoints in space.

        Parameters
        ----------
        t_ns, reactions
            As of `draw`.

        Returns
        -------
        FloatArray or None
            (N, K, 3) mm; None of the flat arena.
        """
        ...


class FlatPicture:
    """The arena seen from straight above."""

    def __init__(self, seed: int, camera: str, options: SimulatedOptions) -> None:
        self._scene = Scene(seed, options)
        self._renderer = Renderer(seed, camera, options, self._scene)
        self.timing = self._scene.timing

    def draw(self, frame: int, t_ns: int, reactions: Reactions, into: NDArray[np.uint8]) -> None:
        """See `Picture.draw`."""
        self._renderer.draw(self._scene.postures(t_ns, reactions), frame, t_ns, into)

    def shine(self, places: Sequence[tuple[float, float]], into: NDArray[np.uint8]) -> None:
        """See `Picture.shine`."""
        self._renderer.shine(places, into)

    def truth(self, t_ns: int, reactions: Reactions) -> tuple[FloatArray, NDArray[np.bool_]]:
        """See `Picture.truth`."""
        return self._scene.truth(t_ns, reactions)

    def places(self, t_ns: int, reactions: Reactions) -> FloatArray | None:  # noqa: ARG002
        """See `Picture.places`."""
        return None


class SolidPicture:
    """The arena in space, seen by one of its cameras."""

    def __init__(self, seed: int, camera: str, options: SimulatedOptions) -> None:
        self._scene = SolidScene(seed, options)
        self._renderer = SolidRenderer(seed, camera, options, self._scene)
        self.timing = self._scene.timing

    def draw(self, frame: int, t_ns: int, reactions: Reactions, into: NDArray[np.uint8]) -> None:
        """See `Picture.draw`."""
        self._renderer.draw(self._scene.postures(t_ns, reactions), frame, t_ns, into)

    def shine(self, places: Sequence[tuple[float, float]], into: NDArray[np.uint8]) -> None:
        """See `Picture.shine`."""
        self._renderer.shine(places, into)

    def truth(self, t_ns: int, reactions: Reactions) -> tuple[FloatArray, NDArray[np.bool_]]:
        """See `Picture.truth`."""
        return self._scene.truth(t_ns, reactions)

    def places(self, t_ns: int, reactions: Reactions) -> FloatArray | None:
        """See `Picture.places`."""
        return self._scene.places(t_ns, reactions)


def make_picture(seed: int, camera: str, options: SimulatedOptions) -> Picture:
    """Make what a camera shows.

    Parameters
    ----------
    seed
        Seed of animals, arena and noise.
    camera
        Name of the camera: each has its own noise.
    options
        Its options; with a `view` it is one of the cameras in space.

    Returns
    -------
    Picture
        Its frames.
    """
    if options.view is None:
        return FlatPicture(seed, camera, options)
    return SolidPicture(seed, camera, options)
