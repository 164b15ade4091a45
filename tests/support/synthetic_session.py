"""A session written by the real recorder process, from made-up frames with known figures.

The times in the records are made up as well (20 ms apart), so that every figure of the report is known; only
the pace at which the records are sent is real.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from unittest import mock

import cv2
import msgspec
import numpy as np
import zmq
from support.patience import PATIENCE_S, wait_until

from rt_pose.clock import NS_PER_MS, HostClock
from rt_pose.loop import frame_ring
from rt_pose.loop.frame_ring import FrameRing
from rt_pose.loop.log import RecordSink
from rt_pose.records import (
    AckRecord,
    ArrayData,
    CapturedFrame,
    CommandRecord,
    ControlRecord,
    DropRecord,
    End,
    EventRecord,
    Observation,
    Record,
    TrackRecord,
    Truth,
)
from rt_pose.session.describe import machine, uuid7, versions
from rt_pose.session.record import main as record
from rt_pose.types import Ack, CameraInfo, Command, Event, FrameStamps, OutputInfo, StageStamps

HEIGHT, WIDTH, PERIOD_NS = 192, 256, 20 * NS_PER_MS
KEYPOINTS = ["nose", "neck", "back", "tail_base", "paw"]
SKELETON = [["nose", "neck"], ["neck", "back"], ["back", "tail_base"], ["neck", "paw"]]
T0_NS = 1_000_000 * NS_PER_MS
BUDGET_MS = 12.0
BARE_MS = 3.0
ERROR_PX = 2.0
"""Every pose is this far to the right of the truth, every track half as far."""
RIGHT = np.array([ERROR_PX, 0.0])
DROP_EVERY, EVENT_EVERY, LATE_EVERY, PAW_HIDDEN = 25, 60, 100, range(100, 140)
OUTCOMES = ("fired", "withheld", "suppressed")
SLOTS, MOST_AHEAD = 256, 150
"""Of the ring, and frames that may wait for the film: so none is overwritten before the recorder comes."""


def keypoints_at(frame: int) -> np.ndarray:
    """(K, 2) px: an animal on an ellipse, its body behind its nose."""
    phase = frame * 0.045 - np.array([0.0, 0.16, 0.34, 0.52, 0.2])
    radius = np.array([1.0, 1.0, 1.0, 1.0, 1.12])
    return np.stack(
        [WIDTH / 2 + 80 * radius * np.cos(phase), HEIGHT / 2 + 55 * radius * np.sin(phase)], axis=1
    )


def image_at(frame: int, arena: np.ndarray) -> np.ndarray:
    """(H, W, 1) the arena with the animal."""
    image = arena.copy()
    xy = np.round(keypoints_at(frame) * 16).astype(int)
    for a, b, width in ((0, 1, 7), (1, 2, 13), (2, 3, 9), (1, 4, 3)):
        cv2.line(image, xy[a].tolist(), xy[b].tolist(), 70, width, cv2.LINE_AA, 4)
    return image[:, :, None]


def arena() -> np.ndarray:
    noise = np.random.default_rng(0).normal(175, 22, (HEIGHT // 6 + 1, WIDTH // 6 + 1))
    return cv2.resize(noise.clip(0, 255).astype(np.uint8), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


def start_recorder(session_dir: Path, endpoint: str, video: bool = True) -> SpawnProcess:
    """The real recorder in a process of its own."""
    context = multiprocessing.get_context("spawn")
    process = context.Process(
        target=record, args=(str(session_dir), endpoint, "h264" if video else None), name="recorder"
    )
    process.start()
    return process


def write_session(session_dir: Path, frames: int, pace_s: float = 0.001) -> None:
    """A whole session of `frames` frames, through a real recorder."""
    session_dir.mkdir(parents=True)
    write_info(session_dir)
    endpoint = f"ipc://{session_dir}/records.ipc"
    process = start_recorder(session_dir, endpoint)
    sender = SyntheticLoop(endpoint)
    for frame in range(frames):
        sender.frame(frame)
        time.sleep(pace_s)
        if frame % 25 == 0:
            wait_until(lambda sent=frame: frames_on_disk(session_dir) > sent - MOST_AHEAD)  # type: ignore[misc]
    sender.end(frames)
    process.join(PATIENCE_S)
    sender.close()
    assert process.exitcode == 0, process.exitcode
    (session_dir / "records.ipc").unlink(missing_ok=True)


def frames_on_disk(session_dir: Path) -> int:
    """How many frames the table of the film holds on the disk."""
    table = session_dir / "top.times.csv"
    return table.read_bytes().count(b"\n") - 1 if table.is_file() else -1


def run_until_killed(endpoint: str, pace_s: float, expected: Connection) -> None:
    """The main function of a loop process that goes on until it is killed. Tells the name of its ring."""
    sender = SyntheticLoop(endpoint)
    expected.send(sender.ring.description.name)
    frame = 0
    while True:
        sender.frame(frame)
        frame += 1
        time.sleep(pace_s)


class SyntheticLoop:
    """Sends what a loop with one camera would."""

    def __init__(self, endpoint: str) -> None:
        self.info = camera_info()
        self._context: zmq.Context = zmq.Context()
        self.sink = RecordSink(endpoint, HostClock(), self._context)
        self.sink.wait_for_recorder()
        with mock.patch.object(frame_ring, "MAX_SLOTS", SLOTS):
            self.ring = FrameRing.create(self.info)
        self._arena = arena()
        self._events = 0
        self.sink.hello()
        self.sink.ring(self.ring.description)
        self._send(ControlRecord(t_ns=T0_NS, seq=0, do="arm", origin="start"))

    def close(self) -> None:
        self.sink.close()
        self._context.term()
        self.ring.close()

    def frame(self, i: int) -> None:
        """A frame: dropped before the loop every 25th time, else all it leads to."""
        slot = i % self.ring.description.slots
        np.copyto(self.ring.begin_write(slot), image_at(i, self._arena))
        generation = self.ring.end_write(slot)
        stamps, now = self._stamps(i), T0_NS + i * PERIOD_NS + NS_PER_MS
        self._send(CapturedFrame(t_ns=now, camera="top", stamps=stamps, slot=slot, generation=generation))
        xy, visible = keypoints_at(i)[None], np.ones((1, len(KEYPOINTS)), bool)
        visible[0, KEYPOINTS.index("paw")] = i not in PAW_HIDDEN
        self._send(
            Truth(
                t_ns=now,
                camera="top",
                index=i,
                xy=ArrayData.of(xy),
                visible=[bool(v) for v in visible.ravel()],
            )
        )
        if i % DROP_EVERY == DROP_EVERY - 1:
            self._send(
                DropRecord(
                    t_ns=now,
                    stage="capture",
                    reason="superseded by a newer frame",
                    count=1,
                    camera="top",
                    first_index=i,
                )
            )
            return
        self._decide(i, stamps, xy)

    def end(self, frames: int) -> None:
        self._send(DropRecord(t_ns=self._t(frames), stage="device", reason="gap", count=2, camera="top"))
        self._send(End(t_ns=self._t(frames), reason="time is up"))

    def _decide(self, i: int, stamps: FrameStamps, truth: np.ndarray) -> None:
        arrival, ms = stamps.t_arrival_ns, NS_PER_MS
        late = 8 * ms if i % LATE_EVERY == 0 else 0
        wobble = int((i * 7919) % 1000) * 400
        stages = StageStamps(
            t_taken_ns=arrival + ms // 10,
            t_preprocessed_ns=arrival + ms // 2,
            t_inferred_ns=arrival + 4 * ms + wobble + late,
            t_pose_ns=arrival + 4 * ms + wobble + late + ms // 5,
            t_tracked_ns=arrival + 4 * ms + wobble + late + ms // 3,
            t_judged_ns=arrival + 4 * ms + wobble + late + ms // 3,
            t_decided_ns=arrival + 4 * ms + wobble + late + ms // 2,
            t_published_ns=arrival + 5 * ms + wobble + late,
        )
        k = len(KEYPOINTS)
        self._send(
            Observation(
                t_ns=stages.t_published_ns,
                seq=i + 1,
                camera="top",
                stamps=stamps,
                xy=ArrayData.of(truth + RIGHT),
                cov=ArrayData.of(np.broadcast_to(np.eye(2), (1, k, 2, 2))),
                confidence=ArrayData.of(np.full((1, k), 0.9)),
                t_judged_ns=stages.t_judged_ns,
                stages=stages,
            )
        )
        velocity = (keypoints_at(i + 1) - keypoints_at(i))[None] * 50.0
        self._send(
            TrackRecord(
                t_ns=stages.t_published_ns,
                seq=i + 1,
                camera="top",
                index=i,
                t_valid_ns=stamps.t_scene_ns,
                xy=ArrayData.of(truth + RIGHT / 2),
                velocity=ArrayData.of(velocity),
                cov=ArrayData.of(np.broadcast_to(np.eye(4), (1, k, 4, 4))),
                lost=[False] * k,
            )
        )
        if i % EVENT_EVERY == EVENT_EVERY - 2:
            self._event(i, stages.t_decided_ns, stamps)

    def _event(self, i: int, t_decided: int, stamps: FrameStamps) -> None:
        outcome = OUTCOMES[self._events % 3] if self._events else "fired"
        self._events += 1
        event = Event(
            id=self._events,
            rule="corner",
            individual=0,
            outcome=outcome,
            reason="" if outcome == "fired" else "control trial" if outcome == "withheld" else "disarmed",
            probability=None,
            value=12.5,
            camera="top",
            frame_index=i,
            t_cause_ns=stamps.t_exposure_ns or 0,
            t_judged_ns=t_decided,
            t_effect_ns=t_decided + NS_PER_MS,
            deadline_met=True,
        )
        self._send(EventRecord(t_ns=t_decided, seq=i + 1, event=event))
        if outcome != "fired":
            return
        command = Command(self._events, self._events, "laser", 0, "pulse", duration_us=5000)
        self._send(CommandRecord(t_ns=t_decided, seq=i + 1, command=command, accepted=True))
        ack = Ack(self._events, "laser", t_decided + NS_PER_MS // 2, t_decided + 2 * NS_PER_MS, 77, ok=True)
        self._send(AckRecord(t_ns=t_decided + 2 * NS_PER_MS, ack=ack))

    def _stamps(self, i: int) -> FrameStamps:
        exposure = self._t(i)
        return FrameStamps(
            index=i, t_exposure_ns=exposure, t_arrival_ns=exposure + 2 * NS_PER_MS, t_scene_ns=exposure
        )

    def _t(self, i: int) -> int:
        return T0_NS + i * PERIOD_NS

    def _send(self, record: Record) -> None:
        self.sink.send(record)


def camera_info() -> CameraInfo:
    return CameraInfo("top", "simulated", "made-up", WIDTH, HEIGHT, 1, 50.0)


def write_info(session_dir: Path) -> None:
    """session.json as the supervisor writes it."""
    info = {
        "schema": 1,
        "id": uuid7(HostClock()),
        "started_utc_ns": 1_790_000_000_000_000_000,
        "anchors": [{"t_mono_ns": T0_NS, "t_utc_ns": 1_790_000_000_000_000_000}],
        "config": {"budget_ms": BUDGET_MS, "rules": [{"name": "corner", "when": "speed(nose) > 50"}]},
        "package": {"path": "somewhere/package", "sha256": "ab" * 32, "keypoints": KEYPOINTS}
        | {"skeleton": SKELETON, "tracking": {"calibrated": False}},
        "engine": {"backend": "openvino", "device": "cpu", "precision": "float32", "threads": 2},
        "machine": machine(),
        "versions": versions(),
        "cameras": {"top": msgspec.to_builtins(camera_info())},
        "outputs": {"laser": msgspec.to_builtins(OutputInfo("laser", "simulated", "1", 1.0, True))},
        "budget_ms": BUDGET_MS,
        "bare_forward_ms": {"p50": BARE_MS, "p99": 3.4, "n": 200},
        "status": "running",
        "written_by_pid": os.getpid(),
    }
    (session_dir / "session.json").write_text(json.dumps(info), encoding="utf-8")


def supervise_recorder(session_dir: Path, endpoint: str, announce: Connection) -> None:
    """The main function of a supervisor that starts a recorder and waits for its end."""
    recorder = start_recorder(session_dir, endpoint)
    announce.send(recorder.pid)
    recorder.join()
