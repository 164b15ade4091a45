"""NWB: poses by `ndx-pose`, events and stimuli as tables of intervals, and the session itself to replay.

All times are seconds from the session's start, the first frame. The log, the configuration, the seal and the
model's manifest ride along as one compressed data set: every stimulus can be computed again from what was
deposited.
"""

from __future__ import annotations

import io
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import rt_pose
from rt_pose.export.poses import ExportedEvent, Poses
from rt_pose.session.log_file import LOG_NAME
from rt_pose.session.read import INFO_NAME
from rt_pose.session.seal import SEAL_NAME

ARCHIVE = "rt_pose_session"
ARCHIVED = (INFO_NAME, LOG_NAME, SEAL_NAME)
UNKNOWN_UTC_NS = 0


def write_nwb(poses: Poses, out: Path) -> None:
    """Write an NWB file.

    Parameters
    ----------
    poses
        The poses.
    out
        The file.
    """
    from pynwb import NWBHDF5IO, NWBFile

    about = _metadata(poses)
    nwb = NWBFile(
        session_description=str(about.get("description") or f"Poses of {poses.source.name}, tracked by rt-pose"),
        identifier=poses.source.name if poses.session is None else poses.session.info.id,
        session_start_time=datetime.fromtimestamp((poses.start_utc_ns or UNKNOWN_UTC_NS) / 1e9, UTC),
        **{key: str(about[key]) for key in ("experimenter", "institution", "lab") if about.get(key)},
        keywords=["pose estimation", "closed loop", "behaviour"],
        source_script=f"rt-pose {rt_pose.__version__} export",
        source_script_file_name="rt-pose",
    )
    nwb.subject = _subject(about)
    _add_poses(nwb, poses)
    _add_events(nwb, poses.events)
    if poses.session is not None:
        _add_archive(nwb, poses.session.path)
    with NWBHDF5IO(str(out), "w") as file:
        file.write(nwb)


def _metadata(poses: Poses) -> dict[str, Any]:
    if poses.session is None:
        return {}
    metadata = poses.session.info.config.get("metadata", {})
    return metadata if isinstance(metadata, dict) else {}


def _subject(about: dict[str, Any]) -> Any:
    from pynwb.file import Subject

    subject = about.get("subject")
    fields = dict(subject) if isinstance(subject, dict) else {"subject_id": subject} if subject else {}
    known = ("age", "description", "genotype", "sex", "species", "strain", "subject_id", "weight")
    return Subject(**{"subject_id": "unknown"} | {key: str(fields[key]) for key in known if fields.get(key)})


def _add_poses(nwb: Any, poses: Poses) -> None:
    from ndx_pose import PoseEstimation, PoseEstimationSeries, Skeleton, Skeletons

    behavior = nwb.create_processing_module("behavior", "Poses of the animal")
    skeleton = Skeleton(
        name="skeleton",
        nodes=poses.keypoints,
        edges=np.array(poses.skeleton, np.uint8).reshape(-1, 2),
        subject=nwb.subject,
    )
    behavior.add(Skeletons(skeletons=[skeleton]))
    device = nwb.create_device(name=poses.camera or "camera", description="The camera that was tracked")
    series: list[Any] = []
    for k, name in enumerate(poses.keypoints):
        series.append(
            PoseEstimationSeries(
                name=name,
                description=f"Position of {name}; NaN where it was lost",
                data=poses.xy[:, k],
                unit="pixels",
                reference_frame="(0, 0) is the centre of the top-left pixel of the sensor; x right, y down",
                timestamps=poses.t_s if not series else series[0],  # one table of times for all
                confidence=poses.confidence[:, k],
                confidence_definition="of the network; not a probability unless the package says so",
            )
        )
    width, height = poses.size or (0, 0)
    behavior.add(
        PoseEstimation(
            name="PoseEstimation",
            pose_estimation_series=series,
            description=f"Filtered causally while it ran; times are those of the {poses.times}",
            original_videos=[poses.video.name] if poses.video else None,
            dimensions=np.array([[width, height]], np.uint16) if poses.size else None,
            devices=[device],
            scorer="rt-pose",
            source_software="rt-pose",
            source_software_version=rt_pose.__version__,
            skeleton=skeleton,
        )
    )


def _add_events(nwb: Any, events: list[ExportedEvent]) -> None:
    """Two tables of intervals: what the rules decided, and which stimuli went out."""
    from pynwb.epoch import TimeIntervals

    if not events:
        return
    decided = TimeIntervals("rule_events", "Every time a rule came true, and what was decided")
    columns = {
        "rule": "Name of the rule",
        "outcome": "fired, withheld or suppressed",
        "reason": "Why it was suppressed; empty otherwise",
        "probability": "Of the condition at the time of effect; NaN for a rule that compares the mean",
        "value": "Of the rule's first quantity at the time of effect",
        "decision_ms": "From the middle of the exposure to the decision",
    }
    for name, description in columns.items():
        decided.add_column(name, description)
    for event in events:
        row = {name: getattr(event, name) for name in columns}
        decided.add_interval(start_time=event.t_s, stop_time=event.t_s + event.decision_ms / 1e3, **row)
    nwb.add_time_intervals(decided)
    sent = [event for event in events if np.isfinite(event.stimulus_t_s)]
    if not sent:
        return
    stimuli = TimeIntervals("stimuli", "Commands as their output's driver sent them")
    stimuli.add_column("rule", "Name of the rule")
    stimuli.add_column("output", "Name of the output")
    for event in sent:
        end_s = event.stimulus_t_s + event.stimulus_s
        stimuli.add_interval(start_time=event.stimulus_t_s, stop_time=end_s, rule=event.rule, output=event.output)
    nwb.add_time_intervals(stimuli)


def _add_archive(nwb: Any, folder: Path) -> None:
    from hdmf.backends.hdf5.h5_utils import H5DataIO

    nwb.add_scratch(
        H5DataIO(pack(folder), compression=None),
        name=ARCHIVE,
        description="The session as rt-pose wrote it, a tar archive with xz: `rt-pose verify FILE.nwb` replays it",
    )


def pack(folder: Path) -> NDArray[np.uint8]:
    """Pack what a replay needs of a session.

    Parameters
    ----------
    folder
        The session's folder.

    Returns
    -------
    NDArray[np.uint8]
        A tar archive, compressed by xz.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz") as archive:
        for name in ARCHIVED:
            if (folder / name).is_file():
                archive.add(folder / name, name)
    return np.frombuffer(buffer.getvalue(), np.uint8)


def unpack(file: Path, folder: Path) -> bool:
    """Unpack the session that an NWB file carries.

    Parameters
    ----------
    file
        The NWB file.
    folder
        Gets the session's files.

    Returns
    -------
    bool
        False where it carries none.
    """
    import h5py

    with h5py.File(file, "r") as nwb:
        found = nwb.get(f"scratch/{ARCHIVE}")
        if found is None:
            return False
        data = np.asarray(found, np.uint8).tobytes()
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:xz") as archive:
        for name in ARCHIVED:
            try:
                member = archive.extractfile(name)
            except KeyError:
                continue
            if member is not None:
                (folder / name).write_bytes(member.read())
    return True
