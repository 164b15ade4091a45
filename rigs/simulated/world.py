"""What the cameras and outputs of one simulated rig share: its clock and what has been done to the animal."""

from __future__ import annotations

import threading

from rigs.simulated.behaviour import Reactions, Timing
from rigs.simulated.led import Led
from rt_pose.clock import Clock
from rt_pose.drivers import DriverContext
from rt_pose.errors import UserError


class World:
    """One animal's world. Its clock starts with the first frame or stimulus; any thread may call it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._cameras = 0
        self._animal: tuple[int, Timing] | None = None
        self._epoch_ns: int | None = None
        self._reactions: Reactions | None = None
        self.led = Led()
        """The light in view, for the cameras that show it."""

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

    def attach(self, camera: str, seed: int, timing: Timing) -> None:
        """Register a camera; the first one restarts the world.

        Parameters
        ----------
        camera
            Name of the camera, for the error.
        seed
            Seed of the animal that it looks at.
        timing
            How the animal reacts.

        Raises
        ------
        UserError
            Where the cameras that are registered already see another animal.
        """
        with self._lock:
            if self._cameras == 0:
                self._animal = (seed, timing)
                self._epoch_ns = None
                self._reactions = Reactions(timing)
            elif self._animal != (seed, timing):
                raise UserError(
                    f"cameras.{camera}: seed, reaction_ms and freeze_ms differ from those of another camera "
                    f"of the world '{self._name}'; make them equal or give it a world of its own"
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
        """Let a stimulus reach the animal now.

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
