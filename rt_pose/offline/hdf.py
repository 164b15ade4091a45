"""Tables that DeepLabCut keeps in HDF files, read through pandas into the text of the CSV beside them."""

from __future__ import annotations

from pathlib import Path

from rt_pose.errors import UserError
from rt_pose.extras import installed, remedy


def is_hdf(path: Path) -> bool:
    """Check whether a file's suffix is that of HDF.

    Parameters
    ----------
    path
        The file; it need not exist.

    Returns
    -------
    bool
        Whether it is.
    """
    return path.suffix.lower() in (".h5", ".hdf5")


def hdf_text(path: Path, what: str) -> str:
    """Convert a pandas table in HDF to the CSV that pandas writes of it.

    Such files hold pickled names: read your own only.

    Parameters
    ----------
    path
        The file.
    what
        What it is, the beginning of messages.

    Returns
    -------
    str
        The text of the CSV.

    Raises
    ------
    UserError
        Where it cannot be read as a table, or pandas or tables are not installed.
    """
    if not (installed("pandas") and installed("tables")):
        raise UserError(f"{what} {path}: reading HDF needs pandas and tables; `{remedy('train')}`")
    import pandas

    try:
        return str(pandas.read_hdf(path).to_csv(lineterminator="\n"))
    except (OSError, ValueError, KeyError, TypeError, ImportError, RuntimeError) as error:
        # A file that is no HDF at all is a RuntimeError of many lines, the reason in the last.
        reason = str(error).strip().splitlines()[-1:]
        raise UserError(f"{what} {path}: not a table that DeepLabCut wrote: {''.join(reason)}") from error
