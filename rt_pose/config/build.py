"""From what a user wrote to typed configuration: every key and type is checked, all problems in one error."""

from __future__ import annotations

import dataclasses
import functools
import logging
import math
import re
import types
import typing
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any, TypeVar

import msgspec

from rt_pose.config.files import read_config
from rt_pose.config.source import Path, Source, path_text
from rt_pose.errors import UserError, nearest

T = TypeVar("T")
log = logging.getLogger(__name__)

_DURATION = re.compile(r"\s*([0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*(us|ms|s|min)\s*")
LONGEST_NS = 3600e12
_NS = {"us": 1e3, "ms": 1e6, "s": 1e9, "min": 60e9}


def load(cls: type[T], path: str | FilePath) -> T:
    """Read a configuration from a YAML file.

    Parameters
    ----------
    cls
        Dataclass of the configuration.
    path
        The file, or the name of a configuration that comes with rt-pose.

    Returns
    -------
    T
        The configuration.

    Raises
    ------
    UserError
        With the place of every problem.
    """
    return build(cls, read_config(path))


def build(cls: type[T], given: Source | dict[str, Any], where: str = "configuration") -> T:
    """Build a configuration from what was written, every key and type checked.

    A section left empty has its defaults.

    Parameters
    ----------
    cls
        Dataclass of the configuration.
    given
        Plain values, with or without their places.
    where
        Stands for the place of a value where `given` does not have its places.

    Returns
    -------
    T
        The configuration.

    Raises
    ------
    UserError
        With the place of every problem.
    """
    source = given if isinstance(given, Source) else Source(given, where)
    built = read_section(cls, source.plain, (), source)
    source.check()
    return typing.cast(T, built)


def to_plain(config: Any) -> Any:
    """Convert a configuration to plain mappings and lists, for logs and YAML.

    Parameters
    ----------
    config
        A dataclass, or a list or mapping of dataclasses.

    Returns
    -------
    Any
        Mappings, lists, numbers and text.
    """
    return msgspec.to_builtins(config)


@functools.cache
def hints_of(kind: type) -> dict[str, Any]:
    """Get the types of a dataclass's fields.

    Parameters
    ----------
    kind
        The dataclass.

    Returns
    -------
    dict[str, Any]
        By the field's name, in order.
    """
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def retired_keys(kind: Any) -> dict[str, str]:
    """Get the keys that a section once had, which old files may still hold.

    Parameters
    ----------
    kind
        A dataclass.

    Returns
    -------
    dict[str, str]
        Why each is gone, from the class's `RETIRED`.
    """
    return getattr(kind, "RETIRED", {})


def without_none(hint: Any) -> Any:
    """Get the type T of `T | None`.

    Parameters
    ----------
    hint
        A type.

    Returns
    -------
    Any
        T; any other type as it is.
    """
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return hint
    rest = [arg for arg in typing.get_args(hint) if arg is not type(None)]
    return rest[0] if len(rest) == 1 else hint


def sections_in(hint: Any) -> Any:
    """Get the dataclass that a list or mapping holds.

    Parameters
    ----------
    hint
        A type.

    Returns
    -------
    Any
        The dataclass; None where the type holds none.
    """
    args = typing.get_args(hint)
    held = args[-1] if typing.get_origin(hint) in (list, dict) and args else None
    return held if dataclasses.is_dataclass(held) else None


def default_of(field: dataclasses.Field[Any]) -> Any:
    """Get the default of a field.

    Parameters
    ----------
    field
        A field of a dataclass.

    Returns
    -------
    Any
        The default; `dataclasses.MISSING` where a value must be given.
    """
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def read_section(kind: Any, data: Any, path: Path, source: Source) -> Any:
    """Read a mapping as a dataclass.

    Parameters
    ----------
    kind
        The dataclass.
    data
        The mapping; None is an empty one.
    path
        Where it stands in the configuration.
    source
        Gets the problems.

    Returns
    -------
    Any
        The dataclass; None where the mapping has problems.
    """
    if data is None:
        data = {}
    if not isinstance(data, dict):
        source.report(path, f"expected keys and values, got {_shown(data)}")
        return None
    known, hints, values = len(source.problems), hints_of(kind), {}
    for key in data:
        if key in retired_keys(kind):
            text = path_text((*path, key))
            log.warning("%s: %s is ignored: %s", source.place((*path, key)), text, retired_keys(kind)[key])
        elif key not in hints:
            place = source.place((*path, key))
            text = f"{place}: unknown key '{path_text((*path, key))}'{nearest(key, hints)}"
            source.problems.append((place, text))
    for field in dataclasses.fields(kind):
        hint, value = hints[field.name], data.get(field.name)
        is_group = typing.get_origin(hint) in (list, dict) or dataclasses.is_dataclass(hint)
        if field.name in data and not (value is None and is_group and field.default is dataclasses.MISSING):
            values[field.name] = _value(hint, value, (*path, field.name), source)
        elif default_of(field) is dataclasses.MISSING:
            name = f"--{path_text((*path, field.name))}" if source.by_options else f"'{field.name}'"
            source.report(path, f"{name} is missing")
    return kind(**values) if len(source.problems) == known else None


def _value(hint: Any, data: Any, path: Path, source: Source) -> Any:
    kind = without_none(hint)
    if kind is not hint and data is None:
        return None
    if dataclasses.is_dataclass(kind):
        return read_section(kind, data, path, source)
    held = sections_in(kind)
    if held is not None and isinstance(data, list) and typing.get_origin(kind) is list:
        return [read_section(held, item, (*path, i), source) for i, item in enumerate(data)]
    if held is not None and isinstance(data, dict) and typing.get_origin(kind) is dict:
        for key in data:
            if not isinstance(key, str):
                source.report((*path, key), "a name must be text: write it in quotes")
        return {key: read_section(held, item, (*path, key), source) for key, item in data.items()}
    return convert(hint, data, path, source)


def convert(hint: Any, data: Any, path: Path, source: Source) -> Any:
    """Convert a value that holds no section.

    Parameters
    ----------
    hint
        The wanted type.
    data
        The value.
    path
        Where it stands in the configuration.
    source
        Gets the problems.

    Returns
    -------
    Any
        The value as that type; None where it has problems, or is None.
    """
    choices = typing.get_args(hint) if typing.get_origin(hint) is typing.Literal else ()
    if isinstance(data, bool) and ("off", "on")[data] in choices:
        return ("off", "on")[data]  # as YAML reads these words
    if choices and isinstance(data, str) and data not in choices:
        words = ", ".join(map(str, choices))
        source.report(path, f"expected one of {words}, got {data!r}{nearest(data, choices)}")
        return None
    try:
        made = msgspec.convert(data, hint, strict=True)
        numbers = made if isinstance(made, list) else [made]
        if any(isinstance(number, float) and math.isnan(number) for number in numbers):
            source.report(path, "expected a number, got nan")  # it would pass most comparisons unseen
        return made
    except msgspec.ValidationError as error:
        message, _, inner = str(error).partition(" - at ")
        inside = [int(i) if i else k for i, k in re.findall(r"\[(\d+)\]|\.(\w+)", inner)]
        if re.search(r"Expected `str(?: \| null)?`, got `(?:int|float)`", message):
            message += "; a length of time has a unit, e.g. '30 ms'"
        source.report((*path, *inside), message[:1].lower() + message[1:])
        return None


def _shown(data: Any) -> str:
    return repr(data) if isinstance(data, str | int | float | None) else type(data).__name__


def duration_ns(text: str, where: str) -> int:
    """Read a length of time such as `20 ms`.

    Parameters
    ----------
    text
        A number with one of the units us, ms, s, min.
    where
        Begins the message of an error.

    Returns
    -------
    int
        ns.

    Raises
    ------
    UserError
        Where the text is no length of time, or is longer than 1000 hours.
    """
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise UserError(f"{where}: expected a length of time such as '20 ms' or '0.5 s', got {text!r}")
    ns = float(match[1]) * _NS[match[2]]
    if ns > LONGEST_NS:
        raise UserError(f"{where}: expected at most 1000 hours, got {text!r}")
    return round(ns)


def duration_problems(
    text: str, low_ns: float, high_ns: float, expected: str, path: Path
) -> Iterator[tuple[Path, str]]:
    """Find what is wrong with a length of time.

    Parameters
    ----------
    text
        What was written.
    low_ns, high_ns
        Shortest and longest that is allowed, ns.
    expected
        The same in words.
    path
        Where it stands in the configuration.

    Yields
    ------
    tuple[Path, str]
        Where, and what.
    """
    try:
        if not low_ns <= duration_ns(text, "") <= high_ns:
            yield path, f"expected {expected}, got {text!r}"
    except UserError as error:
        yield path, str(error).removeprefix(": ")
