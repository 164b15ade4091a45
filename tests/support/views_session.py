"""A small session of three calibrated cameras that see one animal in space, with known figures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bench.calibration import make_rig
from rt_pose.clock import NS_PER_MS
from rt_pose.config.views import VIEWS_FOLDER, copy_name
from rt_pose.records import (
    AckRecord,
    ArrayData,
    CommandRecord,
    End,
    EventRecord,
    GroupRecord,
    NoticeRecord,
    Observation,
    Record,
    Track3DRecord,
    TrackRecord,
    topic_of,
)
from rt_pose.session.log_file import LOG_NAME, LogWriter
from rt_pose.types import (
    Ack,
    CameraInfo,
    Command,
    Event,
    FrameStamps,
    StageStamps,
    ViewCameraInfo,
    ViewsInfo,
)
from rt_pose.views.calibration_file import write_calibration
from rt_pose.views.camera import CalibratedCamera

GROUP = "arena"
KEYPOINTS = ["nose", "paw", "tail"]
SKELETON = [["nose", "paw"], ["paw", "tail"]]
FRAMES, PERIOD_NS, APART_NS = 40, 10 * NS_PER_MS, NS_PER_MS
T0_NS = 1_000_000 * NS_PER_MS
VELOCITY = np.array([100.0, 40.0, 10.0])
"""mm/s, of all keypoints."""
NOISE_PX = 3.0
"""By so much, to the right, each camera sees a keypoint elsewhere than it is."""
LATE, OUT_OF_ORDER, UNSEEN = 20, 10, 30
"""Frames whose second camera comes too late; whose second camera comes before the first; and in which the
last keypoint is lost in space."""
EVENT_FRAME = 15
WRONG = "camera 'c' has moved"
SUBJECT = {"subject_id": "m17", "species": "Mus musculus", "sex": "F", "age": "P90D"}


def cameras() -> list[CalibratedCamera]:
    """Named a, b and c."""
    return make_rig(np.random.default_rng(3), 3)


def info_of(calibrated: list[CalibratedCamera]) -> ViewsInfo:
    """The group's description."""
    own = [
        ViewCameraInfo(
            one.name,
            one.size,
            one.matrix.tolist(),
            one.distortions.tolist(),
            one.rotation.tolist(),
            one.translation.tolist(),
        )
        for one in calibrated
    ]
    names = [one.name for one in calibrated]
    return ViewsInfo(
        cameras=names,
        keypoints=KEYPOINTS,
        unit="mm",
        calibration="calibration.toml",
        calibration_sha256="0" * 64,
        calibration_unit="mm",
        origin=[0.0, 0.0, 0.0],
        up=[0.0, 0.0, 1.0],
        ahead=None,
        late_ms=20.0,
        calibrated=own,
    )


def exposure(frame: int, view: int) -> int:
    """When a frame was taken, ns."""
    return T0_NS + frame * PERIOD_NS + view * APART_NS


def places(t_ns: int) -> np.ndarray:
    """(K, 3) mm: all keypoints move alike."""
    start = np.array([[20.0, 0.0, 25.0], [0.0, 5.0, 15.0], [-30.0, 0.0, 10.0]])
    return start + (t_ns - T0_NS) / 1e9 * VELOCITY


def write_views_session(folder: Path) -> Path:
    """Write it into a folder that is made."""
    calibrated = cameras()
    (folder / VIEWS_FOLDER).mkdir(parents=True)
    write_calibration(folder / VIEWS_FOLDER / copy_name(GROUP), calibrated, 0.5)
    infos = {one.name: CameraInfo(one.name, "simulated", "", *one.size, 1, 100.0) for one in calibrated}
    config: dict[str, Any] = {
        "rules": [{"name": "high", "when": "height(nose) > 20", "view": GROUP}],
        "cameras": {one.name: {"driver": "simulated"} for one in calibrated},
        "views": {GROUP: {"calibration": "calibration.toml", "cameras": list(infos)}},
        "metadata": {"subject": SUBJECT, "experimenter": ["Doe, Jane"], "institution": "ours", "lab": "ours"},
    }
    info = {
        "schema": 1,
        "id": "0190f1e2-7a3b-7c4d-8e5f-000000000010",
        "config": config,
        "package": {"keypoints": KEYPOINTS, "skeleton": SKELETON},
        "cameras": {name: msgspec.to_builtins(one) for name, one in infos.items()},
        "views": {GROUP: msgspec.to_builtins(info_of(calibrated))},
        "budget_ms": 20.0,
        "status": "complete",
    }
    (folder / "session.json").write_text(json.dumps(info), encoding="utf-8")
    log = LogWriter(folder / LOG_NAME)
    for record in sorted(_records(calibrated), key=lambda one: one.t_ns):
        log.write(topic_of(record).encode(), record.t_ns, msgspec.msgpack.encode(record))
    log.close()
    return folder


def _records(calibrated: list[CalibratedCamera]) -> list[Record]:
    counts = {"views": {GROUP: {"restarts": 2, "wrong": ["c"], "why": WRONG}}}
    end_ns = exposure(FRAMES, 0) + 20 * NS_PER_MS
    records: list[Record] = [
        NoticeRecord(t_ns=exposure(35, 0), output=GROUP, text=WRONG, source="views"),
        End(t_ns=end_ns, reason="time is up", counts=counts),
    ]
    newest_ns = 0
    for frame in range(FRAMES):
        order = [1, 0, 2] if frame == OUT_OF_ORDER else [0, 1, 2]
        for turn, view in enumerate(order):
            seq = 6 * frame + 2 * turn
            late = frame == LATE and view == 1
            records += _observed(calibrated[view], frame, view, seq)
            if not late:
                newest_ns = max(newest_ns, exposure(frame, view))
            records += _turn(frame, view, seq, late, newest_ns)
    return records + _event()


def _observed(camera: CalibratedCamera, frame: int, view: int, seq: int) -> list[Record]:
    t_ns = exposure(frame, view)
    stamps = FrameStamps(100 + frame, t_ns, t_ns + 2 * NS_PER_MS, t_ns)
    xy = (camera.project(places(t_ns)) + np.array([NOISE_PX, 0.0]))[None]
    k, made_ns = len(KEYPOINTS), t_ns + 5 * NS_PER_MS
    stages = StageStamps(*(t_ns + (3 + i) * NS_PER_MS // 2 for i in range(8)))
    observation = Observation(
        t_ns=made_ns,
        seq=seq,
        camera=camera.name,
        stamps=stamps,
        xy=ArrayData.of(xy),
        cov=ArrayData.of(np.broadcast_to(np.eye(2), (1, k, 2, 2))),
        confidence=ArrayData.of(np.full((1, k), 0.9)),
        t_judged_ns=made_ns,
        stages=stages,
    )
    track = TrackRecord(
        t_ns=made_ns,
        seq=seq,
        camera=camera.name,
        index=stamps.index,
        t_valid_ns=t_ns,
        xy=ArrayData.of(xy),
        velocity=ArrayData.of(np.zeros((1, k, 2))),
        cov=ArrayData.of(np.broadcast_to(np.eye(4), (1, k, 4, 4))),
        lost=[False] * k,
    )
    return [observation, track]


def _turn(frame: int, view: int, seq: int, late: bool, newest_ns: int) -> list[Record]:
    made_ns = exposure(frame, view) + 6 * NS_PER_MS
    stages = None if late else StageStamps(t_decided_ns=exposure(frame, view) + 6 * NS_PER_MS)
    group = GroupRecord(
        t_ns=made_ns,
        seq=seq + 1,
        group=GROUP,
        used=[] if late else [seq],
        late=[seq] if late else [],
        t_judged_ns=0 if late else made_ns,
        stages=stages,
    )
    if late:
        return [group]
    k = len(KEYPOINTS)
    lost = [False] * (k - 1) + [frame == UNSEEN]
    xyz = np.where(np.array(lost)[:, None], np.nan, places(newest_ns))
    track = Track3DRecord(
        t_ns=made_ns,
        seq=seq + 1,
        group=GROUP,
        t_valid_ns=newest_ns,
        xyz=ArrayData.of(xyz),
        velocity=ArrayData.of(np.tile(VELOCITY, (k, 1))),
        cov=ArrayData.of(np.broadcast_to(np.diag([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), (k, 6, 6))),
        lost=lost,
        views=[3] * (k - 1) + [0 if frame == UNSEEN else 2],
        p=ArrayData.of(np.array([0.9, 0.8, 0.7])),
        error_px=[NOISE_PX if v == view else None for v in range(3)],
    )
    return [group, track]


def _event() -> list[Record]:
    t_ns = exposure(EVENT_FRAME, 0)
    event = Event(
        id=1,
        rule="high",
        individual=0,
        outcome="fired",
        reason="",
        probability=None,
        value=1.0,
        camera=GROUP,
        frame_index=100 + EVENT_FRAME,
        t_cause_ns=t_ns,
        t_judged_ns=t_ns + 6 * NS_PER_MS,
        t_effect_ns=t_ns + 8 * NS_PER_MS,
        deadline_met=True,
    )
    at, seq = t_ns + 6 * NS_PER_MS, 6 * EVENT_FRAME + 1
    command = Command(1, 1, "laser", 0, "pulse", duration_us=5000)
    return [
        EventRecord(t_ns=at, seq=seq, event=event),
        CommandRecord(t_ns=at, seq=seq, command=command, accepted=True),
        AckRecord(t_ns=at + NS_PER_MS, ack=Ack(1, "laser", at, at, None, ok=True)),
    ]
