"""`rt-pose replay SESSION --reference`: every track of a session computed again, by an independent filter.

Replay proves that this program decides the same again; this proves that its tracks are those of a Kalman
filter: see `reference_filter.py`. Of several individuals it takes from this program which detection is whose,
and reports where the log says otherwise.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from rt_pose.audit.recompute import ReplaySetup, logged_pose
from rt_pose.audit.reference_filter import LIBRARY, ReferenceTracker
from rt_pose.audit.replay import before_gap, usable_inputs
from rt_pose.console import track
from rt_pose.records import Observation, TrackRecord
from rt_pose.rules.keypoint_name import individual_names
from rt_pose.session.read import Session

TOLERANCE_PX = 1e-6


@dataclass
class Difference:
    """Largest differences between the tracks of one camera in the log and those of the reference."""

    camera: str
    n: int = 0
    """Positions compared: one for each frame and keypoint, of each individual, that has been seen."""
    position_px: float = 0.0
    """The largest difference of a coordinate."""
    deviation_px: float = 0.0
    """The largest difference of a coordinate's standard deviation."""
    velocity_px_s: float = 0.0
    """The largest difference of a velocity's coordinate."""
    where: str = ""
    """Frame and keypoint of the largest difference of position."""
    contradictions: int = 0
    """Keypoints that are seen, or lost, in only one of the two; slots that took another detection."""

    @property
    def agrees(self) -> bool:
        """Whether positions and standard deviations agree within `TOLERANCE_PX`, and nothing contradicts."""
        return not self.contradictions and max(self.position_px, self.deviation_px) <= TOLERANCE_PX


@dataclass
class Comparison:
    """What the reference found, by camera."""

    cameras: list[Difference] = field(default_factory=list)

    @property
    def agrees(self) -> bool:
        """Whether every camera agrees."""
        return all(camera.agrees for camera in self.cameras)

    @property
    def n(self) -> int:
        """Positions compared, of all cameras."""
        return sum(camera.n for camera in self.cameras)

    @property
    def position_px(self) -> float:
        """The largest difference of a coordinate, of all cameras, px."""
        return max((camera.position_px for camera in self.cameras), default=0.0)


def compare(session: Session) -> Comparison:
    """Compute every track of a session with the reference.

    Parameters
    ----------
    session
        The session.

    Returns
    -------
    Comparison
        Differences from the logged tracks.

    Raises
    ------
    UserError
        Where there is nothing to replay.
    """
    setup = ReplaySetup.of(session)
    trackers = {
        name: ReferenceTracker(setup.tracking_of(name), setup.tracker_of(name)) for name in setup.cameras
    }
    names = _names(setup)
    found = {name: Difference(name) for name in setup.cameras}
    logged = {record.seq: record for record in session.tracks}
    usable = before_gap(list(usable_inputs(session)))
    inputs = [item for item in usable if isinstance(item, Observation)]
    for seen in track(inputs, LIBRARY):
        trackers[seen.camera].step(logged_pose(seen))
        record = logged.get(seen.seq)
        if record is not None:  # replay itself reports one that is missing
            _add(found[seen.camera], record, trackers[seen.camera], names)
    return Comparison(list(found.values()))


def _names(setup: ReplaySetup) -> list[str]:
    """Names of the N * K keypoints; of several individuals each with its individual's before it."""
    if setup.config.individual_count == 1:
        return setup.keypoints
    return [f"{who}.{name}" for who in individual_names(setup.config.individuals) for name in setup.keypoints]


def _add(found: Difference, record: TrackRecord, reference: ReferenceTracker, names: list[str]) -> None:
    mean, cov, lost = reference.state()
    xy, velocity = record.xy.array(), record.velocity.array()
    seen, logged = np.isfinite(mean[..., 0]), np.isfinite(xy).all(axis=-1)  # (N, K)
    found.contradictions += int(np.count_nonzero(seen != logged))
    found.contradictions += sum(a != b for a, b in zip(lost.ravel().tolist(), record.lost, strict=True))
    found.contradictions += sum(a != b for a, b in zip(reference.detections(), record.detection, strict=True))
    both = seen & logged
    if not both.any():
        return
    found.n += int(both.sum())
    apart = np.where(both, np.abs(xy - mean[..., :2]).max(axis=-1), -1.0).ravel()
    worst = int(apart.argmax())
    if apart[worst] > found.position_px:
        found.position_px = float(apart[worst])
        found.where = f"frame {record.index}, {names[worst]}"
    found.velocity_px_s = max(found.velocity_px_s, float(np.abs(velocity - mean[..., 2:])[both].max()))
    deviations = [np.sqrt(np.diagonal(c, axis1=-2, axis2=-1)[both][:, :2]) for c in (record.cov.array(), cov)]
    found.deviation_px = max(found.deviation_px, float(np.abs(deviations[0] - deviations[1]).max()))


def format_reference(found: Comparison) -> list[str]:
    """Format the comparison in lines for people.

    Parameters
    ----------
    found
        The comparison.

    Returns
    -------
    list[str]
        The lines.
    """
    lines = [f"{LIBRARY}, keypoint by keypoint; largest differences:"]
    for camera in found.cameras:
        where = f" ({camera.where})" if camera.where else ""
        lines.append(
            f"camera '{camera.camera}': position {camera.position_px:.2g} px{where}, standard deviation "
            f"{camera.deviation_px:.2g} px, velocity {camera.velocity_px_s:.2g} px/s, n {camera.n}"
        )
        if camera.contradictions:
            lines.append(
                f"camera '{camera.camera}': {camera.contradictions} seen, lost or taken by one alone"
            )
    verdict = "within" if found.agrees else "NOT within"
    largest = f"largest difference of a position {found.position_px:.2g} px, n {found.n}"
    return [*lines, f"{largest}: {verdict} {TOLERANCE_PX:g} px"]


def as_json(found: Comparison) -> dict[str, Any]:
    """Convert the comparison to plain values.

    Parameters
    ----------
    found
        The comparison.

    Returns
    -------
    dict[str, Any]
        The entry of `replay.json`.
    """
    return {
        "library": LIBRARY,
        "tolerance_px": TOLERANCE_PX,
        "agrees": found.agrees,
        "largest_px": found.position_px,
        "n": found.n,
        "cameras": {camera.camera: asdict(camera) for camera in found.cameras},
    }
