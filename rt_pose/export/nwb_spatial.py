"""Tracks in space in NWB: `MultiCameraPoseEstimation` of ndx-pose, and the cameras with their calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import rt_pose
from rt_pose.export.nwb_parts import FurtherSeries, add_further, compressed, object_name
from rt_pose.export.spatial import SpatialPoses
from rt_pose.offline.nwb_poses import nwb_name
from rt_pose.views.camera import CalibratedCamera

SPATIAL = "MultiCameraPoseEstimation"
UNITS = {"mm": "millimeters", "cm": "centimeters", "m": "meters"}
"""By NWB's own names."""


def spatial_name(poses: SpatialPoses) -> str:
    """Name the object of a group's tracks.

    Parameters
    ----------
    poses
        The tracks; those of several animals have an object each.

    Returns
    -------
    str
        The name.
    """
    return object_name(SPATIAL, poses.group, poses.individual)


def calibrated_devices(spatial: Sequence[SpatialPoses]) -> dict[str, CalibratedCamera]:
    """List the cameras whose calibration is known.

    Parameters
    ----------
    spatial
        Tracks in space.

    Returns
    -------
    dict[str, CalibratedCamera]
        By name; one of several groups is in the axes of the first one.
    """
    return {camera.name: camera for poses in reversed(spatial) for camera in poses.cameras}


def add_device(nwb: Any, name: str, description: str, camera: CalibratedCamera | None) -> Any:
    """Add a camera to a file.

    Parameters
    ----------
    nwb
        The file.
    name
        Of the device.
    description
        Of the device.
    camera
        Its calibration; None where there is none.

    Returns
    -------
    Any
        The device.
    """
    if camera is None:
        return nwb.create_device(name=name, description=description)
    from ndx_pose import CalibratedCamera as Device

    device = Device(
        name=name,
        description=description,
        intrinsic_matrix=camera.matrix,
        rotation_matrix=camera.rotation_matrix,
        translation_vector=camera.translation,
        distortion_coefficients=camera.distortions,
    )
    nwb.add_device(device)
    return device


def add_spatial(behavior: Any, skeleton: Any, poses: SpatialPoses) -> None:
    """Add the tracks of a group.

    Parameters
    ----------
    behavior
        The processing module.
    skeleton
        Of the keypoints.
    poses
        The tracks.
    """
    from ndx_pose import MultiCameraPoseEstimation, PoseEstimationSeries

    unit = UNITS.get(poses.info.unit, poses.info.unit)
    axes = "z is up from the floor" if poses.info.up is not None else "axes of the calibration"
    whose = f" of {poses.individual}" if poses.individual else ""
    series: list[Any] = []
    for k, name in enumerate(poses.keypoints):
        series.append(
            PoseEstimationSeries(
                name=nwb_name(name),
                description=f"Place of {name}{whose}; NaN where it was lost",
                data=compressed(poses.xyz[:, k]),
                unit=unit,
                reference_frame=f"(0, 0, 0) is {poses.info.origin} of the calibration; {axes}",
                timestamps=series[0] if series else compressed(poses.t_s),  # one table of times for all
                confidence=compressed(poses.confidence[:, k]),
                confidence_definition="The largest of the networks', 0 to 1, just before",
            )
        )
    behavior.add(
        MultiCameraPoseEstimation(
            name=spatial_name(poses),
            pose_estimation_series=series,
            description=f"Filtered causally in space{whose}, from the cameras "
            f"{', '.join(poses.info.cameras)}; times: exposure of the newest view",
            scorer="rt-pose",
            source_software="rt-pose",
            source_software_version=rt_pose.__version__,
            skeleton=skeleton,
        )
    )
    add_further(behavior, spatial_series(poses), poses.group, series[0])


def spatial_series(poses: SpatialPoses) -> list[FurtherSeries]:
    """List what ndx-pose has no place for.

    Parameters
    ----------
    poses
        The tracks.

    Returns
    -------
    list[FurtherSeries]
        In the order in which they are written.
    """
    names, unit = ", ".join(poses.keypoints), UNITS.get(poses.info.unit, poses.info.unit)
    seen = f"How many cameras saw {names} within the gate just before"
    error = f"Root mean square of the reprojection errors of {names}; NaN where none was seen then"
    who = poses.individual
    found = [
        FurtherSeries("velocity", who, poses.velocity, f"{unit}/s", f"vx, vy and vz of {names}"),
        FurtherSeries(
            "covariance",
            who,
            poses.covariance,
            f"{unit}^2",
            f"sxx, sxy, sxz, syy, syz and szz of the place of {names}",
        ),
        FurtherSeries("views", who, poses.views, "cameras", seen),
        FurtherSeries("reprojection_error", who, poses.error_px, "pixels", error),
    ]
    if poses.identity_p is not None:
        stated = "Probability that it is still the animal that its slot held at its birth"
        found.append(FurtherSeries("identity_p", who, poses.identity_p, "probability", stated))
    return found
