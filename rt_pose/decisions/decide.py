"""Rules over tracks -> events. A pure function of poses, stamps, orders, configuration and seed.

A rule comes true when its condition has held for `hold` (scene time); this gives one event, and another only
after the condition has been false. Whether that event fires, is withheld as a control, or is suppressed is
decided here and nowhere else, always with the reason.

A suppressed event is used up like a fired one: what held it back may end while the condition goes on, and
then nothing fires. So a stimulus always stands at the same distance from what the animal did, never from an
`arm`, the beginning of a block or the end of a refractory time, and each entry is one trial in the log. What
only ends a stimulus is not held back by block, pause or refractory time: no line stays on because of them.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field

from rt_pose.config.schema import RunConfig
from rt_pose.decisions.limits import Limits, make_limits
from rt_pose.decisions.protocol import DISABLED, Protocol, make_protocol
from rt_pose.decisions.rule import Rule, make_rules
from rt_pose.rules.condition import ConditionEvaluator
from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.types import Event, FloatArray, FrameStamps, Outcome, Track

__all__ = ["Decider", "Rule", "RuleSet", "cause_ns", "effect_scene_ns", "is_withheld", "make_rules"]


@dataclass(slots=True)
class _RuleState:
    """A rule and the individual it is evaluated for, or all of them where any will do."""

    rule: Rule
    evaluators: list[tuple[int, ConditionEvaluator, ConditionEvaluator | None]]
    """(individual, of the condition, of the release)."""
    on: bool = False
    """Its condition holds, hysteresis included."""
    since_ns: int | None = None
    """Scene time since which the condition has held."""
    emitted: bool = False
    """The event of this period of being true has been made."""
    lost: bool = False
    """A keypoint of the condition was lost: its evaluations then are discarded once it is seen again."""
    last_event_ns: int | None = None
    """Scene time of the last firing (or withholding), for the refractory time."""
    yoked: int = 0
    """How many of the other session's times have come."""

    def reset(self, *, memories: bool) -> None:
        """As if nothing had held; the refractory time runs on."""
        self.on, self.since_ns, self.emitted = False, None, False
        if memories:
            self.lost = False
            for _, evaluator, release in self.evaluators:
                evaluator.reset()
                if release is not None:
                    release.reset()


@dataclass(slots=True)
class _Evaluation:
    """The evaluation of one rule at one prediction."""

    on: bool
    individual: int
    evaluator: ConditionEvaluator
    lost: bool
    probability: float | None


@dataclass(slots=True)
class _FrameContext:
    """What all rules share while a frame is evaluated."""

    camera: str
    stamps: FrameStamps
    t_judged_ns: int
    armed: bool
    confidence: FloatArray | None
    exposure: Track | None
    """The track at the exposure, where some quantity keeps a memory."""
    events: list[tuple[Event, Rule]] = field(default_factory=list)


def is_withheld(seed: int, rule: str, camera: str, epoch: int, frame_index: int, share: float) -> bool:
    """Decide whether an event is a control trial.

    The decision is a hash of the event's cause, so that replay withholds the same ones.

    Parameters
    ----------
    seed
        Seed of the run.
    rule
        Name of the rule.
    camera
        Name of the camera.
    epoch, frame_index
        Stamps of the frame that caused it.
    share
        Share of events that are withheld, 0..1.

    Returns
    -------
    bool
        Whether it is withheld.
    """
    cause = f"{seed}/{rule}/{camera}/{epoch}/{frame_index}".encode()
    draw = int.from_bytes(hashlib.blake2b(cause, digest_size=8).digest(), "little") / 2**64
    return draw < share


class Decider:
    """Evaluates the rules on one camera's filter."""

    def __init__(
        self,
        rules: list[Rule],
        seed: int,
        first_event_id: int = 1,
        id_step: int = 1,
        limits: Limits | None = None,
        protocol: Protocol | None = None,
    ) -> None:
        """Begin with no rule true.

        Parameters
        ----------
        rules
            The rules, for all individuals.
        seed
            Seed of the withholding.
        first_event_id
            Id of the first event.
        id_step
            From one id to the next.
        limits
            The caps on outputs, one object for all cameras; None for no caps.
        protocol
            Blocks and parameters, one object for all cameras; None for the rules as configured.
        """
        self._limits = limits or Limits({})
        self.rules = rules
        self._protocol = protocol or make_protocol(RunConfig(rules=[rule.config for rule in rules]))
        self._seed = seed
        self._next_id, self._id_step = first_event_id, id_step
        self._rule_states: list[_RuleState] | None = None
        self._has_memory = False
        self._epoch: int | None = None
        self._clock_steps = 0
        """Steps of the filter's clock that the rules have already been reset for."""
        self.predictions: dict[int, Track] = {}
        """The last frame's predictions, by their delay (ns) after the decision."""

    def decide(
        self,
        causal_filter: CausalFilter,
        camera: str,
        stamps: FrameStamps,
        t_judged_ns: int,
        armed: bool,
        confidence: FloatArray | None = None,
    ) -> list[tuple[Event, Rule]]:
        """Evaluate all rules on a frame.

        Parameters
        ----------
        causal_filter
            The camera's filter, updated with the frame's pose.
        camera
            Name of the camera.
        stamps
            Stamps of the frame.
        t_judged_ns
            Host time of the decision, ns; read once by the caller, and logged.
        armed
            Whether rules may fire.
        confidence
            The pose's, (N, K) 0..1, for rules that use it.

        Returns
        -------
        list[tuple[Event, Rule]]
            The events of this frame, each with its rule.
        """
        if self._rule_states is None:
            self._rule_states = [
                state for rule in self.rules for state in _rule_states(rule, camera, causal_filter.shape[0])
            ]
            self._has_memory = any(
                evaluator.has_memory for state in self._rule_states for _, evaluator, _ in state.evaluators
            )
        if stamps.epoch != self._epoch:
            for state in self._rule_states:
                state.reset(memories=True)
            self._epoch = stamps.epoch
        if causal_filter.clock_steps != self._clock_steps:
            self._clock_steps = causal_filter.clock_steps
            self._reset_after_clock_step(stamps.t_scene_ns)
        self._protocol.advance(camera, stamps)
        exposure = (
            causal_filter.predict(camera, stamps.index, stamps.t_scene_ns) if self._has_memory else None
        )
        frame = _FrameContext(camera, stamps, t_judged_ns, armed, confidence, exposure)
        self.predictions.clear()
        for state in self._rule_states:
            delay_ns = state.rule.delay_ns
            if delay_ns not in self.predictions:
                effect_ns = effect_scene_ns(stamps, t_judged_ns, delay_ns)
                self.predictions[delay_ns] = causal_filter.predict(camera, stamps.index, effect_ns)
            self._step_rule(state, self.predictions[delay_ns], frame)
        return frame.events

    def _reset_after_clock_step(self, t_scene_ns: int) -> None:
        """Reset the rules after the scene clock stepped back and the tracks restarted.

        A refractory time under way restarts too: how much of it had passed is no longer known.
        """
        assert self._rule_states is not None
        for state in self._rule_states:
            state.reset(memories=True)
            if state.last_event_ns is not None:
                state.last_event_ns = min(state.last_event_ns, t_scene_ns)

    def _step_rule(self, state: _RuleState, ahead: Track, frame: _FrameContext) -> None:
        evaluation = self._evaluate(state, ahead, frame)
        if state.rule.yoke_times_ns is not None:
            self._fire_yoked(state, evaluation, frame)
            return
        if state.lost and not evaluation.lost:
            state.reset(memories=False)
            evaluation = self._evaluate(state, ahead, frame)
        state.lost = evaluation.lost
        if not evaluation.on:
            state.reset(memories=False)
            return
        state.on = True
        now = frame.stamps.t_scene_ns
        if state.since_ns is None:
            state.since_ns = now
        if state.emitted or now - state.since_ns < state.rule.hold_ns:
            return
        state.emitted = True
        outcome, reason = self._outcome(state, evaluation, frame)
        if outcome != "suppressed":
            state.last_event_ns = now
        self._emit(state.rule, evaluation, frame, outcome, reason)

    def _evaluate(self, state: _RuleState, ahead: Track, frame: _FrameContext) -> _Evaluation:
        """Evaluate a rule for the individual for whom it holds most, the lost ones last."""
        best: _Evaluation | None = None
        missing = 1.0
        for who, evaluator, release in state.evaluators:
            one = self._evaluate_individual(state, who, evaluator, release, ahead, frame)
            if one.probability is not None and not one.lost and not math.isnan(one.probability):
                missing *= 1.0 - one.probability
            if best is None or _rank(one) > _rank(best):
                best = one
        assert best is not None
        if len(state.evaluators) > 1 and best.probability is not None and not best.lost:
            best.probability = 1.0 - missing
            best.on = best.probability >= self._threshold(state)
        return best

    def _evaluate_individual(
        self,
        state: _RuleState,
        who: int,
        evaluator: ConditionEvaluator,
        release: ConditionEvaluator | None,
        ahead: Track,
        frame: _FrameContext,
    ) -> _Evaluation:
        if frame.exposure is not None:
            evaluator.observe(frame.exposure, frame.confidence)
            if release is not None:
                release.observe(frame.exposure, frame.confidence)
        evaluator.set_track(ahead, frame.confidence)
        lost = any(ahead.lost[who, k] for k in state.rule.keypoints)
        if self._protocol.parameters[state.rule.name].probability is not None:
            probability = evaluator.probability()
            return _Evaluation(probability >= self._threshold(state), who, evaluator, lost, probability)
        on = evaluator.holds()
        if state.on and not on and release is not None:
            release.set_track(ahead, frame.confidence)
            on = not release.holds()
        return _Evaluation(on, who, evaluator, lost, None)

    def _threshold(self, state: _RuleState) -> float:
        """The probability at which the rule comes true, or down to which it stays so."""
        parameters = self._protocol.parameters[state.rule.name]
        enter, stay = parameters.probability, parameters.release
        assert enter is not None
        return min(enter, stay) if state.on and stay is not None else enter

    def _fire_yoked(self, state: _RuleState, evaluation: _Evaluation, frame: _FrameContext) -> None:
        """Fire at the first frame whose command would act at one of the other session's times or later."""
        times, time = state.rule.yoke_times_ns, self._protocol.time
        assert times is not None
        if frame.camera != time.camera or state.yoked >= len(times):
            return
        wait_ns = frame.t_judged_ns - cause_ns(frame.stamps) + state.rule.delay_ns
        if time.elapsed_ns + wait_ns < times[state.yoked]:
            return
        state.yoked += 1
        outcome, reason = self._suppression(state.rule, frame)
        if not reason:
            outcome, reason = "fired", "yoked"
            self._limits.count(state.rule.plan, frame.t_judged_ns)
        self._emit(state.rule, evaluation, frame, outcome, reason)

    def _emit(
        self, rule: Rule, evaluation: _Evaluation, frame: _FrameContext, outcome: Outcome, reason: str
    ) -> None:
        cause = cause_ns(frame.stamps)
        event = Event(
            id=self._next_id,
            rule=rule.name,
            individual=evaluation.individual,
            outcome=outcome,
            reason=reason,
            probability=evaluation.probability,
            value=evaluation.evaluator.value(),
            camera=frame.camera,
            frame_index=frame.stamps.index,
            t_cause_ns=cause,
            t_judged_ns=frame.t_judged_ns,
            t_effect_ns=frame.t_judged_ns + rule.delay_ns,
            deadline_met=not _is_late(rule, frame),
            block=self._protocol.block,
            trial=self._protocol.trial,
        )
        self._next_id += self._id_step
        frame.events.append((event, rule))
        if outcome != "suppressed" and not rule.plan.ends:
            self._protocol.count_event()

    def _outcome(
        self, state: _RuleState, evaluation: _Evaluation, frame: _FrameContext
    ) -> tuple[Outcome, str]:
        rule, stamps = state.rule, frame.stamps
        forbidden = self._forbidden_by_protocol(rule)
        if forbidden:
            return "suppressed", forbidden
        if evaluation.lost:
            return "suppressed", "lost"
        if state.last_event_ns is not None and stamps.t_scene_ns - state.last_event_ns < rule.refractory_ns:
            return "suppressed", "refractory"
        suppression = self._suppression(rule, frame)
        if suppression[1]:
            return suppression
        if is_withheld(self._seed, rule.name, frame.camera, stamps.epoch, stamps.index, rule.withhold):
            return "withheld", "control"
        self._limits.count(rule.plan, frame.t_judged_ns)
        return "fired", "late" if _is_late(rule, frame) else "condition"

    def _suppression(self, rule: Rule, frame: _FrameContext) -> tuple[Outcome, str]:
        """Why a rule may not fire whatever its condition says; no reason where it may."""
        forbidden = self._forbidden_by_protocol(rule)
        if forbidden:
            return "suppressed", forbidden
        if not frame.armed:
            return "suppressed", "disarmed"
        if rule.late == "suppress" and _is_late(rule, frame):
            return "suppressed", "late"
        if self._limits.exceeded(rule.plan, frame.t_judged_ns):
            return "suppressed", "cap"
        return "suppressed", ""

    def _forbidden_by_protocol(self, rule: Rule) -> str:
        """Why the protocol forbids a rule; what only ends a stimulus may do so in any block."""
        why = self._protocol.forbids(rule.name)
        return "" if rule.plan.ends and why != DISABLED else why


@dataclass(frozen=True, slots=True)
class RuleSet:
    """What the deciders of all cameras share: rules, limits, protocol and the seed of withholding."""

    rules: list[Rule]
    limits: Limits
    protocol: Protocol
    seed: int

    @classmethod
    def of(cls, config: RunConfig, keypoints: list[str], delays_ms: dict[str, float]) -> RuleSet:
        """Make the rules, limits and protocol of a configuration.

        Parameters
        ----------
        config
            The run's configuration.
        keypoints
            Names of the model's keypoints, in their order.
        delays_ms
            By output name, from the write to the effect, ms.

        Returns
        -------
        RuleSet
            What the deciders of all cameras share.

        Raises
        ------
        UserError
            Where a part of the configuration is not valid.
        """
        rules = make_rules(config, keypoints, delays_ms)
        limits = make_limits(config, {rule.name: rule.plan for rule in rules})
        return cls(rules, limits, make_protocol(config), config.seed)

    def decider(self, camera: int, cameras: int) -> Decider:
        """Make the decider of one camera.

        Its event ids have a first value and a step of their own, so that they do not depend on how frames of
        several cameras interleave.

        Parameters
        ----------
        camera
            Number of the camera, from 0.
        cameras
            How many cameras there are.

        Returns
        -------
        Decider
            The decider.
        """
        return Decider(self.rules, self.seed, camera + 1, cameras, self.limits, self.protocol)


def _rule_states(rule: Rule, camera: str, individuals: int) -> list[_RuleState]:
    geometry = rule.geometries.get(camera)

    def evaluators(who: int) -> tuple[int, ConditionEvaluator, ConditionEvaluator | None]:
        release = None if rule.release is None else rule.release.evaluator(who, geometry)
        return who, rule.condition.evaluator(who, geometry), release

    if rule.individual == "any":
        return [_RuleState(rule, [evaluators(who) for who in range(individuals)])]
    who = range(individuals) if rule.individual == "each" else [int(rule.individual)]
    return [_RuleState(rule, [evaluators(w)]) for w in who]


def _rank(evaluation: _Evaluation) -> tuple[bool, bool, float]:
    p = evaluation.probability
    return not evaluation.lost, evaluation.on, -1.0 if p is None or math.isnan(p) else p


def _is_late(rule: Rule, frame: _FrameContext) -> bool:
    return frame.t_judged_ns - cause_ns(frame.stamps) > rule.deadline_ns


def cause_ns(stamps: FrameStamps) -> int:
    """Look up the host time of what a frame shows.

    Parameters
    ----------
    stamps
        Stamps of the frame.

    Returns
    -------
    int
        Its exposure, ns, or its arrival where the camera does not report one.
    """
    return stamps.t_arrival_ns if stamps.t_exposure_ns is None else stamps.t_exposure_ns


def effect_scene_ns(stamps: FrameStamps, t_judged_ns: int, delay_ns: int) -> int:
    """Compute the scene time at which a command given now will act.

    The machine's latency does not change when a recording is played at another pace, so it is added to the
    frame's scene time unscaled.

    Parameters
    ----------
    stamps
        Stamps of the frame.
    t_judged_ns
        Host time of the decision, ns.
    delay_ns
        From the write to the effect, ns.

    Returns
    -------
    int
        Scene time, ns.
    """
    return stamps.t_scene_ns + (t_judged_ns - cause_ns(stamps)) + delay_ns
