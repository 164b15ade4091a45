"""What the cameras and outputs of one simulated rig share: its clock, and what was done to the animals."""

from __future__ import annotations

import threading
from bisect import bisect_right
from typing import NamedTuple

from rigs.simulated.behaviour import Reactions, Timing
from rigs.simulated.led import Led
from rt_pose.clock import Clock
from rt_pose.drivers import DriverContext
from rt_pose.errors import UserError


class Spot(NamedTuple):
    """Light on a place of the arena."""

    begin_us: int
    """Scene time, us."""
    end_us: int
    xy: tuple[float, float]
    """Scene units."""


class World:
    """One world of animals. Its clock starts with the first frame or stimulus; any thread may call it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._cameras = 0
        self._animals: tuple[int, Timing, int] | None = None
        self._in_space = False
        self._epoch_ns: int | None = None
        self._reactions: Reactions | None = None
        self.led = Led()
        """The light in view, for the cameras that show it."""
        self._spots: dict[str, list[Spot]] = {}

    @classmethod
    def of(cls, context: DriverContext, name: str) -> World:
        """Return the run's world of a name, which is made where it does not exist yet.

        Parameters
        ----------
        context
            What all drivers of the run share.
        name
            Name of the world in the configuration.
        """
        world: World = context.shared.setdefault(f"simulated world {name}", cls(name))
        return world

    def attach(
        self, camera: str, seed: int, timing: Timing, animals: int = 1, in_space: bool = False
    ) -> None:
        """Register a camera; the first one restarts the world.

        Parameters
        ----------
        camera
            Name of the camera, for the error.
        seed
            Seed of the animals that it looks at.
        timing
            How they react.
        animals
            How many there are.
        in_space
            Whether the camera is one of several around them.

        Raises
        ------
        UserError
            Where the cameras that are registered already see other animals, or see them flat and this one
            does not.
        """
        with self._lock:
            if self._cameras == 0:
                self._animals, self._in_space = (seed, timing, animals), in_space
                self._epoch_ns = None
                self._reactions = Reactions(timing)
                self._spots.clear()
            elif self._animals != (seed, timing, animals):
                raise UserError(
                    f"cameras.{camera}: seed, animals, reaction_ms and freeze_ms differ from those of "
                    f"another camera of world '{self._name}'; make them equal or give it a world of its own"
                )
            elif self._in_space != in_space:
                raise UserError(
                    f"cameras.{camera}: of the cameras of world '{self._name}' some have a `view` and some "
                    "have none; give each of them one, or this one a world of its own"
                )
            self._cameras += 1

    def detach(self) -> None:
        """Take a camera off the register."""
        with self._lock:
            self._cameras -= 1

    def epoch_ns(self, clock: Clock) -> int:
        """Return the host time of the world's time 0, which is now where nothing has happened yet.

        Parameters
        ----------
        clock
            The host clock.

        Returns
        -------
        int
            Host time, ns.
        """
        with self._lock:
            return self._started(clock)

    def now_us(self, clock: Clock) -> int:
        """Return the present time on the world's clock.

        Parameters
        ----------
        clock
            The host clock.

        Returns
        -------
        int
            Scene time, us.
        """
        with self._lock:
            return (clock.now_ns() - self._started(clock)) // 1000

    def stimulate(self, clock: Clock) -> int:
        """Let a stimulus reach the animals now.

        Parameters
        ----------
        clock
            The host clock.

        Returns
        -------
        int
            Scene time of the stimulus, us.
        """
        # Stamped under the lock: whoever asks for the reactions afterwards knows of every earlier stimulus.
        with self._lock:
            epoch_ns = self._started(clock)
            stimulus_us = (clock.now_ns() - epoch_ns) // 1000
            if self._reactions is not None:
                self._reactions.add(stimulus_us)
            return stimulus_us

    def shine(self, output: str, xy: tuple[float, float], duration_us: int, clock: Clock) -> int:
        """Let an output light a place from now on; its earlier light goes out.

        Parameters
        ----------
        output
            Name of the output.
        xy
            The place, scene units.
        duration_us
            How long, us.
        clock
            The host clock.

        Returns
        -------
        int
            Scene time of the beginning, us.
        """
        with self._lock:  # stamped under the lock, as a stimulus is
            begin_us = (clock.now_ns() - self._started(clock)) // 1000
            self._spots.setdefault(output, []).append(Spot(begin_us, begin_us + duration_us, xy))
            return begin_us

    def darken(self, output: str, clock: Clock) -> None:
        """Put the light of an output out, where it has lit anything.

        Parameters
        ----------
        output
            Name of the output.
        clock
            The host clock.
        """
        if output in self._spots:
            self.shine(output, (0.0, 0.0), 0, clock)

    def lit(self, t_us: int) -> list[tuple[float, float]]:
        """List the places that are lit at a time that has come.

        Parameters
        ----------
        t_us
            Scene time, us.

        Returns
        -------
        list[tuple[float, float]]
            Places, scene units; one an output at most.
        """
        with self._lock:
            found = []
            for spots in self._spots.values():
                at = bisect_right(spots, t_us, key=lambda spot: spot.begin_us) - 1
                if at >= 0 and t_us < spots[at].end_us:
                    found.append(spots[at].xy)
            return found

    def reactions(self) -> Reactions:
        """Return the reactions to all stimuli so far; the object grows as further stimuli arrive.

        Raises
        ------
        RuntimeError
            Where no camera is registered.
        """
        with self._lock:
            if self._reactions is None:
                raise RuntimeError(f"no camera looks at the world '{self._name}'")
            return self._reactions

    def _started(self, clock: Clock) -> int:
        if self._epoch_ns is None:
            self._epoch_ns = clock.now_ns()
        return self._epoch_ns
