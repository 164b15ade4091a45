"""Reading configuration files: YAML whose every value keeps its line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from rt_pose.config.shipped import find_shipped, shipped_configs
from rt_pose.config.source import Path as KeyPath
from rt_pose.config.source import Place, Source, path_text
from rt_pose.errors import UserError, nearest

MERGE = "tag:yaml.org,2002:merge"
PLAIN = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
MAX_BYTES, MAX_DEPTH, MAX_VALUES = 1 << 20, 40, 100_000
"""What no configuration comes near; beyond it a file is something else, or meant to stop the program."""
MAX_NAME, MAX_DIGITS = 4096, 18
"""Characters of a key, which in other programs' files may be a path; digits of a whole number."""
SURROGATE = re.compile("[\ud800-\udfff]")
"""Text that holds one can be neither shown nor sent nor written."""


def find_config(name: str | Path) -> Path:
    """Find the file of a configuration: as given, else among those that come with rt-pose.

    Parameters
    ----------
    name
        A path, or a name such as `video.yaml`.

    Returns
    -------
    Path
        An existing file.

    Raises
    ------
    UserError
        Where there is none, or it is a folder.
    """
    path = Path(name)
    if path.is_file():
        return path
    if path.is_dir():
        raise UserError(f"{name} is a folder, not a configuration file")
    found = find_shipped(str(name))
    if found is None:
        hint = nearest(str(name).removeprefix("configs/"), [config.name for config in shipped_configs()])
        raise UserError(f"configuration {name}: no such file, and none that comes with rt-pose{hint}")
    return found


def read_config(name: str | Path) -> Source:
    """Read the keys and values of a YAML file.

    Parameters
    ----------
    name
        A path, or the name of a configuration that comes with rt-pose.

    Returns
    -------
    Source
        The values with their lines; keys that are written twice are among its problems.

    Raises
    ------
    UserError
        Where the file cannot be found or read.
    """
    path = find_config(name)
    source = Source({}, str(path))
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"{path.stat().st_size:,} bytes are too long for a configuration")
        plain = _read(path.read_text(encoding="utf-8"), source)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"{path}{line}: not YAML: {error.problem or error.context}") from error
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{path}: not YAML: {error}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    if not isinstance(plain, dict):
        raise UserError(f"configuration {path}: expected keys and values, got {type(plain).__name__}")
    source.plain = plain
    return source


def parse_value(text: str) -> Any:
    """Parse a value as YAML does.

    Parameters
    ----------
    text
        The value.

    Returns
    -------
    Any
        A number, text, list or mapping.

    Raises
    ------
    ValueError
        Where the text is not YAML, or has a key twice.
    """
    source = Source({}, "value")
    try:
        value = _read(text, source)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
    if source.problems:
        raise ValueError(source.problems[0][1])
    return value


def _read(text: str, source: Source) -> Any:
    """The plain value of a text; its source gets the places of values, and keys that are written twice."""
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        return _Reader(loader, source).value(root, ()) if root is not None else None
    except RecursionError:
        raise ValueError(f"nested more than {MAX_DEPTH} deep") from None
    except OverflowError:  # of `chr`
        raise ValueError("an escaped character whose number no character has, such as \\UFFFFFFFF") from None


class _Loader(yaml.SafeLoader):
    """Safe YAML that also takes `1e-3`, without a dot, as a number, and merges within bounds."""

    _merged = 0

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merge what `<<` names: without bounds, merges of merges grow by a power with each line."""
        merged = [value for key, value in node.value if key.tag == MERGE]
        parts = [p for v in merged for p in (v.value if isinstance(v, yaml.SequenceNode) else [v])]
        mappings = [part for part in parts if isinstance(part, yaml.MappingNode)]
        for mapping in mappings:
            self._count(mapping)
            self.flatten_mapping(mapping)
            self._count(mapping)
        super().flatten_mapping(node)
        if mappings:  # each key once: the last one counts
            node.value = list({_identity(key): (key, value) for key, value in node.value}.values())

    def _count(self, mapping: yaml.MappingNode) -> None:
        self._merged += len(mapping.value)
        if self._merged > MAX_VALUES:
            raise _wrong(f"more than {MAX_VALUES:,} values, merged ones included", mapping)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


class _Reader:
    """Turns nodes of YAML into plain values and notes their lines."""

    def __init__(self, loader: _Loader, source: Source) -> None:
        self._loader, self.source = loader, source
        self._open: set[int] = set()
        self._count = 0

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        self._count += 1
        if self._count > MAX_VALUES:
            raise _wrong(f"more than {MAX_VALUES:,} values, repeated ones included", node)
        if len(path) > MAX_DEPTH:
            raise _wrong(f"nested more than {MAX_DEPTH} deep", node)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if node.tag not in PLAIN:
            raise _wrong(f"{_at(path)}the tag {node.tag} is not allowed", node)
        if id(node) in self._open:
            raise _wrong(f"{path_text(path)} contains itself", node)
        self._open.add(id(node))
        made = self._mapping(node, path) if isinstance(node, yaml.MappingNode) else self._list(node, path)
        self._open.remove(id(node))
        return made

    def _scalar(self, node: yaml.ScalarNode, path: KeyPath) -> Any:
        try:
            value = self._loader.construct_object(node)
        except ValueError as error:  # a date that there is not, a number of thousands of digits
            raise _wrong(f"{_at(path)}{error}", node) from error
        except (LookupError, AttributeError, TypeError) as error:  # `!!bool perhaps`, `!!int ''`
            kind = node.tag.rpartition(":")[2]
            raise _wrong(f"{_at(path)}{node.value[:60]!r} cannot be read as `{kind}`", node) from error
        if isinstance(value, str) and SURROGATE.search(value):
            raise _wrong(f"{_at(path)}text with half of a character, such as \\ud800", node)
        if type(value) is int and abs(value) >= 10**MAX_DIGITS:
            raise _wrong(f"{_at(path)}a whole number of more than {MAX_DIGITS} digits", node)
        return value

    def _list(self, node: yaml.Node, path: KeyPath) -> list[Any]:
        items = []
        for i, item in enumerate(node.value):
            self.source.places[*path, i] = self._place(item)
            items.append(self.value(item, (*path, i)))
        return items

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[Any, Any]:
        self._refuse_twice(node, path)
        self._loader.flatten_mapping(node)
        values = {}
        for key_node, item in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _wrong(f"{_at(path)}a key is a name, not a list or a group", key_node)
            if len(key_node.value) > MAX_NAME:
                raise _wrong(f"{_at(path)}a key of {len(key_node.value):,} characters", key_node)
            key = self._scalar(key_node, path)
            self.source.places[*path, key] = self._place(key_node)
            values[key] = self.value(item, (*path, key))
        return values

    def _refuse_twice(self, node: yaml.MappingNode, path: KeyPath) -> None:
        first: dict[str, Place] = {}
        for key_node, _ in node.value:
            if key_node.tag == MERGE or not isinstance(key_node, yaml.ScalarNode):
                continue
            place = self._place(key_node)
            if key_node.value in first:
                name = path_text((*path, key_node.value))
                before = first[key_node.value]
                self.source.problems.append(
                    (place, f"{place}: '{name}' is written twice, first in line {before.line}")
                )
            first.setdefault(key_node.value, place)

    def _place(self, node: yaml.Node) -> Place:
        return Place(self.source.where, node.start_mark.line + 1)


def _identity(key: yaml.Node) -> tuple[str, str | int]:
    """What makes two keys of a mapping the same."""
    return key.tag, key.value if isinstance(key, yaml.ScalarNode) else id(key)


def _at(path: KeyPath) -> str:
    return f"{path_text(path)}: " if path else ""


def _wrong(message: str, node: yaml.Node) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(None, None, message, node.start_mark)
