"""A rule's condition on one frame of one camera: whether it holds, for which individual, and how probably."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rt_pose.decisions.protocol import Parameters
from rt_pose.decisions.rule import Rule
from rt_pose.decisions.rule_state import CameraView, Evaluation
from rt_pose.rules.condition import ConditionEvaluator
from rt_pose.types import Estimate, Event, FloatArray, FrameStamps


@dataclass(slots=True)
class FrameContext:
    """What all rules share while a frame is evaluated."""

    camera: str
    stamps: FrameStamps
    now_ns: int
    """Time of the frame on which holds and refractory times are measured."""
    t_judged_ns: int
    armed: bool
    confidence: FloatArray | None
    exposure: Estimate | None
    """The track at the exposure, where some quantity keeps a memory."""
    events: list[tuple[Event, Rule]] = field(default_factory=list)


def evaluate(
    rule: Rule,
    view: CameraView,
    parameters: Parameters,
    ahead: Estimate,
    lost: NDArray[np.bool_],
    frame: FrameContext,
) -> Evaluation:
    """Evaluate a rule for the individual for whom it holds most, the lost ones last.

    Parameters
    ----------
    rule
        The rule.
    view
        What the camera has shown of it until now.
    parameters
        Its probabilities as they are set now.
    ahead
        The prediction for the time at which its command would act.
    lost
        (N, K) which keypoints of that prediction no rule may fire on.
    frame
        The frame.

    Returns
    -------
    Evaluation
        That of the individual; of several its probability is that it holds for any of them, of several pairs
        that of the likeliest.
    """
    best: Evaluation | None = None
    missing = 1.0
    for individual in view.evaluators:
        is_lost = rule.is_lost(lost, individual[0], individual[1].other)
        one = _evaluate_individual(view, parameters, individual, ahead, is_lost, frame)
        if one.probability is not None and not one.lost and not math.isnan(one.probability):
            missing *= 1.0 - one.probability
        if best is None or one.rank > best.rank:
            best = one
    assert best is not None
    several = len(view.evaluators) > 1 and not rule.pair  # what holds of pairs hangs together
    if several and best.probability is not None and not best.lost:
        best.probability = 1.0 - missing
        best.on = best.probability >= _threshold(parameters, view)
    return best


def _evaluate_individual(
    view: CameraView,
    parameters: Parameters,
    individual: tuple[int, ConditionEvaluator, ConditionEvaluator | None],
    ahead: Estimate,
    lost: bool,
    frame: FrameContext,
) -> Evaluation:
    who, evaluator, release = individual
    if frame.exposure is not None:
        evaluator.observe(frame.exposure, frame.confidence)
        if release is not None:
            release.observe(frame.exposure, frame.confidence)
    evaluator.set_track(ahead, frame.confidence)
    if parameters.probability is not None:
        probability = evaluator.probability()
        on = probability >= _threshold(parameters, view)
        return Evaluation(on, who, evaluator, lost, probability, ahead)
    on = evaluator.holds()
    if view.on and not on and release is not None:
        release.set_track(ahead, frame.confidence)
        on = not release.holds()
    return Evaluation(on, who, evaluator, lost, None, ahead)


def _threshold(parameters: Parameters, view: CameraView) -> float:
    """The probability at which the rule comes true, or down to which it stays so."""
    enter, stay = parameters.probability, parameters.release
    assert enter is not None
    return min(enter, stay) if view.on and stay is not None else enter
