"""Poses in NWB by `ndx-pose`, whoever wrote them, read as numbers and text.

The series of a `PoseEstimation` come back in alphabetical order: they are paired with the skeleton's nodes by
name. Times become numbers of frames by the steps between them, so that lost frames stay lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.offline.alignment import MOST_FRAMES
from rt_pose.offline.hdf import MOST_BYTES
from rt_pose.offline.prediction_files import Predictions
from rt_pose.types import FloatArray

POSES, SERIES = "PoseEstimation", "PoseEstimationSeries"
NUMBERS = "frame_numbers"
"""Name of the series beside the poses that says which frame of the video each row is; rt-pose writes it."""
PIXELS = ("pixels", "pixel", "px", "")
"""What people write for the unit."""
_UNREADABLE = (OSError, KeyError, ValueError, TypeError, IndexError, RuntimeError, AttributeError)


def nwb_name(name: str) -> str:
    """Write a name as NWB takes it for an object.

    Parameters
    ----------
    name
        Of a keypoint or a camera.

    Returns
    -------
    str
        The name; slashes and colons, which NWB refuses, are underscores.
    """
    return name.replace("/", "_").replace(":", "_")


def name_for(base: str, camera: str) -> str:
    """Name an object of one camera in a file of several.

    Parameters
    ----------
    base
        What it is called in a file of one.
    camera
        Name of the camera; empty in a file of one.

    Returns
    -------
    str
        The name.
    """
    return f"{base}_{nwb_name(camera)}" if camera else base


def read_nwb_poses(path: Path, camera: str = "") -> Predictions:
    """Read the poses of one camera.

    Parameters
    ----------
    path
        The file.
    camera
        Name of the camera, where the file holds several.

    Returns
    -------
    Predictions
        The poses, with their times.

    Raises
    ------
    UserError
        Where it holds none, holds several cameras and none is named, or cannot be read.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return _poses(path, _choose(path, list(_estimations(file)), camera))
    except _UNREADABLE as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise UserError(f"predictions {path}: its poses cannot be read: {reason}") from error


def _estimations(file: Any) -> Iterator[Any]:
    import h5py

    found: list[Any] = []

    def collect(_: str, node: Any) -> None:
        if isinstance(node, h5py.Group) and _text(node.attrs.get("neurodata_type", "")) == POSES:
            found.append(node)

    file.visititems(collect)  # it follows no link to another file
    yield from found


def _choose(path: Path, found: list[Any], camera: str) -> Any:
    names = [str(node.name).rpartition("/")[2] for node in found]
    if not found:
        raise UserError(f"predictions {path}: it holds no {POSES}; expected poses as `ndx-pose` keeps them")
    if len(found) == 1:
        return found[0]
    for name, node in zip(names, found, strict=True):
        if camera and name in (camera, name_for(POSES, camera)):
            return node
    cameras = ", ".join(name.removeprefix(f"{POSES}_") for name in names)
    asked = f"none of camera '{camera}' among" if camera else "several; one can be read:"
    raise UserError(
        f"predictions {path}: {asked} {cameras}; `rt-pose export {path} --camera NAME --out poses.csv` takes "
        "one out"
    )


def _poses(path: Path, node: Any) -> Predictions:
    series = _children(node, SERIES)
    if not series:
        raise UserError(f"predictions {path}: {node.name} holds no {SERIES}")
    nodes, bones = _skeleton(node)
    keypoints = [name for name in nodes if name in series]
    keypoints += [name for name in series if name not in keypoints]
    times = [_times(path, series[name]) for name in keypoints]
    xy = [_positions(path, name, series[name]) for name in keypoints]
    scores = [_confidence(series[name], len(times[0])) for name in keypoints]
    for name, own, at, score in zip(keypoints, times, xy, scores, strict=True):
        if len({len(times[0]), len(own), len(at), len(score)}) > 1:
            raise UserError(
                f"predictions {path}: '{name}' has {len(own)} times, {len(at)} positions and {len(score)} "
                f"confidences, '{keypoints[0]}' {len(times[0])} times; they must be as many"
            )
        if not np.allclose(own, times[0], rtol=0.0, atol=1e-6):
            raise UserError(f"predictions {path}: '{name}' has other times than '{keypoints[0]}'")
    numbers = _numbers(path, node, times[0])
    held = numbers >= 0
    if not held.any():
        raise UserError(
            f"predictions {path}: none of its {len(held):,} rows is a frame of its video; there is "
            "nothing to read"
        )
    return Predictions(
        keypoints,
        [str(number) for number in numbers[held].tolist()],
        np.stack(xy, axis=1)[held],
        np.stack(scores, axis=1)[held],
        str(path),
        [(a, b) for a, b in bones if a in series and b in series],
        times[0][held],
        unnumbered=int((~held).sum()),
    )


def _children(node: Any, kind: str) -> dict[str, Any]:
    """What a group holds or links of a neurodata type, by name."""
    there = {name: child for name, child in node.items() if child is not None}
    return {name: one for name, one in there.items() if _text(one.attrs.get("neurodata_type", "")) == kind}


def _skeleton(node: Any) -> tuple[list[str], list[tuple[str, str]]]:
    """Names of nodes, and pairs of them; before ndx-pose 0.2 they stand with the poses themselves."""
    # The link bears the skeleton's own name.
    holder = next(iter(_children(node, "Skeleton").values()), node)
    nodes = [_text(name) for name in holder["nodes"]] if "nodes" in holder else []
    edges = np.asarray(holder["edges"], int).reshape(-1, 2).tolist() if "edges" in holder else []
    return nodes, [(nodes[a], nodes[b]) for a, b in edges]


def _positions(path: Path, name: str, series: Any) -> FloatArray:
    """(F, 2) px."""
    data = _array(series, "data")
    unit = _text(data.attrs.get("unit", "pixels"))
    if unit.lower() not in PIXELS or data.ndim != 2 or data.shape[1] != 2:
        raise UserError(
            f"predictions {path}: '{name}' has {data.shape} numbers in {unit}; expected two columns in pixels"
        )
    factor, offset = float(data.attrs.get("conversion", 1.0)), float(data.attrs.get("offset", 0.0))
    values: FloatArray = np.asarray(data, np.float64) * factor + offset
    return values


def _confidence(series: Any, frames: int) -> FloatArray:
    return np.asarray(_array(series, "confidence"), np.float64) if "confidence" in series else np.ones(frames)


def _times(path: Path, series: Any) -> FloatArray:
    """(F,) s."""
    if "timestamps" in series:
        times = np.asarray(_array(series, "timestamps"), np.float64)
    else:
        start = _array(series, "starting_time")
        times = float(start[()]) + np.arange(len(_array(series, "data"))) / float(start.attrs["rate"])
    if not np.isfinite(times).all() or (np.diff(times) <= 0).any():
        raise UserError(f"predictions {path}: {series.name}: its times do not ascend")
    return times


def _numbers(path: Path, node: Any, times: FloatArray) -> NDArray[np.int64]:
    """Numbers of the frames: as rt-pose has written them, else by the steps of time."""
    own = str(node.name).rpartition("/")[2].removeprefix(POSES).removeprefix("_")
    parts = own.split("_")  # of several individuals, the camera comes first
    places = [name_for(NUMBERS, "_".join(parts[:n])) for n in range(len(parts), -1, -1)]
    beside = next((node.parent[place] for place in places if place in node.parent), None)
    if beside is not None and len(_array(beside, "data")) == len(times):
        return np.asarray(_array(beside, "data"), np.int64)
    steps = np.diff(times)
    counted = np.rint(steps / np.median(steps)) if steps.size else steps
    if counted.sum() > MOST_FRAMES or (counted < 1).any():
        raise UserError(
            f"predictions {path}: {node.name}: its times are too uneven to count frames by; export it as CSV "
            "with numbers of frames"
        )
    return np.concatenate([[0], np.cumsum(counted)]).astype(np.int64)


def _array(group: Any, name: str) -> Any:
    """A data set of numbers that lies in the file itself."""
    import h5py

    node = group[name]
    inside = isinstance(node, h5py.Dataset) and node.file.filename == group.file.filename
    if not inside or node.external or node.is_virtual:
        raise ValueError(f"'{name}' is no array in the file itself")
    if node.dtype.kind not in "iuf" or node.size * node.dtype.itemsize > MOST_BYTES:
        raise ValueError(f"'{name}' is no array of numbers, or larger than {MOST_BYTES >> 30} GiB")
    return node


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
