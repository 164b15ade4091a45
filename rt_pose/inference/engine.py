"""What runs a network: the Engine contract, and the registry that the files of `engines/` fill.

An engine is one file there: a class registered under its backend's name. Its library is imported when an
engine is made, never at the top of the file.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Protocol, TypeVar, cast

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
    library: ClassVar[str]
    """The module that it needs."""
    precision: str
    threads: int
    spec: InputSpec
    description: str
    """One line for people: library with version, precision, threads."""

    def __init__(self, folder: Path, spec: InputSpec, precision: str, threads: int) -> None:
        """Load the network of a package.

        Parameters
        ----------
        folder
            Folder of the package.
        spec
            The package's description of the network's input.
        precision
            One of `precisions`.
        threads
            Number of threads; engines of a GPU ignore it.

        Raises
        ------
        UserError
            Where the network's file cannot be used.
        """
        ...

    @classmethod
    def precisions(cls) -> list[str]:
        """List the precisions that this machine's processor has.

        Returns
        -------
        list[str]
            The least exact first, as a rule the fastest.
        """
        ...

    @classmethod
    def missing(cls, folder: Path, precision: str = "float32") -> str | None:
        """Report why the engine cannot serve a package.

        Parameters
        ----------
        folder
            Folder of the package.
        precision
            One of `precisions`.

        Returns
        -------
        str | None
            What is missing (a file, a library), as a phrase; None where it can.
        """
        ...

    def tune(self, clock: Clock) -> str:  # noqa: ARG002
        """Choose threads and their places by measurement, at the pace of frames.

        Takes up to some seconds; comes before the first frame.

        Parameters
        ----------
        clock
            Measures the time.

        Returns
        -------
        str
            What was measured, for people; empty where there is nothing to choose.
        """
        return ""

    def ready(self, frames: int = 1) -> Call:
        """Make a bare forward on input that lies ready where the network reads it.

        Parameters
        ----------
        frames
            Batch size.

        Returns
        -------
        Call
            Each call runs one forward and returns when it is done.
        """
        batch = np.zeros((frames, self.spec.channels, self.spec.height, self.spec.width), np.float32)
        return lambda: self.infer(batch)

    def infer(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network.

        A network with context sees each frame with an empty past, in the same time as with any other.

        Parameters
        ----------
        batch
            Network input (B, C, h, w), C-contiguous.

        Returns
        -------
        NDArray[np.float32]
            Heatmaps (B, K, h/stride, w/stride), C-contiguous, in a buffer of the engine: valid until the next
            call.
        """
        ...


class ContextEngine(Engine, Protocol):
    """An engine that can run a network with context as well."""

    def advance(self, batch: NDArray[np.float32], past: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run the network, each frame with its own past.

        Parameters
        ----------
        batch
            Network input (B, C, h, w), C-contiguous.
        past
            (B, *spec.context.shape), C-contiguous; overwritten by the past of the frames that follow.

        Returns
        -------
        NDArray[np.float32]
            Heatmaps as of `infer`.
        """
        ...


class PinnedEngine(Engine, Protocol):
    """An engine whose threads may be bound to cores."""

    pinned: bool

    def __init__(
        self, folder: Path, spec: InputSpec, precision: str, threads: int, pinned: bool = True
    ) -> None:
        """Load the network of a package; see `Engine.__init__`.

        Parameters
        ----------
        folder, spec, precision, threads
            As there.
        pinned
            Whether the threads are bound to cores.
        """
        ...


def lacks_context(cls: type[Engine], spec: InputSpec) -> str | None:
    """Report why an engine cannot run a network with context.

    Parameters
    ----------
    cls
        The engine's class.
    spec
        The package's description of the network's input.

    Returns
    -------
    str | None
        The reason as a phrase; None where it can, or the network has no context.
    """
    if spec.context is None or hasattr(cls, "advance"):
        return None
    able = [name for name, other in engines().items() if hasattr(other, "advance")]
    return f"it cannot run a network that sees past frames; {', '.join(able)} can"


E = TypeVar("E", bound=type[Engine])
_ENGINES: dict[str, type[Engine]] = {}


def engine_backend(cls: E) -> E:
    """Class decorator: register an engine under its `backend`.

    Parameters
    ----------
    cls
        The engine's class.

    Returns
    -------
    E
        The class, unchanged.

    Raises
    ------
    ValueError
        Where another class has that backend.
    """
    known = _ENGINES.setdefault(cls.backend, cls)
    if known is not cls:
        raise ValueError(f"two engines are called '{cls.backend}': {known} and {cls}")
    return cls


def engines() -> dict[str, type[Engine]]:
    """Import every engine of `engines/`.

    Returns
    -------
    dict[str, type[Engine]]
        Classes by backend, in the order `auto` tries them.
    """
    for module in pkgutil.iter_modules([str(Path(__file__).with_name("engines"))]):
        importlib.import_module(f"{__package__}.engines.{module.name}")
    return dict(sorted(_ENGINES.items(), key=lambda item: item[1].order))


def open_engine(
    backend: str, folder: Path, spec: InputSpec, precision: str, threads: int, pinned: bool | None = None
) -> Engine:
    """Load the network of a package into an engine.

    Parameters
    ----------
    backend
        Name of the engine.
    folder
        Folder of the package.
    spec
        The package's description of the network's input.
    precision
        One that the engine has on this processor.
    threads
        Number of threads; engines of a GPU ignore it.
    pinned
        Whether the threads are bound to cores, of a `PinnedEngine`; None: as it is by itself.

    Returns
    -------
    Engine
        The engine, loaded.

    Raises
    ------
    UserError
        Where there is no such engine, or it cannot run the package in that precision.
    """
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
    if pinned is None:
        return cls(folder, spec, precision, threads)
    return cast(type[PinnedEngine], cls)(folder, spec, precision, threads, pinned)
