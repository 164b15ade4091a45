"""The simulated rig with mirrors: its frames, its truth, where its light falls, and its calibration."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rigs.simulated.behaviour import Reactions
from rigs.simulated.galvo import place_of
from rigs.simulated.options import SimulatedOptions
from rigs.simulated.render import Renderer
from rigs.simulated.scene import Scene
from rt_pose.config.schema import AimCalibrationConfig
from rt_pose.session.aim_calibration import Pairs, calibrate, find_spot, grid

CAMERA = "top"
GRID_V, GRID_STEPS, THRESHOLD = (-4.0, -4.0, 4.0, 4.0), 5, 250


class Rig:
    """The simulated rig of one seed, frame by frame and without a clock."""

    def __init__(self, seed: int) -> None:
        """Render nothing yet.

        Parameters
        ----------
        seed
            Of animal and arena.
        """
        self.options = SimulatedOptions()
        self.scene = Scene(seed, self.options)
        self._renderer = Renderer(seed, CAMERA, self.options, self.scene)
        self.reactions = Reactions.to(self.scene.timing, [])
        shape = (self.options.height, self.options.width, self.options.channels)
        self._frame, self._dark = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)

    def frame(self, index: int) -> NDArray[np.uint8]:
        """Render a frame.

        Parameters
        ----------
        index
            Its index.

        Returns
        -------
        NDArray[np.uint8]
            (H, W, C); the next frame overwrites it.
        """
        t_ns = self.options.scene_time_ns(index)
        self._renderer.draw(self.scene.postures(t_ns, self.reactions), index, t_ns, self._frame)
        return self._frame

    def truth(self, t_ns: int, keypoint: int) -> tuple[float, float]:
        """Look up where a keypoint is.

        Parameters
        ----------
        t_ns
            Scene time, ns.
        keypoint
            Its index among those of the animal.

        Returns
        -------
        tuple[float, float]
            Its place, px.
        """
        x, y = self.scene.truth(t_ns, self.reactions)[0][0, keypoint]
        return float(x), float(y)

    def place(self, volts: tuple[float, float]) -> tuple[float, float]:
        """Compute where the light falls, also outside the frame.

        Parameters
        ----------
        volts
            Of the mirrors, V.

        Returns
        -------
        tuple[float, float]
            The place, px.
        """
        x, y = self.scene.view.pixels(np.array(place_of(volts)))
        return float(x), float(y)

    def light(self, volts: tuple[float, float]) -> tuple[float, float] | None:
        """Find where the camera sees the light, on an empty floor.

        Parameters
        ----------
        volts
            Of the mirrors, V.

        Returns
        -------
        tuple[float, float] | None
            Centre of the spot, px; None where it is not in view.
        """
        self._frame[:] = 0
        self._renderer.shine([place_of(volts)], self._frame)
        return find_spot(self._frame, self._dark, THRESHOLD)


def calibrate_rig(rig: Rig) -> tuple[AimCalibrationConfig, float]:
    """Calibrate the mirrors with spots.

    Parameters
    ----------
    rig
        The rig.

    Returns
    -------
    tuple[AimCalibrationConfig, float]
        The calibration, and its largest residual, px.
    """
    seen = [(rig.light(volts), volts) for volts in map(tuple, grid(GRID_V, GRID_STEPS).tolist())]
    found = [(px, volts) for px, volts in seen if px is not None]
    pairs = Pairs(np.array([px for px, _ in found]), np.array([volts for _, volts in found]))
    config, fitted = calibrate(pairs, "V", 2.0, "the spots")
    return config, fitted.largest
