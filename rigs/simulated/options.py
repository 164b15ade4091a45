"""What a user may set of the simulated camera."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from rigs.faults import FaultOptions
from rigs.simulated.led import LedOptions
from rt_pose.clock import NS_PER_S
from rt_pose.errors import UserError, check_range

MOST_ANIMALS = 4
"""In the arena at once; more would lie over each other all the time."""
MOST_VIEWS = 4


@dataclass
class SimulatedOptions:
    """A camera that looks straight down on the arena, or with `view` one of several around it."""

    width: int = 320
    """Width of a frame (px)."""
    height: int = 256
    """Height of a frame (px). The arena, 5 wide and 4 high, is fitted into the frame."""
    channels: Literal[1, 3] = 1
    """1 gray, 3 RGB."""
    rate_hz: float = 60.0
    """Frames a second."""
    duration_s: float | None = None
    """The camera ends after this long; without it, never."""
    seed: int | None = None
    """Of animal, arena and noise; the run's seed where it is not given."""
    world: str = "world"
    """Cameras and outputs that name the same world share its animals."""
    reaction_ms: float = 120.0
    """From the stimulus to the beginning of the reaction; at least two frames."""
    freeze_ms: float = 800.0
    """How long the animal then stands still before it darts off."""
    noise: float = 4.0
    """Standard deviation of the sensor noise (grey levels)."""
    light: float = 0.15
    """Largest change of the light, as a share of its mean."""
    texture: float = 1.0
    """Contrast of the arena's floor; 0 is even, 1 is bedding."""
    faults: FaultOptions = field(default_factory=FaultOptions)
    """Faults to inject: frames lost, jittered and late."""
    led: LedOptions | None = None
    """A light in view that is on while a command of an output of the same world lasts; none without it."""
    drift_ppm: float | None = None
    """The camera stamps its frames by a clock of its own, which runs fast by so much, and the host's time of
    an exposure is found from its stamps as with a real camera; without it the exposures are known exactly."""
    disconnect_s: float | None = None
    """The camera is unplugged this long after its first start; without it, never."""
    gone_s: float = 2.0
    """How long it then cannot be opened."""
    animals: int = 1
    """How many there are, 1 to 4. They look alike, run across each other, and all answer to a stimulus."""
    view: int | None = None
    """Which of the four cameras around an arena in space it is, 0 to 3 (front, side, back, top); without it
    the arena is flat and seen from straight above. All cameras of a world have one, or none has."""

    def check(self, where: str) -> None:
        """Check the ranges of all values.

        Parameters
        ----------
        where
            Key of the configuration to name in an error.

        Raises
        ------
        UserError
            Where a value lies outside its range, or where the animals would react within two frames.
        """
        check_range(where, "width", self.width, 16, 8192)
        check_range(where, "height", self.height, 16, 8192)
        check_range(where, "rate_hz", self.rate_hz, 0.1, 2000.0)
        check_range(where, "noise", self.noise, 0.0, 30.0)
        check_range(where, "light", self.light, 0.0, 0.5)
        check_range(where, "texture", self.texture, 0.0, 1.0)
        check_range(where, "freeze_ms", self.freeze_ms, 10.0, 60_000.0)
        check_range(where, "reaction_ms", self.reaction_ms, 1.0, 60_000.0)
        check_range(where, "gone_s", self.gone_s, 0.0, 3600.0)
        check_range(where, "animals", self.animals, 1, MOST_ANIMALS)
        check_range(where, "view", self.view, 0, MOST_VIEWS - 1)
        check_range(where, "drift_ppm", self.drift_ppm, -200.0, 200.0)
        check_range(where, "disconnect_s", self.disconnect_s, 0.0, 1e6)
        check_range(where, "duration_s", self.duration_s, 1e-3, 1e7)
        if self.led is not None:
            self.led.check(f"{where}.led")
        # A frame is rendered up to a period before its exposure, when every stimulus it shows must be known.
        if self.reaction_ms * self.rate_hz < 2000.0:
            raise UserError(
                f"{where}: reaction_ms {self.reaction_ms:g} is less than two frames at {self.rate_hz:g} Hz; "
                f"set at least {2000.0 / self.rate_hz:.1f}"
            )

    def scene_time_ns(self, frame: int) -> int:
        """Return the exposure of a frame on the world's clock.

        Parameters
        ----------
        frame
            Index of the frame, from 0.

        Returns
        -------
        int
            Scene time, ns.
        """
        return round(frame * NS_PER_S / self.rate_hz)
