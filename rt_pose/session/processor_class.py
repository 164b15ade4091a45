"""The class of a processor of DeepLabCut-Live: found, made, and its answers as plain values."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import traceback
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError, nearest

MAX_CHARS = 300
"""Of a text that stands for a value or an exception."""
MAX_NUMBERS = 4096
"""Of a returned array that is written down."""


class Processor:
    """Stands for the base class of processors where DeepLabCut-Live is not installed."""

    def __init__(self, **kwargs: Any) -> None:
        """Take any option, as a base class of other people's classes must."""

    def process(self, pose: NDArray[np.float64], **kwargs: Any) -> NDArray[np.float64]:  # noqa: ARG002
        """Return the pose as it is.

        Parameters
        ----------
        pose
            (K, 3) x, y (px) and likelihood.
        **kwargs
            Times of the frame.

        Returns
        -------
        NDArray
            The same pose.
        """
        return pose

    def save(self, file: str = "") -> int:  # noqa: ARG002
        """Save nothing.

        Parameters
        ----------
        file
            Where to.

        Returns
        -------
        int
            0.
        """
        return 0


def stand_in_for_dlclive() -> None:
    """Let `from dlclive import Processor` work where DeepLabCut-Live is not installed."""
    if importlib.util.find_spec("dlclive") is not None:
        return
    outer: ModuleType | None = None
    for name in ("dlclive", "dlclive.processor", "dlclive.processor.processor"):
        module = importlib.util.module_from_spec(ModuleSpec(name, None, is_package=True))
        module.Processor = Processor  # type: ignore[attr-defined]
        sys.modules[name] = module
        if outer is not None:
            setattr(outer, "processor", module)  # noqa: B010
        outer = module


def load_processor(source: str, options: dict[str, Any]) -> Any:
    """Import the class of a processor, and make one.

    Parameters
    ----------
    source
        `FILE.py:Class` or `package.module:Class`.
    options
        Keyword arguments of the constructor.

    Returns
    -------
    Any
        An object with a method `process`.

    Raises
    ------
    UserError
        Where it cannot be imported or made, or has no such method.
    """
    place, _, name = source.rpartition(":")
    try:
        module = _import_file(Path(place)) if place.endswith(".py") else _import_module(place)
        kind = getattr(module, name, None)
        if not isinstance(kind, type):
            classes = [n for n, value in vars(module).items() if isinstance(value, type)]
            raise UserError(f"{source}: there is no class {name} in it{nearest(name, classes)}")
        processor = kind(**options)
    except UserError:
        raise
    except BaseException as error:  # other people's code may raise anything, exits included
        raise UserError(f"{source}: {describe_error(error)}") from error
    if not callable(getattr(processor, "process", None)):
        raise UserError(f"{source}: it has no method `process(pose, **kwargs)`")
    return processor


def describe_error(error: BaseException) -> str:
    """Format an exception in one line.

    Parameters
    ----------
    error
        What was raised.

    Returns
    -------
    str
        Its type and message, and the line of the file that raised it.
    """
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    try:
        message = " ".join(str(error).split())
    except BaseException:  # noqa: BLE001 - an exception of other people's may fail to say what it is
        message = "without a readable message"
    return f"{type(error).__name__}: {message}"[:MAX_CHARS] + where


def as_plain(returned: Any, given: NDArray[np.float64]) -> dict[str, Any]:
    """Convert what a call returned for the record.

    Parameters
    ----------
    returned
        Anything.
    given
        (K, 3) the pose that it was handed.

    Returns
    -------
    dict[str, Any]
        `returned`: numbers as nested lists, everything else as a text; empty where it is the pose as it was
        handed over.
    """
    if returned is None:
        return {"returned": None}
    if not isinstance(returned, np.ndarray | np.number | list | tuple | float | int):
        return {"returned": repr(returned)[:MAX_CHARS]}
    try:
        numbers = np.asarray(returned, np.float64)
    except (TypeError, ValueError, OverflowError):
        return {"returned": repr(returned)[:MAX_CHARS]}
    if np.array_equal(numbers, given, equal_nan=True):
        return {}
    if numbers.size > MAX_NUMBERS:
        return {"returned": f"{numbers.size} numbers"}
    return {"returned": numbers.tolist()}


def _import_file(path: Path) -> ModuleType:
    """Import a file, which may import others of its folder."""
    sys.path.insert(0, str(path.parent.absolute()))
    spec = importlib.util.spec_from_file_location(f"processor_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _import_module(name: str) -> ModuleType:
    sys.path.insert(0, os.getcwd())
    return importlib.import_module(name)
