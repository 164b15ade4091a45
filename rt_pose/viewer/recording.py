"""A recorded session as the viewer shows it: what was known and what happened at any time. No Qt in here.

Nothing is decided again, and nothing is hidden: the session is over, so controls are shown as what they were.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from rt_pose.clock import NS_PER_S
from rt_pose.config.rules import ZoneConfig
from rt_pose.delivery import FAILURES, Delivery, deliveries
from rt_pose.errors import UserError
from rt_pose.records import EventRecord
from rt_pose.session.individuals import individuals_of, name_of
from rt_pose.session.read import RUNNING, Session, read_info
from rt_pose.viewer.messages import CameraMeta, EventBody, Meta
from rt_pose.viewer.recorded_camera import RecordedCamera
from rt_pose.viewer.recorded_group import RecordedGroup


@dataclass(frozen=True, slots=True)
class Incident:
    """Something to step to: an event of a rule, or a note, an order, a fault."""

    t_ns: int
    text: str
    event: EventBody | None = None
    """Of an event of a rule."""
    failed: bool = False
    """Its command was not carried out, or it is an emergency stop or a fault."""


class Recording:
    """A session that can be gone through."""

    def __init__(self, session: Session) -> None:
        """Sort what a session holds by time.

        Parameters
        ----------
        session
            The session.

        Raises
        ------
        UserError
            Where nothing was observed in it.
        """
        self.session, self.meta = session, meta_of(session)
        self.cameras = {name: RecordedCamera(session, name) for name in session.info.cameras}
        self.groups = {name: RecordedGroup(session, name) for name in session.info.views}
        """Of cameras that see animals in space."""
        self.t_ns = sorted({t for camera in self.cameras.values() for t in camera.t_ns})
        """Times of the frames of all cameras, ns."""
        if not self.t_ns:
            raise UserError(f"session {session.path}: nothing was observed, so there is nothing to show")
        self.incidents = sorted(_incidents(session), key=lambda incident: incident.t_ns)
        self.events = [incident.event for incident in self.incidents if incident.event is not None]
        self.individuals = max(
            (len(camera.pose(0).lost) for camera in self.cameras.values() if camera.frames), default=1
        )
        """Of the camera that tracks the most."""
        self.names = individuals_of(session) if self.individuals > 1 else []
        """Of several individuals; empty where there is one."""

    def seconds(self, t_ns: int) -> float:
        """Convert a time to seconds since the first frame.

        Parameters
        ----------
        t_ns
            The time, ns.

        Returns
        -------
        float
            s.
        """
        return (t_ns - self.t_ns[0]) / NS_PER_S

    def frame_at(self, t_ns: int) -> int:
        """Find the frame, of any camera, that was the newest at a time.

        Parameters
        ----------
        t_ns
            The time, ns.

        Returns
        -------
        int
            Its place among `t_ns`; 0 before the first one.
        """
        return max(0, bisect_right(self.t_ns, t_ns) - 1)

    def step_incident(self, t_ns: int, direction: int) -> Incident | None:
        """Find the next event, note, order or fault, or the one before.

        Parameters
        ----------
        t_ns
            From where, ns; what belongs to the same frame is passed over.
        direction
            1 for the next, -1 for the one before.

        Returns
        -------
        Incident | None
            None where there is none.
        """
        place = self.frame_at(t_ns)
        if direction > 0:
            return next((one for one in self.incidents if self.frame_at(one.t_ns) > place), None)
        earlier = (one for one in reversed(self.incidents) if self.frame_at(one.t_ns) < place)
        return next(earlier, None)

    def shortly_before(self, t_ns: int, within_ns: int) -> list[Incident]:
        """List what had just happened at a time.

        Parameters
        ----------
        t_ns
            The time, ns.
        within_ns
            How far back, ns.

        Returns
        -------
        list[Incident]
            In order.
        """
        return [one for one in self.incidents if t_ns - within_ns <= one.t_ns <= t_ns]


def open_recording(path: Path) -> Recording:
    """Read a session folder.

    Parameters
    ----------
    path
        The folder.

    Returns
    -------
    Recording
        The session.

    Raises
    ------
    UserError
        Where it is no session, is still being recorded, or is empty.
    """
    if read_info(path).status == RUNNING:
        raise UserError(
            f"session {path}: it is still being recorded, and what was withheld stays hidden until it has "
            "ended; `rt-pose view` without a session shows the run"
        )
    return Recording(Session.read(path))


def meta_of(session: Session) -> Meta:
    """Describe a session as a subscriber is told of a run.

    Parameters
    ----------
    session
        The session.

    Returns
    -------
    Meta
        The description; zones that this program cannot read are left out.
    """
    info, config = session.info, session.info.config
    keypoints = info.package.keypoints
    index = {name: k for k, name in enumerate(keypoints)}
    zones: dict[str, ZoneConfig] = {}
    for name, plain in (config.get("zones") or {}).items():
        try:
            zones[name] = msgspec.convert(plain, ZoneConfig)
        except msgspec.ValidationError:
            continue
    return Meta(
        v=1,
        session=info.id,
        seq=0,
        t_pub_ns=0,
        keypoints=keypoints,
        skeleton=[(index[a], index[b]) for a, b in info.package.skeleton if a in index and b in index],
        cameras={
            name: CameraMeta(camera.width, camera.height, camera.channels, camera.rate_hz, camera.offset_xy)
            for name, camera in info.cameras.items()
        },
        zones=zones,
        rules=[rule.get("name", "") for rule in config.get("rules") or []],
        budget_ms=info.budget_ms,
        config=config,
        views=info.views,
    )


def _incidents(session: Session) -> list[Incident]:
    found = deliveries(session.commands, session.acks)
    names = individuals_of(session)
    incidents = [_of_event(record, found.get(record.event.id), names) for record in session.events]
    for control in session.controls:
        if control.do == "mark":
            text = f"note: {control.args.get('text', '')}"
        else:
            words = " ".join(str(value) for value in control.args.values())
            text = f"{control.do} {words}".strip() + f" ({control.origin})"
        incidents.append(Incident(control.t_ns, text, failed=control.do == "emergency"))
    for notice in session.notices:
        text = f"{notice.source} '{notice.output}': {notice.text}"
        incidents.append(Incident(notice.t_ns, text, failed=True))
    return incidents


def _of_event(record: EventRecord, delivery: tuple[Delivery, str] | None, names: Sequence[str]) -> Incident:
    event = record.event
    body = msgspec.convert(event, EventBody, from_attributes=True)
    whose = f" of {name_of(names, event.individual)}" if len(names) > 1 else ""
    text = f"{event.rule}{whose} {event.outcome}" + (f" ({event.reason})" if event.reason else "")
    if delivery is None:
        return Incident(event.t_cause_ns, text, body)
    kind, why = delivery
    failed = kind in FAILURES
    return Incident(event.t_cause_ns, f"{text}: {kind}" + f" ({why})" * bool(failed and why), body, failed)
