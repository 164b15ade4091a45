"""Animals, behaviour and view together: exact keypoints of any frame, from the seed and the stimuli alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rigs.hashing import uniform
from rigs.simulated.animal import KEYPOINTS, Animal, Posture
from rigs.simulated.behaviour import Gait, Reactions, Timing
from rigs.simulated.options import SimulatedOptions
from rigs.simulated.path import ARENA
from rt_pose.clock import NS_PER_S
from rt_pose.types import FloatArray


@dataclass(frozen=True, slots=True)
class View:
    """Scene to pixels: the arena centred in the frame, as large as fits."""

    width: int
    height: int

    @property
    def scale(self) -> float:
        """Pixels an arena height."""
        return min(self.width / ARENA[0], self.height / ARENA[1])

    def pixels(self, xy: FloatArray) -> FloatArray:
        """Convert scene coordinates to pixels.

        Parameters
        ----------
        xy
            Points (..., 2), scene units.

        Returns
        -------
        FloatArray
            Pixel coordinates (..., 2); the top-left pixel's centre is (0, 0).
        """
        offset = np.array([(self.width - 1) / 2.0, (self.height - 1) / 2.0])
        return (xy - np.array(ARENA) / 2.0) * self.scale + offset

    def holds(self, xy: FloatArray) -> NDArray[np.bool_]:
        """Check whether points lie in the frame.

        Parameters
        ----------
        xy
            Points (..., 2), px.

        Returns
        -------
        NDArray
            Booleans (...).
        """
        inside: NDArray[np.bool_] = (xy >= -0.5) & (xy < (self.width - 0.5, self.height - 0.5))
        return np.asarray(inside.all(axis=-1))


@dataclass(frozen=True, slots=True)
class Beam:
    """A plank across the arena, below which the animals pass."""

    x: float
    """Where its axis crosses the middle of the arena (scene units)."""
    slant: float
    """Change of x for a change of y."""
    half_width: float

    @classmethod
    def of(cls, seed: int) -> Beam:
        """Return the beam that belongs to a seed.

        Parameters
        ----------
        seed
            Seed of the scene.
        """
        side = 0.30 if uniform(seed, "beam", "side") < 0.5 else 0.66
        x = ARENA[0] * uniform(seed, "beam", "x", low=side, high=side + 0.05)
        return cls(x, uniform(seed, "beam", "slant", low=-0.25, high=0.25), 0.04)

    def covers(self, xy: FloatArray) -> NDArray[np.bool_]:
        """Whether points lie below the beam.

        Parameters
        ----------
        xy
            Points (n, 2), scene units.

        Returns
        -------
        NDArray
            Booleans (n,).
        """
        axis = self.x + self.slant * (xy[:, 1] - ARENA[1] / 2.0)
        return np.abs(xy[:, 0] - axis) < self.half_width

    def corners(self) -> FloatArray:
        """Return the outline (4, 2) of the beam, scene units; it reaches past the walls."""
        top = np.array([self.x - self.slant, -ARENA[1] / 2.0])
        bottom = np.array([self.x + self.slant, 1.5 * ARENA[1]])
        aside = np.array([self.half_width, 0.0])
        return np.array([top - aside, top + aside, bottom + aside, bottom - aside])


class Scene:
    """What there is to see at a scene time."""

    def __init__(self, seed: int, options: SimulatedOptions) -> None:
        self.timing = Timing(options.reaction_ms, options.freeze_ms)
        self.view = View(options.width, options.height)
        self.beam = Beam.of(seed)
        # An animal's index is part of all its hashes: the first is the same however many there are.
        self._animals = [(Animal(seed, i), Gait(seed, i)) for i in range(options.animals)]

    def postures(self, t_ns: int, reactions: Reactions) -> list[Posture]:
        """Return the postures of all animals at a scene time.

        Parameters
        ----------
        t_ns
            Scene time, ns.
        reactions
            The stimuli that they answer to; those of the future change nothing.

        Returns
        -------
        list[Posture]
            Positions in scene units; each animal lies above those before it.
        """
        phase_s, darted = reactions.phase(t_ns / NS_PER_S)
        return [animal.posture(gait.distance(phase_s) + darted, phase_s) for animal, gait in self._animals]

    def truth(self, t_ns: int, reactions: Reactions) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Return the exact keypoints at a scene time.

        Parameters
        ----------
        t_ns
            Scene time, ns.
        reactions
            The stimuli that the animals answer to.

        Returns
        -------
        xy : FloatArray
            Keypoints (N, K, 2) of N animals, px.
        visible : NDArray
            Whether each can be seen (N, K): inside the frame, below neither the beam, nor the body, nor
            another animal.
        """
        return self.project(self.postures(t_ns, reactions))

    def project(self, postures: Sequence[Posture]) -> tuple[FloatArray, NDArray[np.bool_]]:
        """Return the exact keypoints of animals.

        Parameters
        ----------
        postures
            N animals; each lies above those before it.

        Returns
        -------
        xy : FloatArray
            As of `truth`.
        visible : NDArray
            As of `truth`.
        """
        shape = (len(postures), len(KEYPOINTS))
        xy, visible = np.empty((*shape, 2)), np.empty(shape, dtype=bool)
        for i, posture in enumerate(postures):
            xy[i] = self.view.pixels(posture.keypoints)
            visible[i] = posture.bared & ~self.beam.covers(posture.keypoints) & self.view.holds(xy[i])
            for above in postures[i + 1 :]:
                visible[i] &= ~above.covers(posture.keypoints)
        return xy, visible
