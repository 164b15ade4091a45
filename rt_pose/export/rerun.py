"""A rerun recording: video, skeleton, ellipses, traces and events on one time line, to scrub through."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_S
from rt_pose.export.ellipse import outlines
from rt_pose.export.film import animal_colour, encode
from rt_pose.export.poses import Pictures, Poses, Recording
from rt_pose.export.rerun_spatial import log_spatial
from rt_pose.export.spatial import SpatialPoses
from rt_pose.types import FloatArray
from rt_pose.video import read_frames

TIMELINE = "exposure"
CENTRE = 0.5
"""A picture's corner is (0, 0) there, the centre of its first pixel here."""
INFO, DEBUG = "INFO", "DEBUG"


def write_rerun(recording: Recording, out: Path) -> None:
    """Write a recording with its layout.

    Parameters
    ----------
    recording
        What is exported.
    out
        The file, .rrd.
    """
    import rerun as rr

    stream = rr.RecordingStream("rt-pose", recording_id=recording.source.name)
    stream.save(str(out), default_blueprint=_blueprint(recording))
    for poses in recording.cameras:
        entity = _entity(poses)
        stream.log(entity, _annotations(poses), static=True)
        if poses.pictures is not None:
            _log_video(stream, entity, poses, poses.pictures)
        _log_pose(stream, entity, poses)
        _log_traces(stream, entity, poses)
    for placed in recording.spatial:
        log_spatial(
            stream,
            placed,
            _annotations_of(_in_space(recording, placed.group), placed.keypoints, placed.skeleton),
            _time(placed.t_s),
        )
        _log_spatial_traces(stream, placed)
    _log_events(stream, recording)
    stream.flush()
    stream.disconnect()


def _in_space(recording: Recording, group: str) -> list[str]:
    """The animals of a group; one without a name where there is one."""
    return [one.individual for one in recording.spatial if one.group == group]


def _entity(poses: Poses) -> str:
    return poses.camera or "camera"


def _annotations(poses: Poses) -> Any:
    return _annotations_of(poses.individuals, poses.keypoints, poses.skeleton)


def _annotations_of(individuals: list[str], names: list[str], skeleton: list[tuple[int, int]]) -> Any:
    """Names, bones, and of several animals their colours."""
    import rerun as rr

    keypoints = [rr.AnnotationInfo(id=k, label=name) for k, name in enumerate(names)]
    several = len(individuals) > 1
    animals = [
        rr.AnnotationInfo(id=n, label=name or "animal", color=animal_colour(n) if several else None)
        for n, name in enumerate(individuals)
    ]
    return rr.AnnotationContext(
        [
            rr.ClassDescription(info=animal, keypoint_annotations=keypoints, keypoint_connections=skeleton)
            for animal in animals
        ]
    )


def _time(t_s: FloatArray) -> list[Any]:
    import rerun as rr

    t_ns = np.rint(t_s * NS_PER_S).astype("timedelta64[ns]")
    return [rr.TimeColumn(TIMELINE, duration=t_ns)]


def _log_pose(stream: Any, entity: str, poses: Poses) -> None:
    """Keypoints and their ellipses; a frame in which nothing was seen clears what was shown."""
    import rerun as rr

    xy = poses.xy + CENTRE
    seen = np.isfinite(xy).all(axis=-1)
    row, n, k = np.nonzero(seen)
    lengths = seen.sum(axis=(1, 2)).tolist()
    animals, several = n.astype(np.uint16), len(poses.individuals) > 1
    colours = {"colors": _colours(n)} if several else {}
    points = rr.Points2D.columns(
        positions=xy[row, n, k],
        keypoint_ids=k,
        class_ids=animals,
        radii=np.full(len(k), 2.0),
        **colours,
    )
    stream.send_columns(f"{entity}/pose", indexes=_time(poses.t_s), columns=points.partition(lengths))
    if poses.covariance is not None:
        strips = outlines(xy[row, n, k], poses.covariance[row, n, k])
        columns = rr.LineStrips2D.columns(strips=strips, class_ids=animals, **colours)
        stream.send_columns(
            f"{entity}/ellipses", indexes=_time(poses.t_s), columns=columns.partition(lengths)
        )


def _colours(animals: NDArray[np.intp]) -> NDArray[np.uint8]:
    """(P, 3)."""
    return np.array([animal_colour(n) for n in animals.tolist()], np.uint8).reshape(-1, 3)


def _log_traces(stream: Any, entity: str, poses: Poses) -> None:
    traces = {"confidence": poses.confidence}
    if poses.velocity is not None:
        traces["speed"] = np.hypot(poses.velocity[..., 0], poses.velocity[..., 1])
    for n, who in enumerate(poses.individuals):
        whose = f"{entity}/{who}" if who else entity
        for kind, values in traces.items():
            for k, name in enumerate(poses.keypoints):
                _log_trace(stream, f"{kind}/{whose}/{name}", poses.t_s, values[:, n, k])
        if poses.identity_p is not None:
            _log_trace(stream, f"identity/{whose}", poses.t_s, poses.identity_p[:, n])


def _log_spatial_traces(stream: Any, poses: SpatialPoses) -> None:
    for k, name in enumerate(poses.keypoints):
        _log_trace(stream, f"confidence/{poses.name}/{name}", poses.t_s, poses.confidence[:, k])
        for i, axis in enumerate("xyz"):
            _log_trace(stream, f"place/{poses.name}/{axis}/{name}", poses.t_s, poses.xyz[:, k, i])
    if poses.identity_p is not None:
        _log_trace(stream, f"identity/{poses.name}", poses.t_s, poses.identity_p)


def _log_trace(stream: Any, place: str, t_s: FloatArray, values: FloatArray) -> None:
    import rerun as rr

    known = np.isfinite(values)
    columns = rr.Scalars.columns(scalars=values[known])
    stream.send_columns(place, indexes=_time(t_s[known]), columns=columns)


def _log_events(stream: Any, recording: Recording) -> None:
    import rerun as rr

    texts = [
        (event.t_s, event.text, INFO if event.outcome == "fired" else DEBUG) for event in recording.events
    ]
    texts += [(one.t_s, f"{one.output}: {one.action}", INFO) for one in recording.stimuli]
    texts.sort(key=lambda row: row[0])
    if texts:
        times, lines, levels = zip(*texts, strict=True)
        columns = rr.TextLog.columns(text=lines, level=levels)
        stream.send_columns("events", indexes=_time(np.array(times)), columns=columns)


def _log_video(stream: Any, entity: str, poses: Poses, pictures: Pictures) -> None:
    """The film as MP4, the one container that rerun reads, each frame at its exposure."""
    import rerun as rr

    with tempfile.TemporaryDirectory(prefix="rt-pose-export-") as folder:
        film = Path(folder) / "film.mp4"
        _as_mp4(pictures, film, poses.rate_hz)
        asset = rr.AssetVideo(path=film)
        stream.log(f"{entity}/video", asset, static=True)
        stamps = asset.read_frame_timestamps_nanos()
    count = min(len(stamps), len(pictures.t_s))
    stream.send_columns(
        f"{entity}/video",
        indexes=_time(pictures.t_s[:count]),
        columns=rr.VideoFrameReference.columns_nanos(stamps[:count]),
    )


def _as_mp4(pictures: Pictures, out: Path, rate_hz: float) -> None:
    """Put H.264 into another container as it is; encode anything else."""
    with av.open(str(pictures.path)) as source:
        stream = source.streams.video[0]
        if stream.codec_context.name == "h264":
            with av.open(str(out), "w") as target:
                copy = target.add_stream_from_template(stream)
                for packet in source.demux(stream):
                    if packet.dts is not None:
                        packet.stream = copy
                        target.mux(packet)
            return
    encode(out, (frame.image for frame in read_frames(pictures.path, 3)), pictures.t_s, rate_hz)


def _blueprint(recording: Recording) -> Any:
    import rerun.blueprint as rrb

    names = [_entity(poses) for poses in recording.cameras]
    stated = any(poses.identity_p is not None for poses in recording.cameras)
    stated = stated or any(poses.identity_p is not None for poses in recording.spatial)
    identity = [rrb.TimeSeriesView(origin="identity", name="probability of identity")] if stated else []
    groups = dict.fromkeys(one.group for one in recording.spatial)
    spaces = [rrb.Spatial3DView(origin=group, name=group) for group in groups]
    units = sorted({one.info.unit for one in recording.spatial})
    places = [rrb.TimeSeriesView(origin="place", name=f"x, y, z, {', '.join(units)}")] if spaces else []
    return rrb.Blueprint(
        rrb.Horizontal(
            rrb.Vertical(*spaces, *(rrb.Spatial2DView(origin=name, name=name) for name in names)),
            rrb.Vertical(
                rrb.TimeSeriesView(origin="speed", name="speed, px/s"),
                *places,
                rrb.TimeSeriesView(origin="confidence", name="confidence"),
                *identity,
                rrb.TextLogView(origin="events", name="events"),
            ),
            column_shares=[3, 2],
        )
    )
