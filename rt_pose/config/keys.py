"""Every key of a configuration with its type, default and meaning, as `--help` shows it.

The meanings are the texts below the fields of the dataclasses, read from their source.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import sys
import textwrap
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rt_pose.config.build import default_of, hints_of, sections_in, to_plain, without_none

NAME = "NAME"
"""Stands in keys for a name that the user chooses."""


@dataclass
class Key:
    """One key, e.g. `cameras.NAME.driver`."""

    name: str
    type: str
    """In a user's words; empty for a section."""
    default: str
    text: str


def keys_of(kind: type, before: str = "") -> Iterator[Key]:
    """List the keys of a configuration in their order, those of its sections included.

    Parameters
    ----------
    kind
        Dataclass of the configuration.
    before
        Begins each key's name.

    Yields
    ------
    Key
        Sections come before their keys.
    """
    texts = _texts(kind)
    for field in dataclasses.fields(kind):
        hint, name = hints_of(kind)[field.name], before + field.name
        default, section = default_of(field), without_none(hint)
        held = sections_in(section)
        if held is not None:
            section, name = held, f"{name}.{NAME}"
        if dataclasses.is_dataclass(section):
            yield Key(name, "", "", texts.get(field.name, ""))
            yield from keys_of(typing.cast(type, section), f"{name}.")
        else:
            yield Key(name, type_text(hint), _default_text(default), texts.get(field.name, ""))


def help_text(kind: type, width: int) -> str:
    """Format all keys of a configuration for a terminal.

    Parameters
    ----------
    kind
        Dataclass of the configuration.
    width
        Columns of the terminal.

    Returns
    -------
    str
        An option a key, with type, default and meaning.
    """
    lines = []
    for key in keys_of(kind):
        if not key.type:
            lines += ["", f"  {key.name}"]
        else:
            lines.append(f"  --{key.name} {key.type}{f' ({key.default})' if key.default else ''}")
        lines += textwrap.wrap(key.text, width, initial_indent=" " * 8, subsequent_indent=" " * 8)
    return "\n".join(lines)


def type_text(hint: Any) -> str:
    """Write a type in a user's words: `cpu|gpu`, `float or null`, `list of str`.

    Parameters
    ----------
    hint
        The type.

    Returns
    -------
    str
        Those words.
    """
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return "|".join(map(str, args))
    if origin is list:
        return f"list of {type_text(args[0])}"
    if origin is dict:
        return "mapping"
    if args:
        return " or ".join(type_text(arg) for arg in args)
    return "null" if hint is type(None) else getattr(hint, "__name__", "any")


def _default_text(default: Any) -> str:
    if default is dataclasses.MISSING:
        return "required"
    if default is None or default in ("", [], {}):
        return ""
    plain = to_plain(default)
    return f"default {str(plain).lower() if isinstance(plain, bool) else plain}"


def _texts(kind: type) -> dict[str, str]:
    """The text below each field of a dataclass, its bases' included."""
    texts: dict[str, str] = {}
    for cls in reversed(kind.__mro__):
        texts |= _texts_of_module(cls.__module__).get(cls.__name__, {})
    return texts


@functools.cache
def _texts_of_module(module: str) -> dict[str, dict[str, str]]:
    if module == "builtins":
        return {}
    found: dict[str, dict[str, str]] = {}
    for node in ast.parse(inspect.getsource(sys.modules[module])).body:
        if isinstance(node, ast.ClassDef):
            found[node.name] = {
                field.target.id: " ".join(text.value.value.split())
                for field, text in zip(node.body, node.body[1:], strict=False)
                if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
                if isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
                if isinstance(text.value.value, str)
            }
    return found
