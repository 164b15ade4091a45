"""What the cameras truly showed of a rule, put together as the run puts together what they see.

The truth of each camera is placed on the rig's time, by the observations of that camera, and then goes
through the states by which the run itself decides whether `any` or `all` of the cameras show the condition.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rt_pose.audit.truth import SpatialTruth, TruthSeries
from rt_pose.decisions.rig_time import RigTime
from rt_pose.decisions.rule import Rule
from rt_pose.decisions.rule_state import CameraView, RuleState, other_individuals
from rt_pose.session.read import Session
from rt_pose.types import Estimate, FloatArray


@dataclass
class CameraTruth:
    """A rule's condition over the truth of one camera, frame by frame."""

    camera: str
    t_ns: NDArray[np.int64]
    """(F,) ascending."""
    holds: NDArray[np.bool_]
    lost: NDArray[np.bool_]
    """(F,) a keypoint of the condition is not known."""
    value: FloatArray
    """(F,) the rule's first quantity; NaN where it is lost."""
    line: NDArray[np.int64] | None = None
    """(F,) number of the camera of each value, where several are put together."""


def camera_truth(rule: Rule, series: TruthSeries | SpatialTruth, group: list[int]) -> CameraTruth:
    """Judge a rule's condition over the truth of one camera, or of one group of views.

    Parameters
    ----------
    rule
        The rule.
    series
        The truth; that in space for a rule that is judged there.
    group
        The individuals of whom any will do.

    Returns
    -------
    CameraTruth
        It holds where it does for one of them, and is lost where it is for all. Its value is that of one for
        whom it holds.
    """
    frames, count, keypoints = series.shape
    geometry, pair = rule.geometries.get(series.camera), rule.condition.pair
    evaluators = [
        (who, rule.condition.evaluator(who, geometry, other))
        for who in group
        for other in (other_individuals(who, count) if pair else (0,))
    ]
    confident = np.ones((count, keypoints))
    holds, lost, value = np.zeros(frames, bool), np.ones(frames, bool), np.full(frames, np.nan)
    tracks: Iterator[Estimate] = series.tracks()
    for f, track in enumerate(tracks):
        unknown = np.atleast_2d(track.lost)
        for who, evaluator in evaluators:
            about = {who, *rule.condition.named, *({evaluator.other} if pair else ())}
            if series.cuts is not None and series.cuts[f, list(about)].any():
                evaluator.reset()  # what it keeps is of another animal
            if rule.condition.is_lost(unknown, who, evaluator.other):
                continue
            if evaluator.has_memory:
                evaluator.observe(track, confident)
            evaluator.set_track(track, confident)
            on = evaluator.holds()
            if lost[f] or (on and not holds[f]):
                holds[f], lost[f], value[f] = on, False, evaluator.value()
    return CameraTruth(series.camera, series.t_ns, holds, lost, value)


class RigTimes:
    """The rig's time of every observation of a session."""

    def __init__(self, session: Session) -> None:
        """Go through the observations as the loop did.

        Parameters
        ----------
        session
            The session.
        """
        time = RigTime(session.info.semantics)
        self._shift_ns: dict[int, int] = {}
        """By observation: how much later the rig's time is than the camera's own."""
        seen: dict[tuple[str, int], list[tuple[int, int]]] = {}
        for one in sorted(session.observations, key=lambda one: one.seq):
            scene_ns = one.stamps.t_scene_ns
            shift = self._shift_ns[one.seq] = time.advance(one.camera, one.stamps) - scene_ns
            of_series = seen.setdefault((one.camera, one.stamps.epoch), [])
            if not time.doubtful and (not of_series or scene_ns > of_series[-1][0]):
                of_series.append((scene_ns, shift))
        self._series = {key: np.array(rows, np.int64).T for key, rows in seen.items()}

    def of_event(self, seq: int, t_scene_ns: int) -> int:
        """Place a time in a camera's scene on the rig.

        Parameters
        ----------
        seq
            Number of the observation by which it is known.
        t_scene_ns
            The time, ns.

        Returns
        -------
        int
            Time on the rig, ns.
        """
        return t_scene_ns + self._shift_ns[seq]

    def of_truth(self, series: TruthSeries) -> NDArray[np.int64] | None:
        """Place the frames of a truth on the rig.

        Parameters
        ----------
        series
            The truth.

        Returns
        -------
        NDArray or None
            (F,) ns; None where nothing was observed of that camera and epoch.
        """
        observed = self._series.get((series.camera, series.epoch))
        if observed is None:
            return None
        return series.t_ns + np.rint(np.interp(series.t_ns, *observed)).astype(np.int64)


def combine(rule: Rule, truths: list[CameraTruth]) -> CameraTruth:
    """Put together what several cameras show.

    Parameters
    ----------
    rule
        A rule of any of the cameras, or of all.
    truths
        What each shows, at times on the rig; a camera may come several times.

    Returns
    -------
    CameraTruth
        One frame for each of theirs, in order of time, with what holds on the rig then. Its camera reads such
        as `any of top, side`.
    """
    names = list(dict.fromkeys(truth.camera for truth in truths))
    cameras = np.concatenate([np.full(len(t.t_ns), names.index(t.camera)) for t in truths])
    t_ns, holds, lost, value = (
        np.concatenate([getattr(truth, field) for truth in truths])
        for field in ("t_ns", "holds", "lost", "value")
    )
    order = np.argsort(t_ns, kind="stable")
    state = RuleState(rule, len(names))
    on, unknown = np.zeros(len(order), bool), np.zeros(len(order), bool)
    for at, i in enumerate(order.tolist()):
        view = state.views.setdefault(names[cameras[i]], CameraView([]))
        view.on, view.lost, view.seen_ns = bool(holds[i]), bool(lost[i]), int(t_ns[i])
        on[at], unknown[at] = state.combine(view.seen_ns)
    return CameraTruth(
        f"{rule.camera} of {', '.join(names)}",
        *(t_ns[order], on & ~unknown, unknown, value[order], cameras[order]),
    )
