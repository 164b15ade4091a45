"""netCDF as the package `movement` keeps its poses, with the true times."""

from __future__ import annotations

from pathlib import Path

from rt_pose.export.poses import Poses

INDIVIDUAL = "individual_0"


def write_netcdf(poses: Poses, out: Path) -> None:
    """Write a data set of positions and confidences over time.

    Parameters
    ----------
    poses
        The poses.
    out
        The file.
    """
    import xarray as xr

    data = xr.Dataset(
        {
            "position": (
                ("time", "space", "keypoints", "individuals"),
                poses.xy.transpose(0, 2, 1)[..., None],
            ),
            "confidence": (("time", "keypoints", "individuals"), poses.confidence[..., None]),
            "frame": (("time",), poses.frames),
        },
        coords={
            "time": poses.t_s,
            "space": ["x", "y"],
            "keypoints": poses.keypoints,
            "individuals": [INDIVIDUAL],
        },
        attrs={
            "ds_type": "poses",
            "source_software": "rt-pose",
            "source_file": str(poses.source),
            "time_unit": "seconds",
            "times": poses.times,
            "start_utc_ns": "" if poses.start_utc_ns is None else str(poses.start_utc_ns),
            "skeleton": ", ".join(f"{poses.keypoints[a]}-{poses.keypoints[b]}" for a, b in poses.skeleton),
        },
    )
    data.to_netcdf(out, engine="h5netcdf")
