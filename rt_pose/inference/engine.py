"""What runs a network: the Engine contract, and the registry that the files of `engines/` fill.

An engine is one file there: a class registered under its backend's name. Its library is imported when an
engine is made, never at the top of the file.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import Clock
from rt_pose.config.schema import Device
from rt_pose.errors import UserError, nearest
from rt_pose.package import InputSpec

NETWORK_INPUT = "image"
NETWORK_OUTPUT = "heatmaps"
NETWORK_PAST, NETWORK_NEXT = "past", "next_past"
"""The further input and output of a network with context."""


Call = Callable[[], object]


class Engine(Protocol):
    """A network ready to run. One thread calls `infer`."""

    backend: ClassVar[str]
    order: ClassVar[int]
    """`auto` tries the backend of the lowest order first."""
    device: ClassVar[Device]
    """What it runs on."""
    precision: str
    threads: int
    spec: InputSpec
    description: str
    """One line for people: library with version, precision, threads."""

    def __init__(self, folder: Path, spec: InputSpec, precision: str, threads: int) -> None:
        """Load the network of a package's `folder`. UserError where its file cannot be used."""
        ...

    @classmethod
    def precisions(cls) -> list[str]:
        """What this machine's processor can do, the least exact first (as a rule the fastest)."""
        ...

    @classmethod
    def missing(cls, folder: Path, precision: str = "float32") -> str | None:
        """Why it cannot serve the package in `folder` (a file, a library) in a precision; None: it can."""
        ...

    def tune(self, clock: Clock) -> str:
        """Choose threads and their places by measurement, at the pace of frames; what was seen, for people.

        Nothing where there is nothing to choose. Takes up to some seconds; comes before the first frame.
        """
        ...

    def ready(self, frames: int = 1) -> Call:
        """The bare forward on input that is ready where the network reads it: each call runs one."""
        ...

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Heatmaps (B, K, h/stride, w/stride) of network input (B, C, h, w), both C-contiguous.

        The result lies in a buffer of the engine and is valid until the next call. A network with context
        sees each frame with an empty past, in the same time as with any other.
        """
        ...


class ContextEngine(Engine, Protocol):
    """An engine that can run a network with context as well."""

    def advance(self, batch: NDArray[np.float32], past: NDArray[np.float32]) -> NDArray[np.float32]:
        """As `infer`, each frame with its own past (B, *spec.context.shape), C-contiguous.

        `past` is overwritten by the past of the frames that follow.
        """
        ...


def lacks_context(cls: type[Engine], spec: InputSpec) -> str | None:
    """Why an engine cannot run a network with context; None: it can, or the network has none."""
    if spec.context is None or hasattr(cls, "advance"):
        return None
    able = [name for name, other in engines().items() if hasattr(other, "advance")]
    return f"it cannot run a network that sees past frames; {', '.join(able)} can"


E = TypeVar("E", bound=type[Engine])
_ENGINES: dict[str, type[Engine]] = {}


def engine_backend(cls: E) -> E:
    """Class decorator: register an engine under its `backend`."""
    known = _ENGINES.setdefault(cls.backend, cls)
    if known is not cls:
        raise ValueError(f"two engines are called '{cls.backend}': {known} and {cls}")
    return cls


def engines() -> dict[str, type[Engine]]:
    """Every engine of `engines/` by backend, in the order `auto` tries them."""
    for module in pkgutil.iter_modules([str(Path(__file__).with_name("engines"))]):
        importlib.import_module(f"{__package__}.engines.{module.name}")
    return dict(sorted(_ENGINES.items(), key=lambda item: item[1].order))


def open_engine(backend: str, folder: Path, spec: InputSpec, precision: str, threads: int) -> Engine:
    """The engine `backend` on the network in `folder`; UserError where it cannot be had."""
    table = engines()
    if backend not in table:
        raise UserError(f"engine.backend: there is no backend '{backend}'{nearest(backend, table)}")
    cls = table[backend]
    if reason := cls.missing(folder) or lacks_context(cls, spec):
        raise UserError(f"engine.backend: '{backend}' cannot run {folder}: {reason}")
    if precision not in cls.precisions():
        raise UserError(
            f"engine.precision: {backend} has no '{precision}' on this processor; it has "
            f"{', '.join(cls.precisions())}"
        )
    if reason := cls.missing(folder, precision):
        raise UserError(f"engine.precision: '{precision}' is not in the model package {folder}: {reason}")
    return cls(folder, spec, precision, threads)
