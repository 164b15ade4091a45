"""`rt-pose replay --publish`: a session on the wire once more, at the pace at which it happened.

Downstream programs are written and tried without an animal: they see topics, headers and times between
messages as the run sent them. What is sent is what was logged, and nothing is computed again: there are no
`prediction`s, and frames that were dropped are counted as `stats` did. Outcomes are not blinded: the
session is over.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from rt_pose.clock import NS_PER_S, Clock
from rt_pose.errors import UserError
from rt_pose.loop.latency import frame_latency
from rt_pose.loop.ports import is_local
from rt_pose.loop.publish import Publisher, WireFormat
from rt_pose.loop.publish3d import GroupPublisher, group_header
from rt_pose.records import (
    AckRecord,
    EventRecord,
    Observation,
    Record,
    StatsRecord,
    Track3DRecord,
    TrackRecord,
)
from rt_pose.rules.keypoint_name import individual_names
from rt_pose.session.group_tracks import group_tracks
from rt_pose.session.read import Session
from rt_pose.types import FloatArray, Individuals, Pose, Track, Track3D

META_PERIOD_NS = 5 * NS_PER_S
FIRST_WAIT_NS = NS_PER_S // 2
"""For subscribers to come before the first message: what is sent before they do is lost to them."""
LAST_WAIT_NS = NS_PER_S // 5
"""For the last messages to reach them: a socket that is closed forgets what is still on its way."""


def republish(session: Session, address: str, clock: Clock, speed: float = 1.0) -> int:
    """Publish a session's poses, events, acknowledgements and stats again.

    Parameters
    ----------
    session
        The session.
    address
        ZeroMQ address, as `publish.address` of a run.
    clock
        Paces the messages, and stamps their publication.
    speed
        How many times as fast as it was.

    Returns
    -------
    int
        Messages that were sent.

    Raises
    ------
    UserError
        Where the address cannot be bound, or the session has nothing to publish.
    """
    if not 0.01 <= speed <= 1000.0:
        raise UserError(f"--speed: expected 0.01 to 1000, got {speed:g}")
    records = _in_time(session)
    if not records:
        raise UserError(f"session {session.path}: nothing was observed, so there is nothing to publish")
    if not is_local(address):
        raise UserError(
            f"--publish: {address} is open to other machines; expected tcp://127.0.0.1:PORT, and "
            "the port forwarded (e.g. `ssh -L`)"
        )
    publisher = Publisher(address, session.info.id, clock, format=_format(session), key="publish")
    try:
        return _send_all(session, records, publisher, clock, speed)
    finally:
        publisher.close()


def _in_time(session: Session) -> list[Record]:
    everything: list[Record] = [
        *session.tracks, *session.tracks3d, *session.events, *session.acks, *session.stats
    ]  # fmt: skip
    return sorted(everything, key=lambda record: record.t_ns)


def _send_all(
    session: Session, records: list[Record], publisher: Publisher, clock: Clock, speed: float
) -> int:
    meta, sent, dropped = _meta(session), 0, 0
    publisher.individuals = _names(session)
    begun_ns, first_ns, next_meta_ns = clock.now_ns() + FIRST_WAIT_NS, records[0].t_ns, 0
    seen = {observation.seq: observation for observation in session.observations}
    groups = _Groups(session, publisher)
    for record in records:
        due_ns = begun_ns + round((record.t_ns - first_ns) / speed)
        while True:
            if clock.now_ns() >= next_meta_ns:
                publisher.send("meta", meta)
                now_ns = clock.now_ns()  # those who come within the first wait need it too
                next_meta_ns = begun_ns if now_ns < begun_ns else now_ns + META_PERIOD_NS
            publisher.flush()
            if clock.now_ns() >= due_ns:
                break
            clock.sleep_until_ns(min(due_ns, clock.now_ns() + NS_PER_S // 20))
        if isinstance(record, StatsRecord):
            dropped = _dropped(record)
        if isinstance(record, Track3DRecord):
            sent += groups.send(record)
        else:
            sent += _send(record, seen, session.info.budget_ms, publisher, dropped)
    clock.sleep_until_ns(clock.now_ns() + LAST_WAIT_NS)
    return sent


def _send(
    record: Record, seen: dict[int, Observation], budget_ms: float | None, publisher: Publisher, dropped: int
) -> int:
    if isinstance(record, TrackRecord):
        observation = seen.get(record.seq)
        if observation is None:  # its record was lost
            return 0
        latency = frame_latency(observation.stamps, observation.stages)
        met = budget_ms is None or not latency.exposure_to_decision > budget_ms
        at_ns = observation.stages.t_published_ns or None
        pose = _pose(observation)
        publisher.pose(pose, _track(record, pose), latency, met, dropped, at_ns=at_ns)
    elif isinstance(record, EventRecord):
        publisher.event(record.event)
    elif isinstance(record, AckRecord):
        publisher.ack(record.ack)
    elif isinstance(record, StatsRecord):
        publisher.send("stats", {"stats": record.stats})
    return 1


class _Groups:
    """Tracks of groups of views, published once more."""

    def __init__(self, session: Session, publisher: Publisher) -> None:
        self._infos, self._budget_ms = session.info.views, session.info.budget_ms
        self._individuals = max([len(track.alive) for track in session.tracks3d], default=0) or 1
        self._turns = {one.turn.seq: one for name in self._infos for one in group_tracks(session, name)}
        self._publishers = {
            name: GroupPublisher(publisher, name, (self._individuals, len(info.keypoints)))
            for name, info in self._infos.items()
        }
        self._late: dict[int, int] = {}
        """By a turn's number, how many observations of its group were too old by then."""
        for name in self._infos:
            late = 0
            for turn in (one for one in session.groups if one.group == name):
                late += len(turn.late)
                self._late[turn.seq] = late

    def send(self, record: Track3DRecord) -> int:
        """Publish a track; 0 where the log lacks what belongs to it."""
        one, info = self._turns.get(record.seq), self._infos.get(record.group)
        if one is None or info is None or one.turn.stages is None:
            return 0
        shape = self._publishers[record.group].shape
        wanted = shape if record.alive else shape[1:]
        sizes = len(record.lost), len(record.views), len(record.alive), len(record.identity_p)
        keypoints, alive = math.prod(wanted), len(record.alive)
        if record.xyz.shape != [*wanted, 3] or sizes != (keypoints, keypoints, alive, alive):
            return 0
        errors = dict(zip(info.cameras, record.error_px, strict=False))
        stages, newest, late = one.turn.stages, one.newest, self._late[record.seq]
        at_ns = stages.t_published_ns
        header = group_header(newest.camera, newest.stamps, stages, at_ns, self._budget_ms, late, errors)
        self._publishers[record.group].publish("pose3d", _track3d(record), header)
        return 1


def _track3d(record: Track3DRecord) -> Track3D:
    shape = record.xyz.shape[:-1]
    confidence = record.p.array()
    return Track3D(
        record.t_valid_ns,
        record.xyz.array(),
        record.velocity.array(),
        record.cov.array(),
        np.full(shape, np.nan),
        np.array(record.lost, bool).reshape(shape),
        np.array(record.views, np.int64).reshape(shape),
        confidence,
        _individuals_in_space(record, confidence),
    )


def _individuals_in_space(record: Track3DRecord, confidence: FloatArray) -> Individuals | None:
    """Who is in which row of a group's track; None where there is one animal."""
    if not record.alive:
        return None
    return Individuals(
        alive=np.array(record.alive, bool),
        identity_p=np.array([np.nan if p is None else p for p in record.identity_p]),
        detection=np.array(record.detection[-1] if record.detection else [-1] * len(record.alive), np.int64),
        confidence=confidence,
        moved=np.zeros(len(record.alive), dtype=bool),
    )


def _format(session: Session) -> WireFormat:
    """That of the run's headers."""
    publish = session.info.config.get("publish")
    return "json" if isinstance(publish, dict) and publish.get("format") == "json" else "msgpack"


def _dropped(record: StatsRecord) -> int:
    """Frames dropped by then, as far as the log tells: poses of the run told it frame by frame."""
    dropped, frames = record.stats.get("dropped"), record.stats.get("frames")
    counts = [*dropped.values()] if isinstance(dropped, dict) else []
    counts += [frames.get("device_gaps")] if isinstance(frames, dict) else []
    return sum(count for count in counts if isinstance(count, int))


def _pose(observation: Observation) -> Pose:
    arrays = (observation.xy.array(), observation.cov.array(), observation.confidence.array())
    return Pose(observation.camera, observation.stamps, *arrays)


def _track(record: TrackRecord, pose: Pose) -> Track:
    xy = record.xy.array()
    lost = np.array(record.lost, bool).reshape(xy.shape[:2])
    unknown = np.full(xy.shape[:2], np.nan)
    return Track(
        record.camera,
        record.index,
        record.t_valid_ns,
        xy,
        record.velocity.array(),
        record.cov.array(),
        unknown,
        lost,
        _individuals(record, pose),
    )


def _individuals(record: TrackRecord, pose: Pose) -> Individuals | None:
    """Who was in which slot; None where one animal was tracked."""
    slots, keypoints = record.xy.shape[:2]
    if not len(record.alive) == len(record.identity_p) == len(record.detection) == slots:
        return None
    detection, confidence = np.array(record.detection, np.int64), np.zeros((slots, keypoints))
    seen = (detection >= 0) & (detection < len(pose.confidence))
    confidence[seen] = pose.confidence[detection[seen]]
    return Individuals(
        alive=np.array(record.alive, bool),
        identity_p=np.array([np.nan if p is None else p for p in record.identity_p]),
        detection=detection,
        confidence=confidence,
        moved=np.zeros(slots, bool),
    )


def _names(session: Session) -> Sequence[str]:
    """Names of the individuals of a session's tracks."""
    chosen = session.info.config.get("individuals")
    count = max((len(track.alive) for track in session.tracks), default=0)
    if isinstance(chosen, list) and len(chosen) == count:
        return [str(name) for name in chosen]
    return individual_names(count)


def _meta(session: Session) -> dict[str, Any]:
    info = session.info
    keypoints = info.package.keypoints
    return {
        "keypoints": keypoints,
        "skeleton": [[keypoints.index(a), keypoints.index(b)] for a, b in info.package.skeleton],
        "package": info.package.sha256,
        "cameras": {name: dataclasses.asdict(camera) for name, camera in info.cameras.items()},
        "outputs": list(info.outputs),
        "zones": info.config.get("zones", {}),
        "rules": [rule.get("name", "") for rule in info.config.get("rules", [])],
        "budget_ms": info.budget_ms,
        "config": info.config,
        **({"views": _views(session)} if info.views else {}),
        "republished": str(session.path),
    }


def _views(session: Session) -> dict[str, Any]:
    return {name: dataclasses.asdict(group) for name, group in session.info.views.items()}


def topics(session: Session) -> Iterator[str]:
    """List the topics on which a session is published.

    Parameters
    ----------
    session
        The session.

    Yields
    ------
    str
        A topic, each once.
    """
    yield from (f"pose/{name}/" for name in session.info.cameras)
    yield from (f"pose3d/{name}/" for name in session.info.views)
    yield from dict.fromkeys(f"event/{event.event.rule}/" for event in session.events)
    yield from dict.fromkeys(f"ack/{ack.ack.output}/" for ack in session.acks)
    yield from ("stats", "meta")
