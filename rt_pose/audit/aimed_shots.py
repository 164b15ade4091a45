"""Aimed light in hindsight: how far each shot fell from where its point truly was when the light came."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rt_pose.audit.truth import TruthSeries
from rt_pose.decisions.aim import Aim
from rt_pose.decisions.rule import Rule
from rt_pose.loop.latency import summary
from rt_pose.rules.geometry import Geometry
from rt_pose.session.read import Session
from rt_pose.types import Event


@dataclass
class AimedShots:
    """The shots of one rule whose truth is known."""

    unit: str
    """Of the distances: px, or mm where the spot is in mm."""
    radius: float | None
    """Of the spot, in that unit; None where the rule has none."""
    distances: list[float] = field(default_factory=list)

    @property
    def inside(self) -> int | None:
        """How many had the point in the spot; None without one."""
        return None if self.radius is None else sum(d <= self.radius for d in self.distances)


def aimed_shots(session: Session, truth: list[TruthSeries], rule: Rule) -> AimedShots | None:
    """Measure the shots of a rule against the truth.

    Parameters
    ----------
    session
        The session.
    truth
        Series of one source.
    rule
        The rule.

    Returns
    -------
    AimedShots | None
        None for a rule that aims no light.
    """
    aim = rule.aim
    if aim is None:
        return None
    found = AimedShots("mm" if aim.spot_metric else "px", aim.spot)
    stamps = {o.seq: o.stamps for o in session.observations}
    series = {(one.camera, one.epoch): one for one in truth}
    for record in session.events:
        event, of_frame = record.event, stamps.get(record.seq)
        if event.rule != rule.name or event.outcome != "fired" or event.xy_px is None or of_frame is None:
            continue
        known = series.get((event.camera, of_frame.epoch))
        t_effect_ns = of_frame.t_scene_ns + event.t_effect_ns - event.t_cause_ns
        geometry = rule.geometries.get(event.camera) if aim.spot_metric else None
        distance = None if known is None else _distance(event, aim, known, t_effect_ns, geometry)
        if distance is not None:
            found.distances.append(distance)
    return found


def as_json(shots: AimedShots) -> dict[str, Any]:
    """Convert the shots of a rule to plain values.

    Parameters
    ----------
    shots
        The shots.

    Returns
    -------
    dict[str, Any]
        An entry of `hindsight.json`.
    """
    return {
        "shots": len(shots.distances),
        "unit": shots.unit,
        "spot": shots.radius,
        "inside_spot": shots.inside,
        "distance": summary(shots.distances),
    }


def format_aimed_shots(rule: str, shots: AimedShots) -> str:
    """Format the shots of a rule for people.

    Parameters
    ----------
    rule
        Name of the rule.
    shots
        Its shots.

    Returns
    -------
    str
        One line.
    """
    n, apart = len(shots.distances), summary(shots.distances)
    if apart is None:
        return f"{rule}: no shot whose truth is known"
    text = (
        f"{rule}: {n} shots, {apart['p50']:.2f} {shots.unit} from the truth (P50), {apart['p90']:.2f} (P90)"
    )
    if shots.radius is None:
        return text
    return f"{text}; {shots.inside} within the spot of {shots.radius:g} {shots.unit}"


def _distance(
    event: Event, aim: Aim, truth: TruthSeries, t_ns: int, geometry: Geometry | None
) -> float | None:
    """From where a shot was aimed to where its point was; None where that is not known."""
    at = int(np.searchsorted(truth.t_ns, t_ns))
    if not 0 < at < len(truth.t_ns):
        return None
    share = (t_ns - int(truth.t_ns[at - 1])) / int(truth.t_ns[at] - truth.t_ns[at - 1])
    pair = truth.xy[at - 1 : at + 1, event.individual][:, list(aim.point.keypoints)]
    x, y = np.array(aim.point.weights) @ ((1.0 - share) * pair[0] + share * pair[1])
    assert event.xy_px is not None
    places = [event.xy_px, (float(x), float(y))]
    if geometry is not None:
        places = [tuple(geometry.to_mm([*place, 0.0, 0.0])[0][:2]) for place in places]  # type: ignore[misc]
    (x0, y0), (x1, y1) = places
    distance = math.hypot(x1 - x0, y1 - y0)
    return distance if math.isfinite(distance) else None
