"""The table of drivers, filled by decorators, and what makes a configuration's cameras, outputs and
inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from rt_pose.config.build import build, read_section
from rt_pose.config.source import Source
from rt_pose.drivers.contract import Camera, DriverContext, Input, Output
from rt_pose.drivers.versions import as_current, check_contract
from rt_pose.errors import UserError, nearest

C = TypeVar("C", bound=type)
_CAMERAS: dict[str, type] = {}
_OUTPUTS: dict[str, type] = {}
_INPUTS: dict[str, type] = {}
_BROKEN: dict[str, dict[str, str]] = {"camera": {}, "output": {}, "input": {}}
"""Driver files that could not be imported, and why."""


def camera_driver(name: str) -> Callable[[C], C]:
    """Class decorator: register a camera driver under `name`.

    Parameters
    ----------
    name
        What a configuration calls the driver.

    Returns
    -------
    Callable[[C], C]
        The decorator, which returns the class unchanged.
    """
    return _registrar("camera", _CAMERAS, name)


def output_driver(name: str) -> Callable[[C], C]:
    """Class decorator: register an output driver under `name`.

    Parameters
    ----------
    name
        What a configuration calls the driver.

    Returns
    -------
    Callable[[C], C]
        The decorator, which returns the class unchanged.
    """
    return _registrar("output", _OUTPUTS, name)


def input_driver(name: str) -> Callable[[C], C]:
    """Class decorator: register an input driver under `name`.

    Parameters
    ----------
    name
        What a configuration calls the driver.

    Returns
    -------
    Callable[[C], C]
        The decorator, which returns the class unchanged.
    """
    return _registrar("input", _INPUTS, name)


def report_broken(kind: str, name: str, error: BaseException) -> None:
    """Report a driver whose file could not be imported; a run that wants it is told why.

    Parameters
    ----------
    kind
        "camera", "output" or "input".
    name
        Name of the file, without its suffix.
    error
        What it raised.
    """
    _BROKEN[kind][name] = problem_of(error)


def broken() -> dict[str, dict[str, str]]:
    """List the drivers that could not be imported.

    Returns
    -------
    dict[str, dict[str, str]]
        By kind and name, why.
    """
    return {kind: dict(table) for kind, table in _BROKEN.items()}


def problem_of(error: BaseException) -> str:
    """Format what a driver's code raised, in one line.

    Parameters
    ----------
    error
        What it raised.

    Returns
    -------
    str
        Type and message.
    """
    return f"{type(error).__name__}: {error}".rstrip(": ")


def _registrar(kind: str, table: dict[str, type], name: str) -> Callable[[C], C]:
    def register(cls: C) -> C:
        if name in table and table[name] is not cls:
            raise ValueError(f"two drivers are called '{name}': {table[name]} and {cls}")
        check_contract(kind, name, cls)
        table[name] = cls
        return cls

    return register


def cameras() -> dict[str, type]:
    """List the registered camera drivers.

    Returns
    -------
    dict[str, type]
        Driver classes by name.
    """
    return dict(_CAMERAS)


def outputs() -> dict[str, type]:
    """List the registered output drivers.

    Returns
    -------
    dict[str, type]
        Driver classes by name.
    """
    return dict(_OUTPUTS)


def inputs() -> dict[str, type]:
    """List the registered input drivers.

    Returns
    -------
    dict[str, type]
        Driver classes by name.
    """
    return dict(_INPUTS)


def make_camera(name: str, driver: str, options: dict[str, Any], context: DriverContext) -> Camera:
    """Make the camera `name` of a configuration, its options checked; it is not opened yet.

    Parameters
    ----------
    name
        Name of the camera in the configuration.
    driver
        Name of a registered camera driver.
    options
        The `options` section as read from the configuration.
    context
        What the drivers of the run share.

    Returns
    -------
    Camera
        The camera, before `open`.

    Raises
    ------
    UserError
        Where there is no such driver, or an option is wrong.
    """
    return as_current(_make(_CAMERAS, "camera", name, driver, options, context))


def make_output(name: str, driver: str, options: dict[str, Any], context: DriverContext) -> Output:
    """Make the output `name` of a configuration, its options checked; it is not opened yet.

    Parameters
    ----------
    name
        Name of the output in the configuration.
    driver
        Name of a registered output driver.
    options
        The `options` section as read from the configuration.
    context
        What the drivers of the run share.

    Returns
    -------
    Output
        The output, before `open`.

    Raises
    ------
    UserError
        Where there is no such driver, or an option is wrong.
    """
    return _make(_OUTPUTS, "output", name, driver, options, context)


def make_input(name: str, driver: str, options: dict[str, Any], context: DriverContext) -> Input:
    """Make the input `name` of a configuration, its options checked; it is not opened yet.

    Parameters
    ----------
    name
        Name of the input in the configuration.
    driver
        Name of a registered input driver.
    options
        The `options` section as read from the configuration.
    context
        What the drivers of the run share.

    Returns
    -------
    Input
        The input, before `open`.

    Raises
    ------
    UserError
        Where there is no such driver, or an option is wrong.
    """
    return _make(_INPUTS, "input", name, driver, options, context)


def report_drivers(source: Source, kinds: Sequence[str] = ("cameras", "outputs", "inputs")) -> None:
    """Report to a run's `source` the drivers that do not exist, and what is wrong with their options.

    A section that is not a mapping is left to whoever builds the configuration.

    Parameters
    ----------
    source
        The run's configuration as read; it collects the problems with their places.
    kinds
        The sections to look at: `cameras`, `outputs`, `inputs`.
    """
    for kind in kinds:
        group, table = source.plain.get(kind), _TABLES[kind]
        for name, item in group.items() if isinstance(group, dict) else ():
            driver = item.get("driver") if isinstance(item, dict) else None
            if not isinstance(driver, str):
                continue
            if driver in table:
                wanted: Any = table[driver]
                read_section(wanted.Options, item.get("options"), (kind, name, "options"), source)
            else:
                source.report((kind, name, "driver"), _no_driver(kind[:-1], driver, table))


_TABLES = {"cameras": _CAMERAS, "outputs": _OUTPUTS, "inputs": _INPUTS}


def _no_driver(kind: str, driver: str, table: dict[str, type]) -> str:
    if driver in _BROKEN[kind]:
        return f"the {kind} driver '{driver}' cannot be loaded: {_BROKEN[kind][driver]}"
    return f"there is no {kind} driver '{driver}'{nearest(driver, table)}"


def _make(
    table: dict[str, type], kind: str, name: str, driver: str, options: dict[str, Any], context: DriverContext
) -> Any:
    if driver not in table:
        raise UserError(f"{kind}s.{name}: {_no_driver(kind, driver, table)}")
    cls: Any = table[driver]
    return cls(name, build(cls.Options, options, f"{kind}s.{name}.options"), context)
