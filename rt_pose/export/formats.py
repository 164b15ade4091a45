"""The formats, one row each: who reads it, what it holds, and what has no place in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rt_pose.errors import UserError, nearest
from rt_pose.export import film, movement, nwb, rerun, sleap, tables
from rt_pose.export.poses import Poses
from rt_pose.extras import installed

TIMES, COVARIANCE, VELOCITY, EVENTS = "times of exposures", "covariances", "velocities", "events and stimuli"
SKELETON, LOST_FRAMES = "the skeleton", "gaps of lost frames"


@dataclass(frozen=True)
class Format:
    """A format of another program."""

    name: str
    suffix: str
    read_by: str
    """Program, and how it opens the file."""
    write: Callable[[Poses, Path], None]
    leaves_out: tuple[str, ...]
    """What a session has and the format has no place for."""
    modules: tuple[str, ...] = ()
    """What must be installed."""


FORMATS: dict[str, Format] = {
    one.name: one
    for one in (
        Format(
            "csv",
            ".csv",
            "Lightning Pose, DeepLabCut: pandas.read_csv(header=[0, 1, 2], index_col=0)",
            tables.write_csv,
            (TIMES, COVARIANCE, VELOCITY, EVENTS, SKELETON),
        ),
        Format(
            "dlc-h5",
            ".h5",
            "DeepLabCut: pandas.read_hdf",
            tables.write_dlc_h5,
            (TIMES, COVARIANCE, VELOCITY, EVENTS, SKELETON),
            ("pandas", "tables"),
        ),
        Format(
            "slp",
            ".slp",
            "SLEAP, sleap-io: sleap_io.load_slp",
            sleap.write_slp,
            (TIMES, COVARIANCE, VELOCITY, EVENTS),
            ("sleap_io",),
        ),
        Format(
            "analysis-h5",
            ".h5",
            "SLEAP's analysis tables, movement: load_poses.from_sleap_file",
            sleap.write_analysis_h5,
            (TIMES, COVARIANCE, VELOCITY, EVENTS),
            ("h5py",),
        ),
        Format(
            "netcdf",
            ".nc",
            "movement, xarray: xarray.open_dataset",
            movement.write_netcdf,
            (COVARIANCE, VELOCITY, EVENTS),
            ("xarray", "h5netcdf"),
        ),
        Format("parquet", ".parquet", "pandas, polars, R, DuckDB", tables.write_parquet, (EVENTS,), ("pyarrow",)),
        Format(
            "nwb",
            ".nwb",
            "NWB: pynwb.NWBHDF5IO with ndx-pose",
            nwb.write_nwb,
            (COVARIANCE, VELOCITY),
            ("pynwb", "ndx_pose"),
        ),
        Format("rerun", ".rrd", "rerun: `rerun FILE`", rerun.write_rerun, (), ("rerun",)),
        Format("film", ".mp4", "any player", film.write_film, (TIMES,)),
    )
}


def find_format(name: str, out: Path) -> Format:
    """Look a format up, and check that what it needs is there.

    Parameters
    ----------
    name
        Its name; empty to go by the file's ending.
    out
        The file.

    Returns
    -------
    Format
        The format.

    Raises
    ------
    UserError
        Where there is no such format, the ending fits several, or a package is missing.
    """
    fitting = [one for one in FORMATS.values() if one.suffix == out.suffix]
    if name and name not in FORMATS:
        raise UserError(f"--format {name}: expected one of {', '.join(FORMATS)}{nearest(name, FORMATS)}")
    if not name and len(fitting) != 1:
        which = ", ".join(one.name for one in fitting or FORMATS.values())
        raise UserError(f"--out {out}: its ending does not say the format; give --format, one of {which}")
    found = FORMATS[name] if name else fitting[0]
    lacking = [module for module in found.modules if not installed(module)]
    if lacking:
        raise UserError(f"--format {found.name} needs {', '.join(lacking)}; `pip install 'rt-pose[export]'`")
    return found
