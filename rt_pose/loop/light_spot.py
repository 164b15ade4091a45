"""Finding a light in frames by its pixels, without a network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError

LEAST_CONTRAST = 12.0
"""Grey levels by which the light must brighten some pixels each time."""
MOST_VALUES = 4096
"""Values (pixels, or their colours) that are looked at in each frame."""


@dataclass(frozen=True)
class LightSpot:
    """Where a light is seen, and above which brightness it is on."""

    places: NDArray[np.intp]
    """Flat indices into a frame's values."""
    threshold: float
    """Half way between dark and lit: a light that goes on in the middle of an exposure reaches it."""
    contrast: float
    """Grey levels between dark and lit."""

    @classmethod
    def find(cls, lit: list[NDArray[np.float64]], dark: list[NDArray[np.float64]], what: str) -> LightSpot:
        """Find the values that are brighter whenever the light is on.

        Parameters
        ----------
        lit, dark
            Mean frames (H, W, C) of several times with the light on, and of as many with it off.
        what
            Which light and camera, for the error.

        Returns
        -------
        LightSpot
            The spot.

        Raises
        ------
        UserError
            Where nothing brightens each time.
        """
        # What moves through the picture brightens a place once, the light does so each time.
        gain = np.min([on - off for on, off in zip(lit, dark, strict=True)], axis=0).ravel()
        peak = float(gain.max())
        if peak < LEAST_CONTRAST:
            raise UserError(
                f"{what}: no place in the picture gets brighter by {LEAST_CONTRAST:g} grey levels each time "
                f"(the most is {max(peak, 0.0):.1f}); let the camera see the light, at a level that is not "
                "saturated when it is off"
            )
        places = np.argsort(gain)[::-1][: min(int((gain > peak / 2).sum()), MOST_VALUES)]
        on = float(np.mean([frame.ravel()[places].mean() for frame in lit]))
        off = float(np.mean([frame.ravel()[places].mean() for frame in dark]))
        return cls(places, (on + off) / 2, on - off)

    def lit(self, image: NDArray[np.uint8]) -> bool:
        """Whether the light is on.

        Parameters
        ----------
        image
            A frame (H, W, C).
        """
        return float(image.ravel()[self.places].mean()) > self.threshold
