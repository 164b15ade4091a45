"""The tracks in space of a group of cameras, each with the observations that it was made from, and the frames
at which its rules were judged."""

from __future__ import annotations

from dataclasses import dataclass

from rt_pose.clock import NS_PER_MS
from rt_pose.records import GroupRecord, Observation, Track3DRecord
from rt_pose.session.individuals import names_of_individuals
from rt_pose.session.read import Session


@dataclass(frozen=True, slots=True)
class GroupTrack:
    """A turn of a group in which something was placed or carried on."""

    turn: GroupRecord
    track: Track3DRecord
    used: list[Observation]
    """Observations of the turn that were used, in the order in which they were."""
    newest: Observation
    """The newest of all used so far: at its exposure the track stands."""

    @property
    def to_decision_ms(self) -> float | None:
        """From the exposure of the newest view to the decision, ms; None where one of them is not known."""
        stages, exposed_ns = self.turn.stages, self.newest.stamps.t_exposure_ns
        if stages is None or not stages.t_decided_ns or exposed_ns is None:
            return None
        return (stages.t_decided_ns - exposed_ns) / NS_PER_MS


def group_tracks(session: Session, group: str) -> list[GroupTrack]:
    """Bring tracks and observations of a group together.

    Parameters
    ----------
    session
        The session.
    group
        Name of the group.

    Returns
    -------
    list[GroupTrack]
        In the order of the turns. One whose observations did not reach the log is left out.
    """
    observations = {one.seq: one for one in session.observations}
    tracks = {one.seq: one for one in session.tracks3d if one.group == group}
    found = []
    newest: Observation | None = None
    for turn in sorted((one for one in session.groups if one.group == group), key=lambda one: one.seq):
        used = [observations[seq] for seq in turn.used if seq in observations]
        for observation in used:
            if newest is None or _is_newer(newest, observation):
                newest = observation
        track = tracks.get(turn.seq)
        if track is not None and newest is not None:
            found.append(GroupTrack(turn, track, used, newest))
    return found


def judged_frames(session: Session) -> dict[int, Observation]:
    """Find the frame on which the decisions of each input were made.

    Parameters
    ----------
    session
        The session.

    Returns
    -------
    dict[int, Observation]
        By the number of the input: an observation itself; of a turn of a group of views the newest that it
        had used.
    """
    found = {one.seq: one for one in session.observations}
    for group in session.info.views:
        found |= {one.turn.seq: one.newest for one in group_tracks(session, group)}
    return found


def groups_of(session: Session, camera: str) -> list[str]:
    """List the groups of views that a camera belongs to.

    Parameters
    ----------
    session
        The session.
    camera
        Name of the camera.

    Returns
    -------
    list[str]
        Their names.
    """
    return [name for name, info in session.info.views.items() if camera in info.cameras]


def _is_newer(newest: Observation, observation: Observation) -> bool:
    """Whether an observation is at or after the newest one, or of a clock that was set anew."""
    before, stamps = newest.stamps, observation.stamps
    return stamps.epoch != before.epoch or stamps.t_scene_ns >= before.t_scene_ns


def individuals_in_space(session: Session, group: str) -> list[str]:
    """List the names of the animals that a group has placed.

    Parameters
    ----------
    session
        The session.
    group
        Name of the group.

    Returns
    -------
    list[str]
        By slot; empty where one animal was placed.
    """
    count = max((len(one.alive) for one in session.tracks3d if one.group == group), default=0)
    return names_of_individuals(session.info.config, count)
