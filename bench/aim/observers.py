"""What finds the simulated animal's keypoints: a network, or the truth with noise of a known covariance."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from bench.aim.rig import CAMERA, Rig
from rigs.simulated.animal import KEYPOINTS
from rt_pose.clock import NS_PER_S
from rt_pose.config.schema import EngineConfig
from rt_pose.errors import UserError
from rt_pose.inference.choose_engine import choose_engine
from rt_pose.package import Package, TrackingSpec, read_package
from rt_pose.types import FrameStamps, Pose

KEYPOINT = "nose"
"""What is aimed at."""
START_NS = NS_PER_S
"""Host time at which scene time is 0: no stamp is."""
MOVEMENT_Q, MOVEMENT_TAU = 1e6, 0.1
"""Of the filter where there is no package: px^2/s^3 and s, about those that an uncalibrated package has."""


class Observer(Protocol):
    """What finds the keypoints of a frame."""

    keypoints: list[str]
    tracking: TrackingSpec
    says: str

    def observe(self, rig: Rig, seed: int, stamps: FrameStamps) -> Pose:
        """Find the keypoints.

        Parameters
        ----------
        rig
            Shows the frame.
        seed
            Of the animal.
        stamps
            Of the frame.

        Returns
        -------
        Pose
            Its keypoints.
        """
        ...


class NetworkObserver:
    """The network of a package, on rendered frames."""

    def __init__(self, package: Package) -> None:
        self._estimator = choose_engine(package, EngineConfig(precision="float32")).estimator
        self._context = self._estimator.new_context()
        self.keypoints, self.tracking = package.manifest.keypoints, package.manifest.tracking
        self.says = f"network {package.sha256[:12]} in float32"

    def observe(self, rig: Rig, seed: int, stamps: FrameStamps) -> Pose:  # noqa: ARG002
        """See `Observer.observe`."""
        context = self._context.advance_to(stamps.index, stamps.t_scene_ns)
        found = self._estimator.estimate(rig.frame(stamps.index), context=context)
        return Pose(CAMERA, stamps, found.xy, found.cov, found.confidence)


class NoisyTruth:
    """The true keypoints with noise; a covered one is unseen."""

    def __init__(self, noise_px: float) -> None:
        self._noise_px = noise_px
        self.keypoints = KEYPOINTS
        k = len(KEYPOINTS)
        self.tracking = TrackingSpec([MOVEMENT_Q] * k, [MOVEMENT_TAU] * k, [1.0] * k, [0.0] * k)
        self.says = f"true ones with noise of {noise_px / 2:g} to {2 * noise_px:g} px on each axis"

    def observe(self, rig: Rig, seed: int, stamps: FrameStamps) -> Pose:
        """See `Observer.observe`."""
        true, visible = rig.scene.truth(stamps.t_scene_ns - START_NS, rig.reactions)
        random = np.random.default_rng((seed, stamps.index))
        sd = self._noise_px * 2.0 ** random.uniform(-1.0, 1.0)
        xy = np.where(visible[..., None], true + random.normal(0.0, sd, true.shape), np.nan)
        cov = np.broadcast_to(sd * sd * np.eye(2), (*visible.shape, 2, 2)).copy()
        return Pose(CAMERA, stamps, xy, cov, visible.astype(np.float64))


def make_observer(model: str, noise_px: float) -> Observer:
    """Make what finds the keypoints.

    Parameters
    ----------
    model
        Folder of a package; empty where there is none.
    noise_px
        Standard deviation of the noise without one, px.

    Returns
    -------
    Observer
        The network of the package, or the noisy truth where none is given.

    Raises
    ------
    UserError
        Where the package does not know the keypoint that is aimed at.
    """
    if not model:
        return NoisyTruth(noise_px)
    package = read_package(model)
    keypoints = package.manifest.keypoints
    if KEYPOINT not in keypoints:
        raise UserError(
            f"--model {model}: expected a package of the simulated animal, with a keypoint '{KEYPOINT}', got "
            f"one of {', '.join(keypoints)}; give that of `rt-pose demo`"
        )
    return NetworkObserver(package)
