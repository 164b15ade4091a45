"""Animals in space and the camera that sees them: exact keypoints of any frame, from seed and stimuli."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rigs.simulated.behaviour import Gait, Reactions, Timing
from rigs.simulated.options import SimulatedOptions
from rigs.simulated.scene import View
from rigs.simulated.solid import SolidAnimal, SolidPosture
from rigs.simulated.viewpoint import simulated_camera
from rt_pose.clock import NS_PER_S
from rt_pose.types import FloatArray


class SolidScene:
    """What there is to see of a rig in space at a time. The animals are on the paths of the flat rig."""

    def __init__(self, seed: int, options: SimulatedOptions) -> None:
        self.timing = Timing(options.reaction_ms, options.freeze_ms)
        self.view = View(options.width, options.height)
        self.camera = simulated_camera(options.view or 0, options.width, options.height)
        self._animals = [(SolidAnimal(seed, i), Gait(seed, i)) for i in range(options.animals)]

    def postures(self, t_ns: int, reactions: Reactions) -> list[SolidPosture]:
        """Return the postures of all animals at a scene time.

        Parameters
        ----------
        t_ns
            Scene time, ns.
        reactions
            The stimuli that they answer to; those of the future change nothing.

        Returns
        -------
        list[SolidPosture]
            Positions in mm.
        """
        phase_s, darted = reactions.phase(t_ns / NS_PER_S)
        return [animal.posture(gait.distance(phase_s) + darted, phase_s) for animal, gait in self._animals]

    def places(self, t_ns: int, reactions: Reactions) -> FloatArray:
        """Return the exact keypoints in space.

        Parameters
        ----------
        t_ns, reactions
            As of `postures`.

        Returns
        -------
        FloatArray
            (N, K, 3) mm.
        """
        return np.stack([posture.keypoints for posture in self.postures(t_ns, reactions)])

    def truth(self, t_ns: int, reactions: Reactions) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Return the exact keypoints of the camera's frame.

        Parameters
        ----------
        t_ns, reactions
            As of `postures`.

        Returns
        -------
        xy : FloatArray
            Keypoints (N, K, 2) of N animals, px.
        visible : NDArray
            Whether each can be seen (N, K): inside the frame, and behind no animal's head or trunk.
        """
        return self.project(self.postures(t_ns, reactions))

    def project(self, postures: Sequence[SolidPosture]) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Return the exact keypoints of animals as the camera sees them.

        Parameters
        ----------
        postures
            N animals.

        Returns
        -------
        xy : FloatArray
            As of `truth`.
        visible : NDArray
            As of `truth`.
        """
        places = np.stack([posture.keypoints for posture in postures])
        xy = self.camera.project(places)
        visible = self.view.holds(xy)
        for i, own in enumerate(places):
            for other in postures:
                visible[i] &= ~other.hides(self.camera.position, own)
        return xy, visible
