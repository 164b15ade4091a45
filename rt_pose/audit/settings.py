"""`--set KEY=VALUE`: a session's own setup with some of its parameters changed.

Keys are those of the resolved configuration, rules by their names (`rules.reach.withhold=0.3`). There are
also the filter's parameters, `tracking.KEY` or for one keypoint `tracking.KEY.KEYPOINT`, and the delay of an
output, `delays_ms.OUTPUT`. The filter's are set for every camera, also for one with a model of its own.
Values are written as in YAML.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import msgspec

from rt_pose.audit.recompute import ReplaySetup
from rt_pose.config.build import build, convert, to_plain
from rt_pose.config.check import check_run
from rt_pose.config.files import parse_value
from rt_pose.config.schema import RunConfig
from rt_pose.config.source import Source
from rt_pose.errors import UserError, nearest
from rt_pose.package import TrackingSpec
from rt_pose.package.manifest_check import tracking_faults
MADE_INPUTS = (
    *("cameras", "model", "engine", "publish", "record", "frames"),
    *("seconds", "start_on", "armed_at_start", "metadata"),
)
"""Keys of the configuration that only made the inputs, which the log holds as they came."""

T = TypeVar("T")


@dataclass
class Change:
    """One parameter and its two values."""

    key: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.key}: {self.before!r} -> {self.after!r}"


class _PerKeypoint(dict[str, float]):
    """One number a keypoint, by name; a single number stands for all of them."""


def apply_settings(setup: ReplaySetup, settings: Sequence[str]) -> tuple[ReplaySetup, list[Change]]:
    """Change parameters of a setup.

    Parameters
    ----------
    setup
        The session's own; it does not change.
    settings
        KEY=VALUE each, carried out in order.

    Returns
    -------
    tuple[ReplaySetup, list[Change]]
        The changed setup, and what has changed.

    Raises
    ------
    UserError
        Where a setting is not KEY=VALUE, its key is unknown (the nearest valid name is suggested), its value
        has the wrong type, or the result could not be run.
    """
    config, keypoints = to_plain(setup.config), setup.keypoints
    tree = {
        **{key: copy.deepcopy(value) for key, value in config.items() if key not in MADE_INPUTS},
        "tracking": _resolve_keypoints(msgspec.to_builtins(setup.tracking), keypoints),
        "delays_ms": dict(setup.delays_ms),
    }
    own = {
        camera: {"tracking": _resolve_keypoints(msgspec.to_builtins(spec), keypoints)}
        for camera, spec in setup.own_tracking.items()
    }
    changes = []
    for setting in settings:
        changes.append(_set(tree, setting))
        if changes[-1].key.partition(".")[0] == "tracking":
            changes += [_of_camera(camera, _set(its, setting)) for camera, its in own.items()]
    delays_ms = _convert(tree.pop("delays_ms"), dict[str, float], "delays_ms")
    _refuse_negative("delays_ms", delays_ms)
    tracking = _tracking(tree.pop("tracking"), keypoints)
    own_tracking = {camera: _tracking(its["tracking"], keypoints) for camera, its in own.items()}
    changed = build(RunConfig, {**config, **tree}, "--set")
    check_run(changed)
    _refuse_other_views(setup.config, changed)
    made = dataclasses.replace(
        setup,
        config=changed,
        tracking=tracking,
        own_tracking=own_tracking,
        delays_ms=delays_ms,
    )
    return made, changes


def _refuse_other_views(before: RunConfig, after: RunConfig) -> None:
    """UserError where more is changed of a group of views than its filter: the rest made its cameras."""
    for name, group in before.views.items():
        other = after.views.get(name)
        if other is None or dataclasses.replace(other, late=group.late, tracking=group.tracking) != group:
            raise UserError(f"--set views.{name}: only `late` and `tracking` can be changed")


def _of_camera(camera: str, change: Change) -> Change:
    """A change of the filter of a camera that has a model of its own."""
    return dataclasses.replace(change, key=f"{change.key} (camera {camera})")


def _tracking(tree: dict[str, Any], keypoints: list[str]) -> TrackingSpec:
    """Parameters of a filter; UserError where it could not run with them."""
    tracking = _convert(_per_keypoint(tree), TrackingSpec, "tracking")
    plain = msgspec.to_builtins(tracking)
    _refuse_negative("tracking", plain)
    for fault in tracking_faults(plain, len(keypoints)):  # compiled code reads past short lists
        raise UserError(f"--set {fault}")
    return tracking


def _set(tree: dict[str, Any], setting: str) -> Change:
    key, equals, text = setting.partition("=")
    words = key.strip().split(".")
    if not equals or not all(words):
        raise UserError(f"--set {setting}: expected KEY=VALUE, e.g. --set rules.reach.withhold=0.3")
    if words[0] in MADE_INPUTS:
        raise UserError(
            f"--set {setting}: '{words[0]}' only made the inputs, which the log holds as they came; what "
            f"replay can change: {', '.join(tree)}"
        )
    node: Any = tree
    for depth, word in enumerate(words[:-1]):
        node = node[_place(node, word, words[:depth])]
    place = _place(node, words[-1], words[:-1])
    before, after = copy.deepcopy(node[place]), _value(text)
    if isinstance(before, _PerKeypoint):
        after = _PerKeypoint(after if isinstance(after, dict) else dict.fromkeys(before, after))
    elif (inner := _names(before)) is not None:
        example = next(iter(inner), "NAME")
        raise UserError(
            f"--set {setting}: {'.'.join(words)} is a group; expected e.g. {'.'.join(words)}.{example}="
        )
    node[place] = after
    return Change(".".join(words), before, after)


def _place(node: Any, word: str, path: list[str]) -> str | int:
    """Key or index of `word` in a node; UserError with the nearest valid name."""
    where, valid = ".".join(path), _names(node)
    if isinstance(node, list) and valid is None:
        valid = {str(i): i for i in range(len(node))}
    if valid is None:
        raise UserError(f"--set {where}.{word}: {where} is a single value, {node!r}: set it as {where}=")
    if word not in valid:
        place = f"in {where}" if where else "to set"
        raise UserError(
            f"--set {'.'.join([*path, word])}: there is no '{word}' {place}{nearest(word, valid)}"
        )
    return valid[word]


def _names(node: Any) -> dict[str, str | int] | None:
    """Names of what a node holds, each with its key or index; None where it holds nothing that has a name."""
    if isinstance(node, dict):
        return {str(key): key for key in node}
    if isinstance(node, list) and node and all(isinstance(item, dict) and "name" in item for item in node):
        return {str(item["name"]): i for i, item in enumerate(node)}
    return None


def _value(text: str) -> Any:
    try:
        return parse_value(text)
    except ValueError:
        return text.strip()  # a condition may hold what YAML has a use of its own for


def _resolve_keypoints(tracking: dict[str, Any], keypoints: list[str]) -> dict[str, Any]:
    """Lists of one number a keypoint by the keypoints' names."""
    return {
        key: _PerKeypoint(zip(keypoints, value, strict=True))
        if isinstance(value, list)
        and len(value) == len(keypoints)
        and all(isinstance(v, float) for v in value)
        else value
        for key, value in tracking.items()
    }


def _per_keypoint(tracking: dict[str, Any]) -> dict[str, Any]:
    return {k: list(v.values()) if isinstance(v, _PerKeypoint) else v for k, v in tracking.items()}


def _convert(plain: Any, kind: type[T], where: str) -> T:
    source = Source({}, f"--set {where}")
    value = convert(kind, plain, (), source)
    source.check()
    return cast(T, value)


def _refuse_negative(group: str, values: dict[str, Any]) -> None:
    for key, value in values.items():
        numbers = value if isinstance(value, list) else [value]
        if any(isinstance(n, float | int) and not 0 <= n < math.inf for n in numbers):
            raise UserError(f"--set {group}.{key}: expected 0 or more, got {value}")
