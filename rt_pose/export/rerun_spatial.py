"""Tracks in space in a rerun recording: keypoints and bones in 3D, and the cameras as pinholes."""

from __future__ import annotations

from typing import Any

import numpy as np

from rt_pose.export.spatial import SpatialPoses
from rt_pose.views.camera import CalibratedCamera

RADIUS_SHARE, PLANE_SHARE = 0.004, 0.1
"""Of a keypoint as drawn, and how far before a camera its image is drawn: of the median distance of the
cameras from the animal."""


def log_spatial(stream: Any, poses: SpatialPoses, annotations: Any, indexes: Any) -> None:
    """Log the tracks of a group and its cameras.

    Parameters
    ----------
    stream
        The recording.
    poses
        The tracks.
    annotations
        Names and bones of the keypoints.
    indexes
        The times of the rows.
    """
    import rerun as rr

    upright = poses.info.up is not None
    axes = rr.ViewCoordinates.RIGHT_HAND_Z_UP if upright else rr.ViewCoordinates.RIGHT_HAND_Y_DOWN
    entity = f"{poses.group}/pose/{poses.individual}".rstrip("/")
    stream.log(poses.group, axes, static=True)
    stream.log(f"{poses.group}/pose", annotations, static=True)
    seen = np.isfinite(poses.xyz).all(axis=-1)
    far = _distance(poses)
    row, k = np.nonzero(seen)
    points = rr.Points3D.columns(
        positions=poses.xyz[row, k],
        keypoint_ids=k,
        class_ids=np.full(len(k), poses.number, np.uint16),
        radii=np.full(len(k), RADIUS_SHARE * far),
    )
    columns = points.partition(seen.sum(axis=1).tolist())
    stream.send_columns(entity, indexes=indexes, columns=columns)
    for camera in poses.cameras if poses.number == 0 else []:  # they are those of all animals
        _log_camera(stream, f"{poses.group}/cameras/{camera.name}", camera, PLANE_SHARE * far)


def _log_camera(stream: Any, entity: str, camera: CalibratedCamera, plane: float) -> None:
    """A pinhole, where it stands; rerun knows no distortion."""
    import rerun as rr

    turned = camera.rotation_matrix.T
    stream.log(entity, rr.Transform3D(translation=camera.position, mat3x3=turned), static=True)
    pinhole = rr.Pinhole(image_from_camera=camera.matrix, resolution=camera.size, image_plane_distance=plane)
    stream.log(entity, pinhole, static=True)


def _distance(poses: SpatialPoses) -> float:
    """Median distance of the cameras from where the animal mostly was."""
    places = np.array([camera.position for camera in poses.cameras])
    xyz = poses.xyz[np.isfinite(poses.xyz).all(axis=-1)]
    middle = np.median(xyz, axis=0) if len(xyz) else places.mean(axis=0)
    return float(np.median(np.linalg.norm(places - middle, axis=1)))
