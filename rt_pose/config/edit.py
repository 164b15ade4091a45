"""One value of a YAML file set in place, with everything else, comments too, left as it was written."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import yaml

from rt_pose.config.files import parse_value
from rt_pose.errors import UserError

INDENT = "  "
WIDEST = 100


def set_value(text: str, path: Sequence[str], value: Any, where: str) -> str:
    """Set a value in the text of a YAML file.

    Parameters
    ----------
    text
        The file's text.
    path
        Keys from the root to the value; those that are missing are added.
    value
        The value: numbers, text, lists and mappings.
    where
        Name of the file, for messages.

    Returns
    -------
    str
        The new text.

    Raises
    ------
    UserError
        Where the text is not YAML, or is written so that the value cannot be set without harm to the rest;
        with the lines to write by hand.
    """
    by_hand = f"{where}: write this by hand:\n{_block(path, value)}"
    try:
        before = parse_value(text) or {}
        root = yaml.compose(text, yaml.SafeLoader)
        wanted = _with(before, path, value)
        edited = _edited(text, root, path, value)
        done = parse_value(edited)
    except (AttributeError, ValueError, TypeError, yaml.YAMLError) as error:
        raise UserError(f"{by_hand}\n({error})") from error
    if done != wanted:
        raise UserError(by_hand)
    return edited


def remove_value(text: str, path: Sequence[str], where: str) -> str:
    """Remove a key with its value from the text of a YAML file.

    Parameters
    ----------
    text
        The file's text.
    path
        Keys from the root to the one that goes.
    where
        Name of the file, for messages.

    Returns
    -------
    str
        The new text; comments in lines of their own stay.

    Raises
    ------
    UserError
        Where there is no such key, or the text is written so that it cannot be removed without harm to the
        rest.
    """
    by_hand = f"{where}: remove `{'.'.join(path)}` by hand"
    try:
        before = parse_value(text) or {}
        wanted = copy.deepcopy(before)
        holder = wanted
        for key in path[:-1]:
            holder = holder[key]
        del holder[path[-1]]
        edited = _without(text, yaml.compose(text, yaml.SafeLoader), path)
        done = parse_value(edited)
    except (AttributeError, KeyError, ValueError, TypeError, yaml.YAMLError) as error:
        raise UserError(f"{by_hand} ({error})") from error
    if done != wanted:
        raise UserError(by_hand)
    return edited


def _without(text: str, root: yaml.Node | None, path: Sequence[str]) -> str:
    node = root
    for key in path[:-1]:
        node = None if node is None else _child(node, key)
    if not isinstance(node, yaml.MappingNode):
        raise ValueError(f"'{'.'.join(path[:-1])}' is no mapping")
    at = next((i for i, (key, _) in enumerate(node.value) if key.value == path[-1]), None)
    if at is None:
        raise KeyError(path[-1])
    key, item = node.value[at]
    if len(node.value) == 1:  # `zones:` with nothing below it would be no mapping any more
        begin = node.start_mark.index
        return f"{text[:begin]}{{}}{text[_end(node) :]}"
    if node.flow_style:
        if at + 1 < len(node.value):
            return text[: key.start_mark.index] + text[node.value[at + 1][0].start_mark.index :]
        return text[: _end(node.value[at - 1][1])] + text[_end(item) :]
    begin = text.rfind("\n", 0, key.start_mark.index) + 1
    end = text.find("\n", _end(item))
    return text[:begin] + ("" if end < 0 else text[end + 1 :])


def _with(plain: Any, path: Sequence[str], value: Any) -> Any:
    """The plain values with one of them set."""
    changed = node = copy.deepcopy(plain)
    for key in path[:-1]:
        if node.get(key) is None:
            node[key] = {}
        node = node[key]
    node[path[-1]] = value
    return changed


def _edited(text: str, root: yaml.Node | None, path: Sequence[str], value: Any) -> str:
    if root is None:
        return f"{_ended(text)}{_block(path, value)}"
    node, depth = root, 0
    for key in path:
        found = _child(node, key)
        if found is None or _is_empty(found):
            break
        node, depth = found, depth + 1
    if depth == len(path):
        return text[: node.start_mark.index] + _flow(value) + text[_end(node) :]
    if not isinstance(node, yaml.MappingNode):
        raise ValueError(f"'{'.'.join(path[:depth])}' is no mapping")
    empty = _key(node, path[depth])
    if empty is not None:  # `geometry:` with nothing behind it
        rest = _nested(path[depth + 1 :], value)
        return f"{text[: empty[0]]}{path[depth]}: {_flow(rest)}{text[empty[1] :]}"
    if node.flow_style:
        rest = _flow({path[depth]: _nested(path[depth + 1 :], value)})[1:-1]
        at = node.end_mark.index - 1
        comma = ", " if node.value else ""
        return f"{text[:at].rstrip()}{comma}{rest}{text[at:]}"
    line_end = text.find("\n", _end(node))
    at = len(text) if line_end < 0 else line_end + 1
    block = _block(path[depth:], value, " " * node.start_mark.column)
    return f"{_ended(text[:at])}{block}{text[at:]}"


def _child(node: yaml.Node, key: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((item for name, item in node.value if name.value == key), None)


def _key(node: yaml.MappingNode, key: str) -> tuple[int, int] | None:
    """Where a key without a value stands, up to its colon or its null."""
    for name, item in node.value:
        if name.value == key:
            return name.start_mark.index, max(item.end_mark.index, name.end_mark.index + 1)
    return None


def _is_empty(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def _end(node: yaml.Node) -> int:
    """Where what is written of a node ends: a block's own mark lies behind the comments that follow it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _nested(path: Sequence[str], value: Any) -> Any:
    for key in reversed(path):
        value = {key: value}
    return value


def _block(path: Sequence[str], value: Any, before: str = "") -> str:
    """The keys a line each, the value behind the last of them, or below where it is long."""
    lines = [f"{before}{INDENT * i}{key}:" for i, key in enumerate(path)]
    behind = f" {_flow(value)}"
    if isinstance(value, dict) and len(lines[-1] + behind) > WIDEST:
        inner = before + INDENT * len(path)
        behind = "".join(f"\n{inner}{key}: {_flow(one)}" for key, one in value.items())
    return "\n".join(lines) + f"{behind}\n"


def _flow(value: Any) -> str:
    return (
        yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10**6)
        .strip()
        .removesuffix("\n...")
    )


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else text + "\n"
