"""A sealed session of two cameras with all that an export must not lose, made without waiting.

Frames are lost, exposures unknown, keypoints lost, a recording wound back; one camera is filmed, but for some
of its frames; rules fire, are withheld and suppressed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from support.random_session import HEIGHT, KEYPOINTS, WIDTH, tracking, write_random_session

from rt_pose.clock import NS_PER_MS
from rt_pose.config.rules import ActionConfig, RuleConfig, ZoneConfig
from rt_pose.config.schema import CameraConfig, OutputConfig, PublishConfig, RunConfig
from rt_pose.package import MANIFEST, DecodeSpec, InputSpec, Manifest, PrecisionReport, manifest_sha256
from rt_pose.records import AckRecord, CommandRecord, End, Record, decode
from rt_pose.session.log_file import LOG_NAME, LogGaps, LogWriter, iterate_log
from rt_pose.session.read import INFO_NAME, Session
from rt_pose.session.seal import write_seal
from rt_pose.session.video_file import VideoWriter
from rt_pose.types import Ack, FrameStamps

FILMED, NOT_FILMED = "top", "side"
SKELETON = [("nose", "paw"), ("nose", "tail")]
METADATA: dict[str, Any] = {
    "subject": {"subject_id": "m17", "species": "Mus musculus", "sex": "F", "age": "P90D"},
    "experimenter": ["Doe, Jane"],
    "institution": "ours",
    "lab": "ours",
}
START_UTC_NS = 1_790_000_000_000_000_000
OFFSET_XY = (20, 10)
"""Of the filmed camera, on its sensor."""


def write_export_session(path: Path, frames: int = 240) -> Session:
    """The session in `path`, and beside it the folder `package` with a manifest alone."""
    config = RunConfig(
        cameras={name: CameraConfig("simulated") for name in (FILMED, NOT_FILMED)},
        outputs={"laser": OutputConfig("simulated", {"delay_ms": 2.0})},
        zones={"left": ZoneConfig([80.0, 128.0, 90.0])},
        rules=[
            RuleConfig("fast", "speed(nose) > 150", ActionConfig("laser", "5 ms"), refractory="50 ms"),
            RuleConfig("left", "inside(paw, left)", ActionConfig("laser", "5 ms"), withhold=0.5),
        ],
        publish=PublishConfig("tcp://127.0.0.1:*", "tcp://127.0.0.1:*"),
        budget_ms=15.0,
        armed_at_start=True,
        metadata=METADATA,
        seed=4,
    )
    write_random_session(path, 6, frames, config)
    _carry_out(path / LOG_NAME)
    film_frames(path, Session.read(path))
    info = json.loads((path / INFO_NAME).read_text())
    first_ns = Session.read(path).frames[0].stamps.t_arrival_ns
    info["anchors"] = [{"t_mono_ns": first_ns, "t_utc_ns": START_UTC_NS}]
    info["package"] |= {
        "skeleton": SKELETON,
        "path": str(path.parent / "package"),
        "sha256": write_manifest(path.parent / "package"),
    }
    info["cameras"][FILMED]["offset_xy"] = OFFSET_XY
    info["status"] = "complete"
    (path / INFO_NAME).write_text(json.dumps(info))
    assert write_seal(path, info, START_UTC_NS, "") == ""
    return Session.read(path)


def _carry_out(log: Path) -> None:
    """Write the log once more, in chunks, as a recorder does, so that it has a chain.

    Nothing carried the commands out: each is answered here 1 ms after it was given, every other one by a
    device whose clock is known, a further millisecond later.
    """
    messages = list(iterate_log(log, LogGaps()))
    log.unlink()
    writer, given_ns = LogWriter(log), dict[int, int]()
    for i, message in enumerate(messages):
        record = decode(message.topic, message.payload)
        if isinstance(record, CommandRecord):
            given_ns[record.command.id] = record.t_ns
        elif isinstance(record, AckRecord):
            number = record.ack.command_id
            sent_ns = given_ns[number] + NS_PER_MS
            effect_ns = sent_ns + NS_PER_MS if number % 2 else None
            record.ack = Ack(number, record.ack.output, sent_ns, sent_ns, None, True, "", effect_ns)
        elif isinstance(record, End):
            record.counts["commands_failed"] = 0
        if isinstance(record, Record) and message.topic != "chain":
            writer.write(message.topic.encode(), record.t_ns, msgspec.msgpack.encode(record))
        if i % 300 == 299:
            writer.flush()
    writer.close()


def film_frames(path: Path, session: Session) -> None:
    """A film of one camera; every 20th frame of it was overwritten before the recorder came, and
    every 20th was not decided on."""
    writer = VideoWriter(path, FILMED, HEIGHT, WIDTH, 1, 100.0)
    frames = [record.stamps for record in session.frames if record.camera == FILMED]
    for i, stamps in enumerate(frames):
        if i % 20 != 19:
            writer.write(np.full((HEIGHT, WIDTH, 1), 40 + i % 50, np.uint8), stamps)
        if i % 20 == 9:  # one that was filmed and not decided on
            later_ns = stamps.t_arrival_ns + 1000
            other = FrameStamps(stamps.index, None, later_ns, later_ns)
            writer.write(np.full((HEIGHT, WIDTH, 1), 90, np.uint8), other)
    writer.close()


def write_manifest(folder: Path) -> str:
    """The manifest of a package without its networks; its hash."""
    folder.mkdir()
    manifest = Manifest(
        keypoints=KEYPOINTS,
        skeleton=SKELETON,
        input=InputSpec(WIDTH, HEIGHT, 1, mean=[100.0], std=[50.0]),
        decode=DecodeSpec(stride=4),
        tracking=tracking(),
        precisions={"float32": PrecisionReport(1.0, 0.0, 0.0)},
    )
    manifest.sha256 = manifest_sha256(manifest)
    (folder / MANIFEST).write_bytes(msgspec.json.encode(manifest))
    return manifest.sha256
