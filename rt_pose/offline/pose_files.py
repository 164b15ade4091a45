"""Predictions in whatever file another program keeps them: CSV, DeepLabCut's HDF, SLEAP's files, NWB."""

from __future__ import annotations

from pathlib import Path

from rt_pose.errors import UserError
from rt_pose.extras import installed, remedy
from rt_pose.offline.hdf import is_hdf
from rt_pose.offline.nwb_poses import read_nwb_poses
from rt_pose.offline.prediction_files import Predictions, read_predictions
from rt_pose.offline.sleap_poses import is_analysis_table, read_analysis_table, read_slp


def read_pose_file(
    path: Path, camera: str = "", *, scored: bool = True, several: bool = False
) -> Predictions:
    """Read the poses of one animal, or of several.

    Parameters
    ----------
    path
        A CSV, an .h5 of DeepLabCut or an analysis table of SLEAP, a .slp, or an .nwb.
    camera
        Of an .nwb that holds several; empty where it holds one.
    scored
        Whether a table without likelihoods, such as one of labels, is refused; otherwise they are 1.
    several
        Whether a table of DeepLabCut, or a file of SLEAP, may be of several animals.

    Returns
    -------
    Predictions
        The poses.

    Raises
    ------
    UserError
        Where it is no such file, or holds more animals than may be.
    """
    suffix = path.suffix.lower()
    if suffix not in (".nwb", ".slp") and not is_hdf(path):
        return read_predictions(path, scored=scored, several=several)
    if not path.is_file():
        raise UserError(f"predictions {path}: no such file")
    for module in ("h5py", "sleap_io") if suffix == ".slp" else ("h5py",):
        if not installed(module):
            raise UserError(f"predictions {path}: reading it needs {module}; `{remedy('sleap')}`")
    if suffix == ".nwb":
        return read_nwb_poses(path, camera)
    if suffix == ".slp":
        return read_slp(path, several)
    if is_analysis_table(path):
        return read_analysis_table(path, several)
    return read_predictions(path, scored=scored, several=several)
