"""A group of views and its decider, fed with places in space: what a run does with poses, without pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.calibration import make_rig
from rt_pose.config.rules import ActionConfig, RuleConfig, ZoneConfig
from rt_pose.config.schema import CameraConfig, OutputConfig, RunConfig
from rt_pose.config.views import ViewsConfig
from rt_pose.decisions.rule_set import RuleSet
from rt_pose.types import Event, FloatArray, FrameStamps, Track3D
from rt_pose.views.camera import CalibratedCamera
from rt_pose.views.filter3d import TrackingSpec3D
from rt_pose.views.live import ViewGroup

MS = 1_000_000
NAMES = ("back", "side", "top")
ZONES = {
    "ball": ZoneConfig(sphere=[0.0, 0.0, 50.0, 20.0], unit="mm"),
    "shelf": ZoneConfig(box=[-10.0, -10.0, 60.0, 10.0, 10.0, 90.0], unit="mm"),
    "spout": ZoneConfig(point=[30.0, 0.0, 10.0], unit="mm"),
    "corner": ZoneConfig(circle=[100.0, 100.0, 20.0]),
}


def configuration(*rules: dict[str, Any], up: bool = True, **more: Any) -> RunConfig:
    """Three cameras that are one group, and rules of it unless they say otherwise."""
    values: dict[str, Any] = {"name": "rearing", "view": "arena", "when": "height(nose) > 60 mm"}
    values["do"] = ActionConfig(output="laser", pulse="1 ms")
    group = ViewsConfig("calibration.toml", list(NAMES), up=[0.0, 0.0, 1.0] if up else None)
    return RunConfig(
        cameras={name: CameraConfig(driver="simulated") for name in NAMES},
        views={"arena": group},
        outputs={"laser": OutputConfig(driver="simulated")},
        zones=ZONES,
        rules=[RuleConfig(**(values | rule)) for rule in rules or ({},)],
        budget_ms=20.0,
        **more,
    )


def space_cameras(count: int = len(NAMES)) -> list[CalibratedCamera]:
    """Calibrated cameras around the origin, mm."""
    return make_rig(np.random.default_rng(4), count)


class SpaceRig:
    """A group at 100 frames a second; all its cameras are exposed together, and judged after 8 ms."""

    def __init__(
        self,
        config: RunConfig,
        keypoints: tuple[str, ...] = ("nose",),
        delay_ms: float = 0.0,
        *,
        inert: bool = False,
    ) -> None:
        k = len(keypoints)
        self.rules = RuleSet.of(config, list(keypoints), dict.fromkeys(config.outputs, delay_ms))
        decider = self.rules.view_decider("arena", len(NAMES), len(NAMES) + 1)
        assert decider is not None
        self.decider, self.cameras = decider, space_cameras()
        # Without inertia the filter follows each position at once and predicts no further movement.
        q, tau = (1e7, 0.1) if inert else (1e13, 1e-4)
        each = np.ones(k)
        spec = TrackingSpec3D(q * each, tau * each, each, gate_chi2=1e12, lost_ms=50.0)
        self.group = ViewGroup("arena", self.cameras, spec, late_ns=20 * MS)
        self.index = 0

    def observe(self, places: FloatArray, views: tuple[int, ...] = (0, 1, 2), epoch: int = 0) -> None:
        """What the cameras see of keypoints at `places` (K, 3) mm; NaN for what is hidden."""
        t_ns = self.index * 10 * MS
        noise = np.tile(0.01 * np.eye(2), (len(places), 1, 1))
        for view in views:
            self.group.observe(view, t_ns, self.cameras[view].project(places), noise, epoch=epoch)

    def decide(self, *, armed: bool = True) -> list[Event]:
        """Judge once, and go on to the next frame."""
        t_ns, group = self.index * 10 * MS, self.group
        stamps = FrameStamps(self.index, t_ns, t_ns + MS, t_ns, epoch=group.epoch)
        certain = np.ones((1, group.shape[1]))
        decided = self.decider.decide(group, "arena", stamps, t_ns + 8 * MS, armed, certain)
        self.index += 1
        return [event for event, _ in decided]

    def step(self, *places: tuple[float, float, float], armed: bool = True) -> list[Event]:
        """The events of the next frame, whose keypoints lie at `places`."""
        self.observe(np.array(places))
        return self.decide(armed=armed)


def spatial_track(
    places: FloatArray, velocity: FloatArray | None = None, cov: FloatArray | None = None, t_ns: int = 0
) -> Track3D:
    """An estimate of keypoints at `places` (K, 3), seen just now; certain where no covariance is given."""
    k = len(places)
    still = np.zeros((k, 3)) if velocity is None else velocity
    spread = np.zeros((k, 6, 6)) if cov is None else cov
    return Track3D(t_ns, np.asarray(places, float), still, spread, np.zeros(k), np.zeros(k, bool))
