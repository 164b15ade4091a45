"""A rerun recording: video, skeleton, ellipses, confidences and events on one time line, to scrub through."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from rt_pose.export.poses import Poses
from rt_pose.session.video_file import read_times

TIMELINE = "exposure"
ELLIPSE_POINTS = 24
CHI2_90 = 4.605
"""90 % of a Gaussian in the plane lie within this squared distance."""


def write_rerun(poses: Poses, out: Path) -> None:
    """Write a recording with its layout.

    Parameters
    ----------
    poses
        The poses.
    out
        The file, .rrd.
    """
    import rerun as rr

    recording = rr.RecordingStream("rt-pose", recording_id=poses.source.name)
    recording.save(str(out), default_blueprint=_blueprint(poses))
    classes = [
        rr.ClassDescription(
            info=rr.AnnotationInfo(id=0, label="animal"),
            keypoint_annotations=[rr.AnnotationInfo(id=k, label=name) for k, name in enumerate(poses.keypoints)],
            keypoint_connections=poses.skeleton,
        )
    ]
    recording.log("camera", rr.AnnotationContext(classes), static=True)
    if poses.video is not None and poses.session is not None:
        _log_video(recording, poses)
    for row, t_s in enumerate(poses.t_s):
        recording.set_time(TIMELINE, duration=float(t_s))
        _log_pose(recording, poses, row)
    for event in poses.events:
        recording.set_time(TIMELINE, duration=event.t_s)
        because = f" ({event.reason})" if event.reason else ""
        level = rr.TextLogLevel.INFO if event.outcome == "fired" else rr.TextLogLevel.DEBUG
        recording.log("events", rr.TextLog(f"{event.rule}: {event.outcome}{because}", level=level))
    recording.flush()


def _log_pose(recording: Any, poses: Poses, row: int) -> None:
    import rerun as rr

    offset = (0, 0) if poses.session is None else poses.session.info.cameras[poses.camera].offset_xy
    xy = poses.xy[row] - np.array(offset)
    seen = np.flatnonzero(np.isfinite(xy).all(axis=-1))
    # A picture's corner is (0, 0) there, the centre of its first pixel here.
    points = rr.Points2D(xy[seen] + 0.5, keypoint_ids=seen.tolist(), class_ids=0, radii=2.0)
    recording.log("camera/pose", points)
    if poses.covariance is not None:
        outlines = [ellipse(xy[k] + 0.5, poses.covariance[row, k]) for k in seen]
        recording.log("camera/ellipses", rr.LineStrips2D(outlines, radii=0.5))
    for k in range(len(poses.keypoints)):
        recording.log(f"confidence/{poses.keypoints[k]}", rr.Scalars(float(poses.confidence[row, k])))
        if poses.velocity is not None and k in seen:
            speed = float(np.hypot(*poses.velocity[row, k]))
            recording.log(f"speed/{poses.keypoints[k]}", rr.Scalars(speed))


def _log_video(recording: Any, poses: Poses) -> None:
    """The film as MP4, the one container that rerun reads, each frame at its exposure."""
    import rerun as rr

    assert poses.session is not None
    assert poses.video is not None
    times = read_times(poses.session.path, poses.camera)
    assert times is not None
    with tempfile.TemporaryDirectory(prefix="rt-pose-export-") as folder:
        film = Path(folder) / "film.mp4"
        _as_mp4(poses.video, film)
        asset = rr.AssetVideo(path=film)
        recording.log("camera/video", asset, static=True)
        stamps = asset.read_frame_timestamps_nanos()
    t_of = dict(zip(poses.frames.tolist(), poses.t_s.tolist(), strict=True))
    rows = [(t_of[frame], i) for i, frame in enumerate(times.frame.tolist()) if frame in t_of and i < len(stamps)]
    recording.send_columns(
        "camera/video",
        indexes=[rr.TimeColumn(TIMELINE, duration=[t for t, _ in rows])],
        columns=rr.VideoFrameReference.columns_nanos([stamps[i] for _, i in rows]),
    )


def _as_mp4(film: Path, out: Path) -> None:
    """Put a film into another container, its pictures as they are."""
    with av.open(str(film)) as source, av.open(str(out), "w") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                target.mux(packet)


def _blueprint(poses: Poses) -> Any:
    import rerun.blueprint as rrb

    return rrb.Blueprint(
        rrb.Horizontal(
            rrb.Spatial2DView(origin="camera", name=poses.camera or "camera"),
            rrb.Vertical(
                rrb.TimeSeriesView(origin="speed", name="speed, px/s"),
                rrb.TimeSeriesView(origin="confidence", name="confidence"),
                rrb.TextLogView(origin="events", name="events"),
            ),
            column_shares=[3, 2],
        )
    )


def ellipse(xy: NDArray[np.float64], covariance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Outline the region that holds a keypoint with 90 %.

    Parameters
    ----------
    xy
        Its position, px.
    covariance
        sxx, sxy, syy, px^2.

    Returns
    -------
    NDArray[np.float64]
        (P, 2) px, closed.
    """
    sxx, sxy, syy = covariance
    values, vectors = np.linalg.eigh(np.array([[sxx, sxy], [sxy, syy]]))
    angle = np.linspace(0.0, 2.0 * np.pi, ELLIPSE_POINTS + 1)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    outline: NDArray[np.float64] = xy + (circle * np.sqrt(np.maximum(values, 0.0) * CHI2_90)) @ vectors.T
    return outline
