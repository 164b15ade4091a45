"""netCDF as the package `movement` keeps poses, with the true times: its own readers count frames instead."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np

from rt_pose.export.poses import Recording
from rt_pose.export.spatial import MOMENTS
from rt_pose.types import FloatArray

INDIVIDUAL = "individual_0"
"""Name of the only one."""


def write_netcdf(recording: Recording, out: Path) -> None:
    """Write a data set of positions and confidences over time, velocities and covariances beside them.

    Parameters
    ----------
    recording
        What is exported, of one camera.
    out
        The file.
    """
    import xarray as xr

    poses = recording.cameras[0]
    space = ("time", "space", "keypoints", "individuals")
    data = {
        "position": (space, _animals_last(poses.xy)),
        "confidence": (("time", "keypoints", "individuals"), poses.confidence.transpose(0, 2, 1)),
        "frame": (("time",), poses.frames),
        "frame_number": (("time",), poses.numbers),
    }
    coords = {
        "time": poses.t_s,
        "space": ["x", "y"],
        "keypoints": poses.keypoints,
        "individuals": [name or INDIVIDUAL for name in poses.individuals],
    }
    if poses.velocity is not None:
        data["velocity"] = (space, _animals_last(poses.velocity))
    if poses.covariance is not None:
        own = ("time", "moment", "keypoints", "individuals")
        data["covariance"] = (own, _animals_last(poses.covariance))
        coords["moment"] = ["xx", "xy", "yy"]
    if poses.identity_p is not None:
        data["identity_p"] = (("time", "individuals"), poses.identity_p)
    start = recording.start_utc_ns
    attrs = {
        "ds_type": "poses",
        "source_software": "rt-pose",
        "source_file": str(recording.source),
        "time_unit": "seconds",
        "times": poses.times,
        "frame_numbers": poses.where,
        "start_utc_ns": "" if start is None else str(start),
        "skeleton": ", ".join(f"{poses.keypoints[a]}-{poses.keypoints[b]}" for a, b in poses.skeleton),
    }
    xr.Dataset(data, coords=coords, attrs=attrs).to_netcdf(out, engine="h5netcdf")


def _animals_last(values: FloatArray) -> FloatArray:
    """(F, N, K, C) to (F, C, K, N)."""
    return np.swapaxes(values, 1, 3)


def write_spatial_netcdf(recording: Recording, out: Path) -> None:
    """Write a data set of positions in x, y and z over time, velocities and covariances beside them.

    Parameters
    ----------
    recording
        What is exported, of one group of cameras.
    out
        The file.
    """
    import xarray as xr

    poses, *_ = animals = recording.spatial
    space = ("time", "space", "keypoints", "individuals")
    flat = space[:1] + space[2:]
    data = {
        "position": (space, _animals_last(np.stack([one.xyz for one in animals], axis=1))),
        "confidence": (flat, np.stack([one.confidence for one in animals], axis=-1)),
        "velocity": (space, _animals_last(np.stack([one.velocity for one in animals], axis=1))),
        "covariance": (
            ("time", "moment", *space[2:]),
            _animals_last(np.stack([one.covariance for one in animals], axis=1)),
        ),
        "error_px": (flat, np.stack([one.error_px for one in animals], axis=-1)),
        "cameras": (flat, np.stack([one.views for one in animals], axis=-1)),
    }
    stated = [one.identity_p for one in animals if one.identity_p is not None]
    if stated:
        data["identity_p"] = (("time", "individuals"), np.stack(stated, axis=1))
    coords = {
        "time": poses.t_s,
        "space": ["x", "y", "z"],
        "keypoints": poses.keypoints,
        "individuals": [one.individual or INDIVIDUAL for one in animals],
        "moment": list(MOMENTS),
    }
    start = recording.start_utc_ns
    attrs = {
        "ds_type": "poses",
        "source_software": "rt-pose",
        "source_file": str(recording.source),
        "time_unit": "seconds",
        "times": "exposure of the newest view",
        "space_unit": poses.info.unit,
        "start_utc_ns": "" if start is None else str(start),
        "skeleton": ", ".join(f"{poses.keypoints[a]}-{poses.keypoints[b]}" for a, b in poses.skeleton),
        "group": poses.group,
        "views": json.dumps(msgspec.to_builtins(poses.info)),
    }
    xr.Dataset(data, coords=coords, attrs=attrs).to_netcdf(out, engine="h5netcdf")
