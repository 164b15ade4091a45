"""Options that set keys of a configuration: `--engine.threads 2`, `--cameras.top.crop.margin_px=8`.

A key is a path through the configuration, words joined by dots; fields may be written with `-` in place of
`_`. Items of a list are named by their `name` (rules) or `block` (protocol), or by their number. Text is
taken as it is; everything else is written as in YAML. A list is `'[a, b]'`, or its items one after another.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Sequence
from typing import Any

from rt_pose.config.build import default_of, hints_of, retired_keys, to_plain, without_none
from rt_pose.config.files import SURROGATE, parse_value
from rt_pose.config.source import Path, Place, Source
from rt_pose.errors import nearest

NAMED_BY = ("name", "block")
"""Keys by which items of a list are known."""
SYNONYMS = {"warm_start": "init_from"}
"""Options that have a second name: the field's own term for a key whose name is older."""


def set_option(source: Source, kind: type, name: str, words: Sequence[str]) -> None:
    """Set a key of a configuration.

    Parameters
    ----------
    source
        What a user wrote; gets the value, its place, and the problem where there is one.
    kind
        Dataclass of the configuration.
    name
        The key, e.g. `engine.threads`.
    words
        What follows the option.
    """
    place = Place(f"--{name}")
    try:
        node, path, hint = _walk(source.plain, kind, name.split("."))
        if any(map(SURROGATE.search, words)):  # so Python holds bytes of a command line that are no text
            raise ValueError("expected text in UTF-8")
        value = _parse(hint, words)
    except ValueError as error:
        source.problems.append((place, f"{place}: {error}"))
        return
    node[path[-1]] = value
    for known in [p for p in source.places if p[: len(path)] == path]:
        del source.places[known]
    source.places[path] = place


def is_key(kind: type, name: str) -> bool:
    """Tell whether an option names a key of a configuration.

    Parameters
    ----------
    kind
        Dataclass of the configuration.
    name
        The option; only its first word is compared.

    Returns
    -------
    bool
        Whether it is one.
    """
    return field_name(name.partition(".")[0]) in hints_of(kind)


def field_name(word: str) -> str:
    """Get the name of a field or option with its words joined by `_`.

    Parameters
    ----------
    word
        The name, with `-` or `_`.

    Returns
    -------
    str
        E.g. `budget_ms` for `budget-ms`, `init_from` for its synonym `warm-start`.
    """
    name = word.replace("-", "_")
    return SYNONYMS.get(name, name)


def _walk(plain: Any, kind: Any, words: list[str]) -> tuple[Any, Path, Any]:
    """What holds the value that `words` name, the value's path, and its type; makes the sections between."""
    node, hint = plain, kind
    path: Path = ()
    for depth, word in enumerate(words):
        key, inner, default = _step(node, hint, word, words[:depth])
        path = (*path, key)
        if depth == len(words) - 1:
            return node, path, inner
        if isinstance(node, dict) and node.get(key) is None:
            node[key] = default
        node, hint = node[key], without_none(inner)
        if not isinstance(node, dict | list):
            raise ValueError(f"{'.'.join(words[: depth + 1])} is a single value, {node!r}")
    raise AssertionError("a name has at least one word")


def _step(node: Any, hint: Any, word: str, before: list[str]) -> tuple[str | int, Any, Any]:
    """The key that a word means, the type of its value, and what that is where nothing is written."""
    if dataclasses.is_dataclass(hint):
        hints = hints_of(typing.cast(type, hint))
        key = field_name(word)
        if key in retired_keys(hint):
            return key, bool, {}
        if key not in hints:
            raise ValueError(f"no such option{nearest_option(key, ['.'.join([*before, h]) for h in hints])}")
        field = next(f for f in dataclasses.fields(hint) if f.name == key)
        default = default_of(field)
        given = default is not dataclasses.MISSING and default is not None
        return key, hints[key], to_plain(default) if given else {}
    inner = typing.get_args(hint)[-1] if typing.get_args(hint) else Any
    if isinstance(node, list):
        names = {str(i): i for i in range(len(node))}
        for i, item in enumerate(node):
            names |= {str(item[k]): i for k in NAMED_BY if isinstance(item, dict) and k in item}
        if word not in names:
            raise ValueError(f"there is no '{word}' in {'.'.join(before)}{nearest(word, names)}")
        return names[word], inner, {}
    if hint is not Any and typing.get_origin(hint) is not dict:
        raise ValueError(f"{'.'.join(before)} is a single value")
    return word, inner, {}


def nearest_option(name: str, options: Sequence[str]) -> str:
    """Suggest an option whose last word is near that of a mistyped one.

    Parameters
    ----------
    name
        The mistyped option.
    options
        The existing ones.

    Returns
    -------
    str
        A hint such as `, did you mean --steps?`; empty where none is near.
    """
    last = name.rpartition(".")[2]
    hint = nearest(last, [o.rpartition(".")[2] for o in options])
    if "did you mean" not in hint:
        return ""
    found = hint.split("'")[1]
    return f", did you mean --{next(o for o in options if o.rpartition('.')[2] == found)}?"


def _parse(hint: Any, words: Sequence[str]) -> Any:
    kind = without_none(hint)
    if kind == str | list[str]:
        several = len(words) > 1 or (bool(words) and words[0].lstrip().startswith("["))
        kind = list[str] if several else str
    if typing.get_origin(kind) is list:
        return _parse_list(typing.get_args(kind)[0], words)
    if not words and kind is bool:
        return True
    if len(words) != 1:
        raise ValueError(f"expected one value, got {' '.join(words) or 'none'}")
    if _is_text(kind):
        return None if words[0] == "null" and kind is not hint else words[0]
    return parse_value(words[0])


def _parse_list(item: Any, words: Sequence[str]) -> Any:
    if len(words) == 1 and words[0].lstrip().startswith("["):
        return parse_value(words[0])
    if _is_text(item):
        return list(words)
    return parse_value(f"[{','.join(words)}]")


def _is_text(kind: Any) -> bool:
    choices = typing.get_args(kind) if typing.get_origin(kind) is typing.Literal else ()
    return kind is str or (bool(choices) and all(isinstance(c, str) for c in choices))
