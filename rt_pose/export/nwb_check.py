"""What an NWB file says of a session, compared with the session that it carries.

Frame numbers, the film's times and the metadata are not compared: what they come from is not deposited, or is
of the day of the export.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rt_pose.export.events import EVENTS, STIMULI
from rt_pose.export.nwb import STIMULUS_COLUMNS, event_columns, further_series
from rt_pose.export.nwb_parts import object_name
from rt_pose.export.nwb_spatial import spatial_name, spatial_series
from rt_pose.export.poses import Poses, recording_of_session
from rt_pose.export.spatial import SpatialPoses
from rt_pose.offline.hdf import MOST_BYTES
from rt_pose.offline.nwb_poses import NUMBERS, POSES, nwb_name
from rt_pose.session.read import Session

COMPARED = (
    "events, stimuli and poses are those of the log (frame numbers, film and metadata are not compared)"
)
TOLERANCE_S = 1e-6
"""How far a time may be from the log's: it has gone through float64 seconds."""
_UNREADABLE = (OSError, LookupError, ValueError, TypeError, AttributeError, RuntimeError, MemoryError)


def differing_parts(file: Path, session: Session) -> Iterator[str]:
    """Compare the tables and poses of an NWB file with the session that it carries.

    Parameters
    ----------
    file
        The NWB file.
    session
        The session that was in it.

    Yields
    ------
    str
        What differs, a sentence a column or series.
    """
    import h5py

    with h5py.File(file, "r") as nwb:
        devices = nwb.get("general/devices")
        exported = set(devices) if isinstance(devices, h5py.Group) else set()
        cameras = [name for name in session.info.cameras if nwb_name(name) in exported]
        if not cameras:
            yield "devices: none of them is a camera of the session"
            return
        # A file of all cameras holds their groups as well.
        groups = list(session.info.views) if len(cameras) == len(session.info.cameras) else []
        recording = recording_of_session(session, cameras, groups)
        attributes = {"timestamp": "t_s"} | {name: name for name in event_columns(recording)}
        yield from _table(nwb, EVENTS, recording.events, attributes)
        attributes = {"timestamp": "t_s", "duration": "duration_s"} | {
            name: name for name in STIMULUS_COLUMNS
        }
        yield from _table(nwb, STIMULI, recording.stimuli, attributes)
        for poses in recording.cameras:
            yield from _camera(nwb, poses, poses.camera if len(cameras) > 1 else "")
        for placed in recording.spatial:
            yield from _group(nwb, placed)


def _table(nwb: Any, name: str, rows: Sequence[Any], attributes: Mapping[str, str]) -> Iterator[str]:
    """The columns, each by the attribute of a row that it holds."""
    if not rows:
        if f"events/{name}" in nwb:
            yield f"table {name}: the log has no such row"
        return
    for column, attribute in attributes.items():
        expected = [getattr(row, attribute) for row in rows]
        tolerance = TOLERANCE_S if attribute.endswith("_s") else 0.0
        if difference := _difference(nwb, f"events/{name}/{column}", expected, tolerance):
            yield f"table {name}: its column '{column}' {difference}"


def _camera(nwb: Any, poses: Poses, own: str) -> Iterator[str]:
    """The series of a camera."""
    parts: list[tuple[str, Any, float]] = []
    for n, who in enumerate(poses.individuals):
        for k, name in enumerate(poses.keypoints):
            series = f"{object_name(POSES, own, who)}/{nwb_name(name)}"
            parts += [
                (f"{series}/data", poses.xy[:, n, k], 0.0),
                (f"{series}/confidence", poses.confidence[:, n, k], 0.0),
                (f"{series}/timestamps", poses.t_s, TOLERANCE_S),
            ]
    for one in further_series(poses):
        if one.name != NUMBERS:
            parts.append((f"{object_name(one.name, own, one.individual)}/data", one.values, 0.0))
    yield from _parts(nwb, f"camera '{poses.camera}'", parts)


def _group(nwb: Any, poses: SpatialPoses) -> Iterator[str]:
    """The series of a group of cameras."""
    parts: list[tuple[str, Any, float]] = []
    for k, name in enumerate(poses.keypoints):
        series = f"{spatial_name(poses)}/{nwb_name(name)}"
        parts += [
            (f"{series}/data", poses.xyz[:, k], 0.0),
            (f"{series}/confidence", poses.confidence[:, k], 0.0),
            (f"{series}/timestamps", poses.t_s, TOLERANCE_S),
        ]
    for one in spatial_series(poses):
        parts.append((f"{object_name(one.name, poses.group, one.individual)}/data", one.values, 0.0))
    yield from _parts(nwb, f"group '{poses.name}'", parts)


def _parts(nwb: Any, whose: str, parts: Sequence[tuple[str, Any, float]]) -> Iterator[str]:
    """Compare arrays, each by its place among the poses, what it should be and how exactly."""
    for place, expected, tolerance in parts:
        if difference := _difference(nwb, f"processing/behavior/{place}", expected, tolerance):
            yield f"{whose}: {place} {difference}"


def _difference(nwb: Any, place: str, expected: Any, tolerance: float) -> str:
    """How an array of the file differs from what it should be; empty where it does not."""
    own = np.asarray(expected)
    try:
        found = _array(nwb, place, own.shape)
        if own.dtype.kind == "U":
            texts = [value.decode() if isinstance(value, bytes) else str(value) for value in found.tolist()]
            same = texts == list(expected)
        else:
            # Bit for bit, as far as the file's numbers reach.
            own = own.astype(found.dtype) if found.dtype.kind == "f" else own
            same = np.allclose(
                found.astype(float), own.astype(float), rtol=0.0, atol=tolerance, equal_nan=True
            )
    except _UNREADABLE as error:
        return f"cannot be compared: {str(error) or type(error).__name__}"
    return "" if same else "is not that of the log"


def _array(nwb: Any, place: str, shape: tuple[int, ...]) -> Any:
    """An array that lies in the file itself and has the shape that it should have."""
    import h5py

    node = nwb.get(place)
    if node is None:
        raise ValueError("it is not there")
    inside = isinstance(node, h5py.Dataset) and node.file.filename == nwb.filename
    if not inside or node.external or node.is_virtual:
        raise ValueError("it is no array in the file itself")
    if node.shape != shape:
        raise ValueError(f"it has {node.shape} values, the log {shape}")
    if node.size * node.dtype.itemsize > MOST_BYTES or (node.dtype.kind == "f" and node.dtype.itemsize < 4):
        raise ValueError(f"its values are of the kind {node.dtype}")
    return node[()]
