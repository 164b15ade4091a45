"""Random runs in which several calibrated cameras see one animal in space."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from support.random_session import (
    HEIGHT,
    KEYPOINTS,
    WIDTH,
    DrawnKeypoints,
    random_config,
    write_random_session,
)

from rt_pose.config.schema import CameraConfig, RunConfig
from rt_pose.config.views import ViewsConfig
from rt_pose.inference.decode import Keypoints
from rt_pose.session.read import Session
from rt_pose.views.calibration_file import write_calibration
from rt_pose.views.camera import CalibratedCamera

FOCAL, DISTANCE_MM = 300.0, 400.0


def looking_down(name: str, degrees: float) -> CalibratedCamera:
    """A camera that looks at the origin, so far around it and from 45 degrees above; z is up."""
    around = np.radians(degrees)
    ahead = -np.array([np.cos(around), np.sin(around), 1.0]) / np.sqrt(2.0)
    right = np.array([-np.sin(around), np.cos(around), 0.0])
    turn = np.stack([right, np.cross(ahead, right), ahead])
    matrix = np.array([[FOCAL, 0.0, (WIDTH - 1) / 2], [0.0, FOCAL, (HEIGHT - 1) / 2], [0.0, 0.0, 1.0]])
    rotation = cv2.Rodrigues(turn)[0].ravel()
    return CalibratedCamera(
        name,
        (WIDTH, HEIGHT),
        matrix,
        np.array([-0.1, 0.0, 0.0, 0.0, 0.0]),
        rotation,
        np.array([0, 0, DISTANCE_MM]),
    )


def views_config(
    seed: int, calibration: Path, cameras: tuple[str, ...] = ("back", "side", "top")
) -> RunConfig:
    """A random run whose cameras are a group `arena`; its calibration is written."""
    random = np.random.default_rng(seed)
    config = random_config(random)
    config.cameras = {name: CameraConfig("simulated") for name in cameras}
    write_calibration(calibration, [looking_down(name, 100.0 * i) for i, name in enumerate(cameras)], 0.5)
    config.views = {
        "arena": ViewsConfig(
            str(calibration),
            list(cameras),
            late=str(random.choice(["0 ms", "20 ms", "60 ms"])),
            origin=[0.0, 0.0, -5.0],
            up=[0.0, 0.0, 1.0],
        )
    }
    return config


class DrawnPlaces(DrawnKeypoints):
    """In the place of the networks: one animal on a random walk in space, as each camera sees it."""

    def __init__(self, seed: int, config: RunConfig) -> None:
        super().__init__(seed)
        self._places = self._random.uniform(-20, 20, (len(KEYPOINTS), 3))
        self._pace = np.zeros_like(self._places)
        names = [name for group in config.views.values() for name in group.cameras]
        self.by_camera = {
            name: _DrawnView(self, looking_down(name, 100.0 * i)) for i, name in enumerate(names)
        }

    def see(self, camera: CalibratedCamera) -> Keypoints[Any]:
        """What a camera sees of it a moment later: with noise, errors and keypoints that are not seen."""
        random, k = self._random, len(KEYPOINTS)
        self._pace = 0.9 * self._pace + random.normal(0, 0.5, self._places.shape)
        self._places = np.clip(self._places + self._pace, -60, 60)
        self.truth = camera.project(self._places)
        xy = self.truth + random.normal(0, 1, (k, 2))
        xy[random.random(k) < 0.05] += 60.0
        xy[random.random(k) < 0.05] = np.nan
        confidence = np.where(random.random(k) < 0.1, 0.05, random.uniform(0.3, 1, k))
        spread = random.uniform(0.2, 3, k)[:, None, None] * np.eye(2)
        return Keypoints(xy[None], spread[None], confidence[None])


class _DrawnView(DrawnKeypoints):
    """One camera's."""

    def __init__(self, world: DrawnPlaces, camera: CalibratedCamera) -> None:
        super().__init__(0)
        self._world, self._camera = world, camera

    def decode(self, heatmaps: Any, frame_size: Any, offset_xy: Any = (0, 0)) -> Keypoints[Any]:
        return self._world.see(self._camera)


class DrawnHerd(DrawnPlaces):
    """In the place of networks of several animals: bodies on random walks in space that meet, as each camera
    finds them: in any order, not always, and where nobody is; rows without a detection are NaN."""

    BODY = np.array([[12.0, 0.0, 6.0], [0.0, 7.0, 10.0], [-12.0, 0.0, 4.0]])

    def __init__(self, seed: int, config: RunConfig) -> None:
        super().__init__(seed, config)
        self._middle = self._random.uniform(-50, 50, (config.individual_count, 1, 3))
        self._step = np.zeros_like(self._middle)

    def see(self, camera: CalibratedCamera) -> Keypoints[Any]:
        """What a camera finds of them a moment later."""
        random, (n, k) = self._random, (len(self._middle), len(KEYPOINTS))
        self._step = 0.9 * self._step + random.normal(0, 0.4, self._step.shape)
        self._middle = np.clip(self._middle + self._step, [-70, -70, -5], [70, 70, 5])
        self.truth = np.stack([camera.project(body) for body in self._middle + self.BODY])
        found = self.truth + random.normal(0, 1, self.truth.shape)
        found[random.random((n, k)) < 0.05] = np.nan
        nobody = found[:1] + random.uniform(-80, 80, 2)
        rows = [*found[random.random(n) > 0.1], *(nobody if random.random() < 0.1 else [])]
        xy = np.full((2 * n, k, 2), np.nan)
        for row, i in enumerate(random.permutation(len(rows))):
            xy[row] = rows[i]
        confidence = np.where(np.isfinite(xy[..., 0]), random.uniform(0.3, 1, xy.shape[:2]), 0.0)
        spread = random.uniform(0.2, 3, xy.shape[:2])[..., None, None] * np.eye(2)
        return Keypoints(xy[None], spread[None], confidence[None])


def random_sessions(
    folder: Path,
    seeds: int,
    frames: int,
    with_rules: Callable[[RunConfig], RunConfig],
    drawn: type[DrawnPlaces] = DrawnPlaces,
) -> list[Session]:
    """Sessions of so many seeds, each with the rules that its configuration is given."""
    found = []
    for seed in range(seeds):
        config = with_rules(views_config(seed, folder / "calibration.toml"))
        write_random_session(folder / str(seed), seed, frames, config, drawn(seed, config))
        found.append(Session.read(folder / str(seed)))
    return found
