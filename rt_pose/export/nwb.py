"""NWB: poses by `ndx-pose`, tables of what the rules decided and what went out, and the session itself.

All times are seconds from the recording's first frame. Frame numbers, velocities, covariances and latencies
are series beside the poses.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import rt_pose
from rt_pose.errors import UserError
from rt_pose.export.deposit import ARCHIVE, pack
from rt_pose.export.events import EVENTS, STIMULI, RuleEvent, Stimulus
from rt_pose.export.nwb_metadata import as_text, file_fields, metadata_of, subject_of
from rt_pose.export.nwb_parts import FurtherSeries, add_further, compressed, object_name
from rt_pose.export.nwb_spatial import add_device, add_spatial, calibrated_devices
from rt_pose.export.poses import Poses, Recording
from rt_pose.offline.nwb_poses import NUMBERS, POSES, name_for, nwb_name
from rt_pose.session.read import STAGES

REFERENCE = (
    "(0, 0) is the centre of the top-left pixel of the picture, ({}, {}) of the sensor; x right, y down"
)
UNKNOWN_START = datetime(1970, 1, 1, tzinfo=UTC)

EVENT_COLUMNS = {
    "camera": "Name of the camera, or of the group of cameras",
    "frame": "The camera's own count of the frame that caused it",
    "rule": "Name of the rule",
    "outcome": "fired, withheld (a control trial) or suppressed",
    "reason": "Why it was suppressed or withheld; empty otherwise",
    "probability": "Of the condition at the time of effect; NaN for a rule that compares the mean",
    "value": "Of the rule's first quantity at the time of effect",
    "block": "The protocol's block under way",
    "trial": "Number of the trial under way; 0 where there is none",
    "decided_s": "When it was judged, s",
    "effect_s": "When its command was expected to act, s",
    "deadline_met": "Whether the decision came in time",
    "delivery": "What became of its command; empty where there was none",
}
STIMULUS_COLUMNS = {
    "output": "Name of the output",
    "line": "Its line",
    "action": "What it was asked to do",
    "amplitude": "0 to 1",
    "rule": "Name of the rule; empty for one that an operator asked for",
    "sent_s": "When the driver's write returned, s; NaN where no answer was logged",
    "timed_by": "device: its clock told the time of the effect; sent: the write and the delay of the output; "
    "asked: the command and that delay, since no answer was logged",
    "delivery": "acknowledged, or unknown: it was sent and never answered",
    "message": "What was sent, where it is a text",
}


def write_nwb(recording: Recording, out: Path) -> None:
    """Write an NWB file.

    Parameters
    ----------
    recording
        What is exported.
    out
        The file.
    """
    from pynwb import NWBHDF5IO, NWBFile

    about = metadata_of(recording)
    session = recording.session
    nwb = NWBFile(
        session_description=as_text(about.get("session_description") or f"Poses of {recording.source.name}"),
        identifier=recording.source.name if session is None else session.info.id or session.path.name,
        session_start_time=start_time(recording),
        keywords=["pose estimation", "closed loop", "behaviour"],
        source_script=f"rt-pose {rt_pose.__version__}",
        source_script_file_name="rt-pose export",
        **file_fields(about),
    )
    nwb.subject = subject_of(about)
    _add_poses(nwb, recording, out)
    _add_table(nwb, EVENTS, recording.events, event_columns(recording))
    _add_table(nwb, STIMULI, recording.stimuli, STIMULUS_COLUMNS)
    if session is not None:
        what = "The session as rt-pose wrote it, tar with xz: `rt-pose verify FILE.nwb` replays it"
        nwb.add_scratch(pack(session), name=ARCHIVE, description=what)
    with NWBHDF5IO(str(out), "w") as file:
        file.write(nwb)


def event_columns(recording: Recording) -> dict[str, str]:
    """List the columns of the table of events.

    Parameters
    ----------
    recording
        What is exported.

    Returns
    -------
    dict[str, str]
        What each means, by name.
    """
    if len(recording.cameras[0].individuals) == 1:
        return EVENT_COLUMNS
    return EVENT_COLUMNS | {"individual": "Name of the individual that it came true for"}


def start_time(recording: Recording) -> datetime:
    """Find the time of day at which the times begin.

    Parameters
    ----------
    recording
        What is exported.

    Returns
    -------
    datetime
        UTC; the beginning of 1970 where it is not known.
    """
    ns = recording.start_utc_ns
    return UNKNOWN_START if ns is None else datetime.fromtimestamp(ns / 1e9, UTC)


def _add_poses(nwb: Any, recording: Recording, out: Path) -> None:
    from ndx_pose import Skeleton, Skeletons

    first = recording.cameras[0]
    what = "the animal" if len(first.individuals) == 1 else "the animals"
    behavior = nwb.create_processing_module("behavior", f"Poses of {what}, tracked while it ran")
    names = [nwb_name(name) for name in first.keypoints]
    _check_names(recording, "keypoints", first.keypoints)
    _check_names(recording, "individuals", first.individuals)
    skeleton = Skeleton(
        name="skeleton",
        nodes=names,
        edges=np.array(first.skeleton, np.uint8).reshape(-1, 2),
        subject=nwb.subject,
    )
    behavior.add(Skeletons(skeletons=[skeleton]))
    several = len(recording.cameras) > 1
    calibrated = calibrated_devices(recording.spatial)
    for poses in recording.cameras:
        name = nwb_name(poses.camera) or "camera"
        what = "The camera that was tracked"
        device = add_device(nwb, name, what, calibrated.get(poses.camera))
        _add_camera(nwb, behavior, skeleton, poses, poses.camera if several else "", device, out)
    for placed in recording.spatial:
        add_spatial(behavior, skeleton, placed)


def _check_names(recording: Recording, what: str, names: Sequence[str]) -> None:
    """Refuse names that NWB would make the same."""
    if len({nwb_name(name) for name in names}) < len(names):
        raise UserError(
            f"{recording.source}: NWB takes no slash and no colon in names; without them two {what} have "
            f"the same name: {', '.join(names)}"
        )


def _add_camera(
    nwb: Any, behavior: Any, skeleton: Any, poses: Poses, own: str, device: Any, out: Path
) -> None:
    from ndx_pose import PoseEstimation

    film, times = _add_film(nwb, poses, device, out), None
    for n, who in enumerate(poses.individuals):
        series = _pose_series(poses, n, times)
        times = series[0] if times is None else times  # one table of times for all
        whose = f" of {who}" if who else ""
        behavior.add(
            PoseEstimation(
                name=object_name(POSES, own, who),
                pose_estimation_series=series,
                description=f"Filtered causally{whose}; times: {poses.times}",
                device=device,
                scorer="rt-pose",
                source_software="rt-pose",
                source_software_version=rt_pose.__version__,
                skeleton=skeleton,
                source_video=film,
            )
        )
    add_further(behavior, further_series(poses), own, times)


def _pose_series(poses: Poses, n: int, times: Any) -> list[Any]:
    """The keypoints of one individual; `times` is a series that has their times already, or None."""
    from ndx_pose import PoseEstimationSeries

    series: list[Any] = []
    for k, name in enumerate(poses.keypoints):
        if times is None and series:
            times = series[0]
        series.append(
            PoseEstimationSeries(
                name=nwb_name(name),
                description=f"Position of {name}; NaN where it was lost",
                data=compressed(poses.xy[:, n, k]),
                unit="pixels",
                reference_frame=REFERENCE.format(*poses.offset_xy),
                timestamps=compressed(poses.t_s) if times is None else times,
                confidence=compressed(poses.confidence[:, n, k]),
                confidence_definition="Of the network, 0 to 1",
            )
        )
    return series


def further_series(poses: Poses) -> list[FurtherSeries]:
    """List what ndx-pose has no place for.

    Parameters
    ----------
    poses
        The poses of a camera.

    Returns
    -------
    list[FurtherSeries]
        In the order in which they are written.
    """
    names = ", ".join(poses.keypoints)
    place = f"Place among the {poses.where}; -1 where it is none of them"
    gaps = "The camera's own count: a gap is a frame that it lost"
    found = [
        FurtherSeries(NUMBERS, "", poses.numbers, "frames", place),
        FurtherSeries("camera_frames", "", poses.frames, "frames", gaps),
    ]
    of_each = (
        ("velocity", poses.velocity, "pixels/s", f"vx and vy of {names}"),
        ("covariance", poses.covariance, "pixels^2", f"sxx, sxy and syy of the position of {names}"),
        ("identity_p", poses.identity_p, "probability", "That it is who it was at first; NaN without it"),
    )
    for n, who in enumerate(poses.individuals):
        for name, values, unit, what in of_each:
            if values is not None:
                found.append(FurtherSeries(name, who, values[:, n], unit, what))
    if poses.latency_s is not None:
        what = f"From the exposure to {', '.join(STAGES)}"
        found.append(FurtherSeries("latency", "", poses.latency_s, "seconds", what))
    return found


def _add_film(nwb: Any, poses: Poses, device: Any, out: Path) -> Any:
    """The film as a file beside, by a path from the folder of the export."""
    from pynwb.image import ImageSeries

    if poses.pictures is None or poses.size is None:
        return None
    film = ImageSeries(
        name=name_for("film", poses.camera or "camera"),
        description="The camera's frames; each has its own time",
        external_file=[os.path.relpath(poses.pictures.path, out.parent)],
        starting_frame=[0],
        format="external",
        dimension=list(poses.size),
        unit="n.a.",
        timestamps=compressed(poses.pictures.t_s),
        device=device,
    )
    nwb.add_acquisition(film)
    return film


def _add_table(
    nwb: Any, name: str, rows: list[RuleEvent] | list[Stimulus], described: Mapping[str, str]
) -> None:
    from pynwb.core import VectorData
    from pynwb.event import DurationVectorData, EventsTable, TimestampVectorData

    if not rows:
        return
    events = name == EVENTS
    columns = [
        TimestampVectorData(
            name="timestamp",
            description="Exposure of the frame that caused it, s" if events else "Of its effect, s",
            data=[row.t_s for row in rows],
        )
    ]
    if not events:
        data = [row.duration_s for row in rows if isinstance(row, Stimulus)]
        columns.append(DurationVectorData(name="duration", description="s; NaN without an end", data=data))
    for key, description in described.items():
        data = [getattr(row, key) for row in rows]
        columns.append(VectorData(name=key, description=description, data=data))
    what = "Every time a rule came true, and what was decided" if events else "What the outputs carried out"
    source = "rt-pose, by exposures on the host's clock"
    nwb.add_events_table(EventsTable(name=name, description=what, source_description=source, columns=columns))
