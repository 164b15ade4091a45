"""A small session of two cameras and two animals with known figures, by the program's own writers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from rt_pose.clock import NS_PER_MS
from rt_pose.records import (
    AckRecord,
    ArrayData,
    CommandRecord,
    ControlRecord,
    End,
    EventRecord,
    NoticeRecord,
    Observation,
    Record,
    TrackRecord,
    Truth,
    topic_of,
)
from rt_pose.session.log_file import LOG_NAME, LogWriter
from rt_pose.session.video_file import VideoWriter
from rt_pose.types import Ack, CameraInfo, Command, Event, FrameStamps, StageStamps

CAMERAS = ("left", "right")
KEYPOINTS = ["nose", "tail"]
WIDTH, HEIGHT, CHANNELS = 64, 48, 1
FRAMES, PERIOD_NS = 60, 20 * NS_PER_MS
T0_NS = 1_000_000 * NS_PER_MS
RIGHT_LAG_NS = 5 * NS_PER_MS
"""The right camera exposes so much later."""
SPEED_PX_S = 50.0
"""Of the first animal's nose; the second one's is half as fast."""
EVENTS = {10: "fired", 20: "withheld", 30: "suppressed", 40: "fired"}
"""By frame; the command of the last one is refused."""
MARK_FRAME = 15
INDIVIDUALS = ["ada", "bo"]
BO_UNSURE, BO_EMPTY, EXCHANGED = range(30, 40), range(50, 55), range(56, 60)
"""Frames in which it is not sure that the second one is who it was, in which its slot is empty, and in which
the right camera's slots hold each the other animal."""
CONFIG: dict[str, Any] = {
    "individuals": INDIVIDUALS,
    "budget_ms": 12.0,
    "zones": {"plate": {"circle": [30.0, 20.0, 8.0]}},
    "geometry": {camera: {"mm_per_px": 0.5} for camera in CAMERAS},
    "cameras": {camera: {"driver": "simulated"} for camera in CAMERAS},
    "rules": [{"name": "visit", "when": "inside(nose, plate)"}],
}


def exposure(frame: int, camera: str = "left") -> int:
    """When a frame was taken, ns."""
    return T0_NS + frame * PERIOD_NS + (RIGHT_LAG_NS if camera == "right" else 0)


def keypoints(frame: int) -> np.ndarray:
    """(N, K, 2) px: both animals run to the right."""
    t_s = frame * PERIOD_NS / 1e9
    animals = [[[5 + v * t_s, y], [v * t_s, y]] for v, y in ((SPEED_PX_S, 20.0), (SPEED_PX_S / 2, 40.0))]
    return np.array(animals)


def exchanged(frame: int, camera: str) -> bool:
    """Whether the slots of a camera hold each the other animal."""
    return camera == "right" and frame in EXCHANGED


def write_recorded_session(folder: Path, status: str = "complete") -> Path:
    """Write it into a folder that is made."""
    folder.mkdir(parents=True)
    infos = {name: CameraInfo(name, "simulated", "1", WIDTH, HEIGHT, CHANNELS, 50.0) for name in CAMERAS}
    info = {
        "schema": 1,
        "id": "0190f1e2-7a3b-7c4d-8e5f-000000000009",
        "config": CONFIG,
        "package": {"keypoints": KEYPOINTS, "skeleton": [["nose", "tail"]]},
        "cameras": {name: msgspec.to_builtins(camera) for name, camera in infos.items()},
        "budget_ms": CONFIG["budget_ms"],
        "status": status,
    }
    (folder / "session.json").write_text(json.dumps(info), encoding="utf-8")
    log = LogWriter(folder / LOG_NAME)
    for record in sorted(_records(), key=lambda one: one.t_ns):
        log.write(topic_of(record).encode(), record.t_ns, msgspec.msgpack.encode(record))
    log.flush()
    log.close()
    for name in CAMERAS:
        film = VideoWriter(folder, name, HEIGHT, WIDTH, CHANNELS, 50.0)
        for frame in range(FRAMES):
            level = 40 + 3 * frame % 200
            film.write(np.full((HEIGHT, WIDTH, CHANNELS), level, np.uint8), _stamps(frame, name))
        film.close()
    return folder


def _stamps(frame: int, camera: str) -> FrameStamps:
    t_ns = exposure(frame, camera)
    return FrameStamps(frame, t_ns, t_ns + 2 * NS_PER_MS, t_ns)


def _records() -> list[Record]:
    records: list[Record] = [
        ControlRecord(t_ns=T0_NS - NS_PER_MS, seq=0, do="arm", origin="start"),
        ControlRecord(t_ns=exposure(MARK_FRAME) + NS_PER_MS, seq=1, do="mark", args={"text": "water given"}),
        NoticeRecord(t_ns=exposure(50), output="laser", text="interlock open"),
        End(t_ns=exposure(FRAMES), reason="time is up"),
    ]
    for frame in range(FRAMES):
        for side, camera in enumerate(CAMERAS):
            records += _frame(frame, camera, 2 + 2 * frame + side)
        if frame in EVENTS:
            records += _event(frame, len(records))
    return records


def _frame(frame: int, camera: str, seq: int) -> list[Record]:
    stamps, ms = _stamps(frame, camera), NS_PER_MS
    arrival = stamps.t_arrival_ns
    late = 9 * ms if frame == 5 else 0
    stages = StageStamps(
        t_taken_ns=arrival,
        t_preprocessed_ns=arrival + ms,
        t_inferred_ns=arrival + 3 * ms,
        t_pose_ns=arrival + 3 * ms,
        t_tracked_ns=arrival + 3 * ms,
        t_judged_ns=arrival + 3 * ms,
        t_decided_ns=arrival + 4 * ms + late,
        t_published_ns=arrival + 5 * ms + late,
    )
    animals = [1, 0] if exchanged(frame, camera) else [0, 1]
    empty = np.array([False, frame in BO_EMPTY])
    xy = keypoints(frame)
    velocity = np.zeros_like(xy)
    velocity[..., 0] = [[SPEED_PX_S], [SPEED_PX_S / 2]]
    # What the network finds is in no order of animals, and one of it is nobody.
    observation = Observation(
        t_ns=stages.t_published_ns,
        seq=seq,
        camera=camera,
        stamps=stamps,
        xy=ArrayData.of(np.concatenate([xy[::-1], np.full((1, 2, 2), 60.0)])),
        cov=ArrayData.of(np.broadcast_to(np.eye(2), (3, 2, 2, 2))),
        confidence=ArrayData.of(np.array([[0.7, 0.6], [0.9, 0.8], [0.3, 0.3]])),
        t_judged_ns=stages.t_judged_ns,
        stages=stages,
    )
    track = TrackRecord(
        t_ns=stages.t_published_ns,
        seq=seq,
        camera=camera,
        index=frame,
        t_valid_ns=stamps.t_scene_ns,
        xy=ArrayData.of(np.where(empty[:, None, None], np.nan, xy[animals])),
        velocity=ArrayData.of(np.where(empty[:, None, None], np.nan, velocity[animals])),
        cov=ArrayData.of(np.broadcast_to(np.eye(4), (2, 2, 4, 4))),
        lost=[False, False, bool(empty[1]), frame == 25 or bool(empty[1])],
        alive=(~empty).tolist(),
        identity_p=[0.99, None if empty[1] else 0.8 if frame in BO_UNSURE else 0.97],
        detection=[1 - animals[0], -1 if empty[1] else 1 - animals[1]],
    )
    truth = Truth(
        t_ns=stages.t_published_ns, camera=camera, index=frame, xy=ArrayData.of(xy), visible=[True] * 4
    )
    return [observation, track, truth]


def _event(frame: int, number: int) -> list[Record]:
    t_ns, outcome = exposure(frame), EVENTS[frame]
    event = Event(
        id=number,
        rule="visit",
        individual=0,
        outcome=outcome,  # type: ignore[arg-type]
        reason="" if outcome == "fired" else "control trial" if outcome == "withheld" else "disarmed",
        probability=None,
        value=1.0,
        camera="left",
        frame_index=frame,
        t_cause_ns=t_ns,
        t_judged_ns=t_ns + 4 * NS_PER_MS,
        t_effect_ns=t_ns + 6 * NS_PER_MS,
        deadline_met=True,
        block="day",
        trial=frame // 10,
    )
    records: list[Record] = [EventRecord(t_ns=t_ns + 5 * NS_PER_MS, seq=2 + 2 * frame, event=event)]
    if outcome == "fired":
        at, ok = t_ns + 5 * NS_PER_MS, frame != 40
        command = Command(number, number, "laser", 0, "pulse", duration_us=5000)
        ack = Ack(number, "laser", at, at, None, ok=ok, detail="" if ok else "interlock open")
        records += [
            CommandRecord(t_ns=at, seq=2 + 2 * frame, command=command, accepted=True),
            AckRecord(t_ns=at + NS_PER_MS, ack=ack),
        ]
    return records
