"""A run's groups of views: calibrations read, checked against its cameras, brought to the groups' axes."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np

from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.config.build import duration_ns
from rt_pose.config.views import UNITS_MM, ViewsConfig, ViewTrackingConfig
from rt_pose.errors import ErrorCollector, UserError
from rt_pose.package import TrackingSpec
from rt_pose.types import CameraInfo, FloatArray, ViewCameraInfo, ViewsInfo
from rt_pose.views.calibration_file import read_calibration
from rt_pose.views.camera import CalibratedCamera
from rt_pose.views.explain import same_pose
from rt_pose.views.filter3d import TrackingSpec3D
from rt_pose.views.group_tracker import GroupTracker
from rt_pose.views.individual_group import IndividualViewGroup
from rt_pose.views.live import ViewGroup
from rt_pose.views.view_poses import cameras_of

UNIT = "mm"
"""Of everything that comes of a group."""
LEAST_ANGLE_DEG = 3.0
"""Cameras whose axes are closer than this look at no common place that could be told."""


@dataclass(frozen=True, eq=False)
class CalibratedGroup:
    """A group's cameras, calibrated, in its axes and in mm."""

    info: ViewsInfo
    cameras: list[CalibratedCamera]
    """In the order of the configuration, with the names of the run's cameras."""
    content: bytes
    """The calibration file, as it was read."""


def calibrated_groups(
    config: Mapping[str, ViewsConfig],
    cameras: Mapping[str, CameraInfo],
    keypoints: Sequence[str],
    noise: Mapping[str, TrackingSpec],
) -> dict[str, CalibratedGroup]:
    """Read the calibrations of a run's groups, and check them against its cameras.

    Parameters
    ----------
    config
        The groups, by name.
    cameras
        The run's opened cameras by name.
    keypoints
        Names of the model's keypoints.
    noise
        By camera, the parameters of its filter in the plane.

    Returns
    -------
    dict[str, CalibratedGroup]
        By name.

    Raises
    ------
    UserError
        With everything that is wrong.
    """
    errors, found = ErrorCollector(), {}
    for name, group in config.items():
        made = errors.run(partial(_calibrated_group, name, group, cameras, keypoints))
        if made is not None:
            found[name] = made
            errors.run(partial(tracking_spec, group.tracking, made.cameras, noise, f"views.{name}"))
    errors.check()
    return found


def _calibrated_group(
    name: str, config: ViewsConfig, cameras: Mapping[str, CameraInfo], keypoints: Sequence[str]
) -> CalibratedGroup:
    """The cameras of a group; UserError where the calibration is not of them."""
    where, names, file = f"views.{name}", config.camera_names, Path(config.calibration)
    calibration = read_calibration(file)
    found = cameras_of(calibration, list(names.values()), f"{where}: calibration {config.calibration}")
    for one, other in combinations(found, 2):
        if same_pose(one, other):
            raise UserError(
                f"{where}: cameras '{one.name}' and '{other.name}' stand at the same place in "
                f"{config.calibration}, so they cannot place anything; calibrate again, `rt-pose rig "
                "calibrate-cameras`"
            )
    on_sensor = [
        _on_sensor(dataclasses.replace(camera, name=ours), cameras[ours], where, config.calibration)
        for ours, camera in zip(names, found, strict=True)
    ]
    axes = _axes(config, where)
    placed = [_placed(camera, axes, np.array(config.origin), UNITS_MM[config.unit]) for camera in on_sensor]
    content = file.read_bytes()
    info = ViewsInfo(
        cameras=list(names),
        keypoints=list(keypoints),
        unit=UNIT,
        calibration=config.calibration,
        calibration_sha256=hashlib.sha256(content).hexdigest(),
        calibration_unit=config.unit,
        origin=list(config.origin),
        up=config.up,
        ahead=config.ahead,
        late_ms=duration_ns(config.late, f"{where}.late") / NS_PER_MS,
        calibrated=[_info(camera) for camera in placed],
    )
    return CalibratedGroup(info, placed, content)


def make_group(
    name: str,
    config: ViewsConfig,
    cameras: Sequence[CalibratedCamera],
    noise: Mapping[str, TrackingSpec],
    individuals: int = 1,
) -> GroupTracker:
    """Make the filter of a group.

    Parameters
    ----------
    name
        Of the group.
    config
        What is configured of it.
    cameras
        Its cameras, in its axes and in mm.
    noise
        By camera, the parameters of its filter in the plane.
    individuals
        How many animals are placed.

    Returns
    -------
    GroupTracker
        With no track.

    Raises
    ------
    UserError
        Where the cameras look at no common place, and the speed of keypoints is not configured.
    """
    spec = tracking_spec(config.tracking, cameras, noise, f"views.{name}")
    late_ns = duration_ns(config.late, f"views.{name}.late")
    if individuals == 1:
        return GroupTracker(ViewGroup(name, cameras, spec, late_ns), noise)
    return GroupTracker(IndividualViewGroup(name, cameras, spec, late_ns, individuals), noise)


def tracking_spec(
    config: ViewTrackingConfig,
    cameras: Sequence[CalibratedCamera],
    noise: Mapping[str, TrackingSpec],
    where: str,
) -> TrackingSpec3D:
    """Choose the parameters of a group's filter.

    What the model was calibrated to in px is taken to mm at the place where the cameras look.

    Parameters
    ----------
    config
        What is configured.
    cameras
        The group's, in mm.
    noise
        By camera, the parameters of its filter in the plane.
    where
        Begins the message of an error.

    Returns
    -------
    TrackingSpec3D
        For K keypoints; covariances of observations are taken as they are.

    Raises
    ------
    UserError
        Where the cameras look at no common place, and the speed of keypoints is not configured.
    """
    planes = [noise[camera.name] for camera in cameras]
    tau_s = np.mean([plane.tau_s for plane in planes], axis=0)
    if config.tau is not None:
        tau_s = np.full(len(tau_s), duration_ns(config.tau, f"{where}.tracking.tau") / NS_PER_S)
    if config.speed is not None:
        q = 2.0 * config.speed**2 / tau_s
    else:
        scales = _mm_per_px(cameras, where)
        speed2 = [
            0.5 * np.array(plane.q_px2_s3) * np.array(plane.tau_s) * scale**2
            for plane, scale in zip(planes, scales, strict=True)
        ]
        q = 2.0 * np.mean(speed2, axis=0) / tau_s
    return TrackingSpec3D(
        q,
        tau_s,
        np.ones(len(tau_s)),
        config.gate,
        config.restart_observations,
        duration_ns(config.start, f"{where}.tracking.start") / NS_PER_MS,
        duration_ns(config.lost, f"{where}.tracking.lost") / NS_PER_MS,
    )


def to_axes(config: ViewsConfig, xyz: FloatArray, where: str) -> FloatArray:
    """Bring places from the axes of a calibration to those of its group.

    Parameters
    ----------
    config
        The group.
    xyz
        (..., 3) mm.
    where
        Begins the message of an error.

    Returns
    -------
    FloatArray
        (..., 3) mm.

    Raises
    ------
    UserError
        Where the group's axes are not valid.
    """
    moved: FloatArray = (xyz - UNITS_MM[config.unit] * np.array(config.origin)) @ _axes(config, where).T
    return moved


def _mm_per_px(cameras: Sequence[CalibratedCamera], where: str) -> list[float]:
    """How large a pixel of each camera is at the place that is nearest to the axes of all."""
    ahead = np.stack([camera.rotation_matrix[2] for camera in cameras])
    cosines = np.abs((ahead @ ahead.T)[np.triu_indices(len(cameras), 1)])
    across = np.eye(3) - ahead[:, :, None] * ahead[:, None, :]
    positions = np.stack([camera.position for camera in cameras])
    if cosines.min() <= np.cos(np.radians(LEAST_ANGLE_DEG)):
        place = np.linalg.solve(across.sum(axis=0), (across @ positions[:, :, None]).sum(axis=0)[:, 0])
        depths = ((place - positions) * ahead).sum(axis=1)
        if (depths > 0).all():
            return [float(depth / camera.focal.mean()) for depth, camera in zip(depths, cameras, strict=True)]
    raise UserError(
        f"{where}: the axes of its cameras do not meet before them, so how fast keypoints move in mm does "
        "not follow from the model; add `tracking: {speed: 200}`, their usual speed in mm/s"
    )


def _on_sensor(camera: CalibratedCamera, info: CameraInfo, where: str, calibration: str) -> CalibratedCamera:
    """The camera in px of its sensor, as poses are; UserError where its frames are not those of the run."""
    (width, height), (x, y) = camera.size, info.offset_xy
    if (width, height) == (info.width, info.height):
        matrix = camera.matrix.copy()
        matrix[:2, 2] += (x, y)
        return dataclasses.replace(camera, matrix=matrix)
    if x + info.width <= width and y + info.height <= height and (x or y):
        return camera  # it was calibrated with whole frames, and sends a part
    part = f" from ({x}, {y}) of its sensor" if x or y else ""
    raise UserError(
        f"{where}: camera '{camera.name}' sends frames of {info.width}x{info.height} px{part}, it was "
        f"calibrated with frames of {width}x{height} ({calibration}); calibrate it with the frames that the "
        "run takes, `rt-pose rig calibrate-cameras`"
    )


def _axes(config: ViewsConfig, where: str) -> FloatArray:
    """(3, 3), a row an axis of the group, in the calibration's axes."""
    if config.up is None:
        return np.eye(3)
    z = np.array(config.up) / np.linalg.norm(config.up)
    wanted = config.ahead if config.ahead is not None else (1.0, 0.0, 0.0)
    x = _on_floor(np.array(wanted, np.float64), z)
    if x is None and config.ahead is None:
        x = _on_floor(np.array((0.0, 1.0, 0.0)), z)
    if x is None:
        raise UserError(f"{where}.ahead: {config.ahead} points along `up`; expected a direction on the floor")
    return np.stack([x, np.cross(z, x), z])


def _on_floor(direction: FloatArray, up: FloatArray) -> FloatArray | None:
    """A direction as far as it lies in the floor, of length 1; None where it is upright."""
    flat = direction - (direction @ up) * up
    length = np.linalg.norm(flat)
    return None if length < 1e-3 * np.linalg.norm(direction) else flat / length


def _placed(camera: CalibratedCamera, axes: FloatArray, origin: FloatArray, scale: float) -> CalibratedCamera:
    """The camera that sees a place of the group where this one sees the same place of the calibration."""
    rotation = cv2.Rodrigues(camera.rotation_matrix @ axes.T)[0].ravel()
    translation = scale * (camera.rotation_matrix @ origin + camera.translation)
    return dataclasses.replace(
        camera, rotation=np.asarray(rotation, np.float64), translation=np.asarray(translation, np.float64)
    )


def _info(camera: CalibratedCamera) -> ViewCameraInfo:
    return ViewCameraInfo(
        camera.name,
        camera.size,
        camera.matrix.tolist(),
        camera.distortions.tolist(),
        camera.rotation.tolist(),
        camera.translation.tolist(),
    )
