"""What the numbers and names of a model package's manifest must be, checked before anything uses them.

Compiled code reads these lists by the keypoint's number, and a filter that is given NaN or a negative
variance goes on without a word, so nothing is taken on trust.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

PER_KEYPOINT = {"q_px2_s3": 0.0, "tau_s": 0.0, "gain": None, "floor_px2": None}
"""Lists of the tracking with one number a keypoint; those with 0.0 must be above it, the others not below."""
LENGTH_TOLERANCE = 0.01
"""Of the rows of a pose space, which are written with few digits."""
MOST_OFFSET = 1e4
"""Heatmap px that an offset's unit may be at most."""
MOST_INDIVIDUALS = 16
"""Animals of one frame."""
NOT_IN_NAMES = ",\n\r\t\0"
"""Separators of the tables that are made with the names."""


def manifest_faults(plain: Mapping[str, Any]) -> Iterator[str]:
    """Find what is not valid in a manifest whose types are right.

    Parameters
    ----------
    plain
        The manifest as plain values.

    Yields
    ------
    str
        What is wrong: which key, what was expected, what it holds.
    """
    yield from _numbers("", {key: plain[key] for key in ("input", "decode", "tracking") if key in plain})
    keypoints = list(plain["keypoints"])
    yield from _names(keypoints)
    for pair in plain["skeleton"]:
        for name in pair:
            if name not in keypoints:
                yield f"skeleton: expected names of keypoints, got {name!r}"
    yield from _input(plain["input"])
    yield from _decode(plain["decode"])
    yield from _individuals(plain.get("individuals", 1), plain["decode"])
    yield from _tracking(plain["tracking"], len(keypoints))
    if plain.get("drift") is not None:
        yield from drift_faults(plain["drift"], len(keypoints))


def _numbers(where: str, value: Any) -> Iterator[str]:
    """Numbers that are not finite, at any depth."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _numbers(f"{where}.{key}" if where else key, inner)
    elif isinstance(value, list | tuple):
        bad = next((message for inner in value for message in _numbers(where, inner)), None)
        if bad is not None:
            yield bad
    elif isinstance(value, float) and not math.isfinite(value):
        yield f"{where}: expected finite numbers, got {value}"


def _names(names: Sequence[str]) -> Iterator[str]:
    if not names:
        yield "keypoints: expected at least one name, got none"
    for i, name in enumerate(names):
        if not name.strip():
            yield f"keypoints: expected a name, got {name!r} for keypoint {i}"
        elif any(character in name for character in NOT_IN_NAMES):
            yield f"keypoints: expected names without commas, tabs and line breaks, got {name!r}"
        elif name in names[:i]:
            yield f"keypoints: expected every name once, got {name!r} twice"


def _input(entry: Mapping[str, Any]) -> Iterator[str]:
    for key in ("width", "height"):
        if entry[key] < 1:
            yield f"input.{key}: expected 1 or more, got {entry[key]}"
    for key in ("mean", "std"):
        if len(entry[key]) != entry["channels"]:
            yield f"input.{key}: expected one number a channel ({entry['channels']}), got {entry[key]}"
    if any(value <= 0 for value in entry["std"]):
        yield f"input.std: expected numbers above 0, got {entry['std']}"
    if entry.get("frame") is not None and min(entry["frame"]) < 1:
        yield f"input.frame: expected a width and height of 1 or more, got {entry['frame']}"
    context = entry.get("context")
    if context is not None and min(context[key] for key in ("frames", "channels", "height", "width")) < 1:
        yield f"input.context: expected numbers of 1 or more, got {context}"


def _decode(entry: Mapping[str, Any]) -> Iterator[str]:
    if entry["stride"] < 1:
        yield f"decode.stride: expected 1 or more, got {entry['stride']}"
    if entry.get("window_radius", 0) < 0:
        yield f"decode.window_radius: expected 0 or more, got {entry['window_radius']}"
    if entry.get("locref_std", 1.0) <= 0:
        yield f"decode.locref_std: expected a number above 0, got {entry['locref_std']}"
    if not 0 < entry.get("offset_scale", 1.0) <= MOST_OFFSET:
        yield f"decode.offset_scale: expected above 0, up to {MOST_OFFSET:g}, got {entry['offset_scale']}"


def _individuals(individuals: int, decode: Mapping[str, Any]) -> Iterator[str]:
    if not 1 <= individuals <= MOST_INDIVIDUALS:
        yield f"individuals: expected 1 to {MOST_INDIVIDUALS}, got {individuals}"
    several = decode.get("decoder") == "centre_offsets"
    if several != (individuals > 1):
        yield (
            f"individuals: expected {'2 or more' if several else '1'} with the decoder "
            f"{decode.get('decoder', 'soft_argmax')}, got {individuals}"
        )
    if several and decode.get("activation", "softmax") != "softmax":
        yield f"decode.activation: expected softmax with centre_offsets, got {decode['activation']}"
    if several and decode.get("offset_px") is not None:
        yield f"decode.offset_px: expected none with centre_offsets, got {decode['offset_px']}"


def tracking_faults(tracking: Mapping[str, Any], count: int) -> Iterator[str]:
    """Find what is not valid in parameters of the filter whose types are right.

    Parameters
    ----------
    tracking
        The manifest's `tracking` as plain values.
    count
        Number of keypoints.

    Yields
    ------
    str
        What is wrong: which key, what was expected, what it holds.
    """
    yield from _numbers("tracking", tracking)
    yield from _tracking(tracking, count)


def _tracking(entry: Mapping[str, Any], count: int) -> Iterator[str]:
    for key, above in PER_KEYPOINT.items():
        values = entry[key]
        if len(values) != count:
            yield f"tracking.{key}: expected {count} numbers, one a keypoint, got {len(values)}"
        if any(value < 0 or (above is not None and value == 0) for value in values):
            yield (
                f"tracking.{key}: expected numbers {'above 0' if above is not None else 'of 0 or more'}, got "
                + (f"{min(values)}")
            )
    for key in ("gate_chi2", "restart_ms", "lost_ms"):
        if entry.get(key, 1.0) <= 0:
            yield f"tracking.{key}: expected a number above 0, got {entry[key]}"
    if not 0.0 <= entry.get("min_confidence", 0.0) <= 1.0:
        yield f"tracking.min_confidence: expected 0 to 1, got {entry['min_confidence']}"
    if entry.get("restart_frames", 1) < 1:
        yield f"tracking.restart_frames: expected 1 or more, got {entry['restart_frames']}"
    bias = entry.get("bias_px2", [])
    if bias and [[len(row) for row in matrix] for matrix in bias] != [[2, 2]] * count:
        yield f"tracking.bias_px2: expected {count} matrices of 2 by 2, one a keypoint"
    elif any(matrix[0][0] < 0 or matrix[1][1] < 0 for matrix in bias):
        yield "tracking.bias_px2: expected variances of 0 or more"
    for space in entry.get("subspaces", []):
        yield from _subspace(f"tracking.subspaces: '{space['name']}'", space, count)


def _subspace(where: str, space: Mapping[str, Any], count: int) -> Iterator[str]:
    chosen, size = space["keypoints"], 2 * len(space["keypoints"])
    if not chosen or sorted(set(chosen)) != sorted(chosen) or not all(0 <= k < count for k in chosen):
        yield f"{where}: keypoints: expected different numbers from 0 to {count - 1}, got {chosen}"
    lengths = {
        "mean_px": (len(space["mean_px"]), size),
        "eps_px2": (len(space["eps_px2"]), len(chosen)),
        **{f"components[{i}]": (len(row), size) for i, row in enumerate(space["components"])},
    }
    for key, (found, expected) in lengths.items():
        if found != expected:
            yield f"{where}: {key}: expected {expected} numbers, got {found}"
    for i, row in enumerate(space["components"]):  # with a row of zeros the fit to a pose is singular
        if len(row) == size and not abs(math.hypot(*row) - 1.0) < LENGTH_TOLERANCE:
            yield f"{where}: components[{i}]: expected a row of length 1, got {math.hypot(*row):.3g}"
    if any(value < 0 for value in space["eps_px2"]):
        yield f"{where}: eps_px2: expected numbers of 0 or more, got {min(space['eps_px2'])}"


def drift_faults(entry: Mapping[str, Any], count: int) -> Iterator[str]:
    """Find what is not valid in the limits of the drift detector, whose types are right.

    Parameters
    ----------
    entry
        A `DriftSpec` as plain values.
    count
        Number of keypoints.

    Yields
    ------
    str
        What is wrong, as `manifest_faults` does.
    """
    yield from _numbers("drift", entry)
    for key in ("block_s", "false_alarm_hours"):
        if entry[key] <= 0:
            yield f"drift.{key}: expected a number above 0, got {entry[key]}"
    for name, limits in entry["limits"].items():
        for key in ("spread", "threshold"):
            if limits[key] <= 0:
                yield f"drift.limits.{name}.{key}: expected a number above 0, got {limits[key]}"
    space = entry.get("space")
    if space is not None:
        yield from _subspace("drift.space", space, count)
