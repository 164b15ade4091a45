"""From what a user wrote to typed configuration: an unknown key names the nearest, a wrong type its place."""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from rt_pose.config.files import find_config
from rt_pose.errors import UserError, nearest

T = TypeVar("T")

_DURATION = re.compile(r"\s*([0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*(us|ms|s|min)\s*")
LONGEST_NS = 3600e12
_NS = {"us": 1e3, "ms": 1e6, "s": 1e9, "min": 60e9}


def load_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file, one that comes with rt-pose among them; UserError where it is missing or
    not one."""
    path = find_config(path)
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"configuration {path}: not YAML: {error}") from error
    if not isinstance(data, dict):
        raise UserError(f"configuration {path}: expected keys and values, got {type(data).__name__}")
    return data


def load(cls: type[T], path: Path) -> T:
    """The configuration of type `cls` in a YAML file."""
    return build(cls, load_yaml(path), str(path))


def build(cls: type[T], data: dict[str, Any], where: str) -> T:
    """`data` as the dataclass `cls`, every key and type checked; UserError names the place.

    A section left empty is its defaults.
    """
    _refuse_unknown_keys(cls, data, where, "")
    try:
        return msgspec.convert(filled(cls, data), cls, strict=True)
    except msgspec.ValidationError as error:
        message = f"{where}: {error}".replace("`$.", "`").replace(" - at `$`", "")
        if re.search(r"Expected `str(?: \| null)?`, got `(?:int|float)`", message):
            message += "; a length of time has a unit, e.g. '30 ms'"
        raise UserError(message) from error


def filled(kind: Any, data: Any) -> Any:
    """`data` of the type `kind` with the defaults written into each section that is empty (`{}` or null).

    Sections that may be absent stay absent, and those that need a value stay empty.
    """
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin is list and isinstance(data, list) and args:
        return [filled(args[0], item) for item in data]
    if origin is dict and isinstance(data, dict) and len(args) == 2:
        return {key: filled(args[1], item) for key, item in data.items()}
    if not dataclasses.is_dataclass(kind):
        return data
    if not data and data in (None, {}):
        needed = any(f.default is f.default_factory is dataclasses.MISSING for f in dataclasses.fields(kind))
        return {} if needed else to_plain(typing.cast(type, kind)())
    if not isinstance(data, dict):
        return data
    hints = typing.get_type_hints(kind)
    return {key: filled(hints[key], item) if key in hints else item for key, item in data.items()}


def to_plain(config: Any) -> Any:
    """The configuration as plain mappings and lists, for logs and YAML."""
    return msgspec.to_builtins(config)


def _refuse_unknown_keys(kind: Any, data: Any, where: str, path: str) -> None:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        for arg in args:
            if dataclasses.is_dataclass(arg) and isinstance(data, dict):
                _refuse_unknown_keys(arg, data, where, path)
    elif origin is list and isinstance(data, list) and args:
        for i, item in enumerate(data):
            _refuse_unknown_keys(args[0], item, where, f"{path}[{i}]")
    elif origin is dict and isinstance(data, dict) and len(args) == 2:
        for key, item in data.items():
            _refuse_unknown_keys(args[1], item, where, f"{path}.{key}".lstrip("."))
    elif dataclasses.is_dataclass(kind) and isinstance(data, dict):
        hints = typing.get_type_hints(kind)
        for key, item in data.items():
            place = f"{path}.{key}".lstrip(".")
            if key not in hints:
                raise UserError(f"{where}: unknown key '{place}'{nearest(key, hints)}")
            _refuse_unknown_keys(hints[key], item, where, place)


def duration_ns(text: str, where: str) -> int:
    """Nanoseconds of a length of time such as `20 ms`; UserError where it is none."""
    match = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise UserError(f"{where}: expected a length of time such as '20 ms' or '0.5 s', got {text!r}")
    ns = float(match[1]) * _NS[match[2]]
    if ns > LONGEST_NS:
        raise UserError(f"{where}: expected at most 1000 hours, got {text!r}")
    return round(ns)
