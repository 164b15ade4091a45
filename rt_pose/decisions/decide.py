"""Rules over tracks -> events. A pure function of poses, stamps, orders, configuration and seed.

A rule comes true when its condition has held for `hold` (scene time); this gives one event, and another only
after the condition has been false. Whether that event fires, is withheld as a control, or is suppressed is
decided here and nowhere else, always with the reason.

A suppressed event is used up like a fired one: what held it back may end while the condition goes on, and
then nothing fires. So a stimulus always stands at the same distance from what the animal did, never from an
order, the beginning of a block or the end of a refractory time, and each entry is one trial in the log. What
only ends a stimulus is not held back by block, pause or refractory time: no line stays on because of them.

A rule belongs to the rig: several cameras that see the same thing make one event. Where any of them will do
the event is caused by a frame that shows the condition; where all of them must agree, by the last to agree.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rt_pose.config.schema import RunConfig
from rt_pose.decisions.aim import AimedPoint
from rt_pose.decisions.draws import draw, is_withheld, is_withheld_in_block
from rt_pose.decisions.limits import Limits, make_limits
from rt_pose.decisions.lines import Lines
from rt_pose.decisions.protocol import DISABLED, Protocol, make_protocol
from rt_pose.decisions.rig_time import cause_ns, effect_scene_ns
from rt_pose.decisions.rule import Rule, make_rules
from rt_pose.decisions.rule_state import CAMERA_SILENT_NS, CameraView, Evaluation, RuleState, RuleStates
from rt_pose.rules.condition import ConditionEvaluator
from rt_pose.rules.semantics import CURRENT, KNOWN, ONE_RIG
from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.types import Event, FloatArray, FrameStamps, Outcome, Track

__all__ = ["Decider", "Rule", "RuleSet", "cause_ns", "effect_scene_ns", "is_withheld", "make_rules"]


REPEATED_AFTER = ("condition", "late", "control", "refractory", "cap", "busy", "aim")
"""Reasons after which an event is repeated while its condition holds: those that time alone may end. What an
order or the protocol held back stays used up."""


@dataclass(slots=True)
class _FrameContext:
    """What all rules share while a frame is evaluated."""

    camera: str
    stamps: FrameStamps
    now_ns: int
    """Time of the frame on which holds and refractory times are measured."""
    t_judged_ns: int
    armed: bool
    confidence: FloatArray | None
    exposure: Track | None
    """The track at the exposure, where some quantity keeps a memory."""
    events: list[tuple[Event, Rule]] = field(default_factory=list)


def _is_due(state: RuleState, now_ns: int) -> bool:
    """Whether a rule that has held long enough makes an event, its first one or a repetition."""
    if not state.emitted:
        return True
    repeat_ns, last_ns = state.rule.repeat_ns, state.repeat_from_ns
    return repeat_ns is not None and last_ns is not None and now_ns - last_ns >= repeat_ns


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
        states: RuleStates | None = None,
        lines: Lines | None = None,
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
        states
            What the rules have seen, one object for all cameras; None where there is one camera.
        lines
            The lines that are busy, one object for all cameras.
        """
        self._limits, self._lines = limits or Limits({}), lines or Lines()
        self._shared = states or RuleStates()
        self._one_rig = self._shared.semantics >= ONE_RIG
        self._only_known = self._shared.semantics >= KNOWN
        self.rules = rules
        self._protocol = protocol or make_protocol(RunConfig(rules=[rule.config for rule in rules]))
        self._seed = seed
        self._next_id, self._id_step = first_event_id, id_step
        self._rule_states: list[RuleState] | None = None
        self._has_memory = False
        self._asks_inputs: list[ConditionEvaluator] = []
        self._epoch: int | None = None
        self._clock_steps = 0
        """Steps of the filter's clock that the rules have already been reset for."""
        self.predictions: dict[int, Track] = {}
        """The last frame's predictions, by their delay (ns) after the decision."""
        self._lost: dict[int, NDArray[np.bool_]] = {}
        """Of these, the keypoints on which no rule may fire, (N, K)."""

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
            self._rule_states = self._shared.of_camera(self.rules, camera, causal_filter.shape[0])
            self._has_memory = any(
                evaluator.has_memory
                for state in self._rule_states
                for _, evaluator, _ in state.views[camera].evaluators
            )
            self._asks_inputs = [
                evaluator
                for state in self._rule_states
                for _, *both in state.views[camera].evaluators
                for evaluator in both
                if evaluator is not None and evaluator.has_inputs
            ]
        now_ns = self._shared.now_ns(camera, stamps)
        if stamps.epoch != self._epoch:
            for state in self._rule_states:
                state.restart(camera)
            self._epoch = stamps.epoch
        if causal_filter.clock_steps != self._clock_steps:
            self._clock_steps = causal_filter.clock_steps
            self._restart_after_clock_step(camera, now_ns)
        if not armed:
            self._lines.free()
        if self._asks_inputs:
            on = self._shared.inputs.at_frame(camera)
            for evaluator in self._asks_inputs:
                evaluator.set_inputs(on)
        self._protocol.advance(camera, stamps, now_ns)
        exposure = (
            causal_filter.predict(camera, stamps.index, stamps.t_scene_ns) if self._has_memory else None
        )
        frame = _FrameContext(camera, stamps, now_ns, t_judged_ns, armed, confidence, exposure)
        self.predictions.clear()
        self._lost.clear()
        for state in self._rule_states:
            delay_ns = state.rule.delay_ns
            if delay_ns not in self.predictions:
                effect_ns = effect_scene_ns(stamps, t_judged_ns, delay_ns)
                ahead = causal_filter.predict(camera, stamps.index, effect_ns)
                self.predictions[delay_ns] = ahead
                self._lost[delay_ns] = _without_numbers(ahead) if self._one_rig else ahead.lost
            self._step_rule(state, self.predictions[delay_ns], frame)
        return frame.events

    def _restart_after_clock_step(self, camera: str, now_ns: int) -> None:
        """Restart the rules after the scene clock stepped back and the tracks restarted.

        A refractory time under way restarts too where it is measured on that clock: how much of it had passed
        is no longer known.
        """
        assert self._rule_states is not None
        for state in self._rule_states:
            state.restart(camera)
            if state.last_event_ns is not None:
                state.last_event_ns = min(state.last_event_ns, now_ns)

    def _step_rule(self, state: RuleState, ahead: Track, frame: _FrameContext) -> None:
        view = state.views[frame.camera]
        if self._only_known and state.cameras > 1 and frame.now_ns - view.seen_ns > CAMERA_SILENT_NS:
            view.on = False  # it has shown nothing meanwhile: what it saw last keeps nothing true
        evaluation = self._evaluate(state.rule, view, ahead, frame)
        if state.rule.yoke_times_ns is not None:
            self._fire_yoked(state, evaluation, frame)
            return
        if view.lost and not evaluation.lost:
            view.on = False
            evaluation = self._evaluate(state.rule, view, ahead, frame)
        after = state.rule.after
        if after is not None and not after.holds(self._shared.decided_ns[after.rule], frame.now_ns):
            evaluation.on = False
        by_order = self._one_rig and self._was_made_true_by_order(state.rule, view, evaluation)
        view.on, view.lost, view.seen_ns = evaluation.on, evaluation.lost, frame.now_ns
        on, lost = state.combine(frame.now_ns)
        if not on or (state.lost and not lost):
            state.end_period()
        holding = state.since_ns is not None and not state.emitted
        if holding and self._only_known and frame.now_ns - state.seen_ns > CAMERA_SILENT_NS:
            state.since_ns = frame.now_ns  # between the two frames nothing was seen to hold
        state.lost, state.seen_ns = lost, max(state.seen_ns, frame.now_ns)
        if not on:
            return
        if state.since_ns is None:
            state.since_ns, state.by_order = frame.now_ns, by_order
        if frame.now_ns - state.since_ns < state.rule.hold_ns or not _is_due(state, frame.now_ns):
            return
        if not evaluation.on or evaluation.lost > lost:
            return  # another camera shows it: the event waits for a frame of that one
        state.emitted = True
        aimed = _aimed_point(state.rule, evaluation, frame)
        outcome, reason = self._outcome(state, frame, aimed)
        if outcome != "suppressed":
            state.last_event_ns = frame.now_ns
            state.refractory_ns = state.rule.refractory_ns + self._jitter_ns(state.rule)
            self._note_decided(state.rule, frame)
        state.repeat_from_ns = frame.now_ns if reason in REPEATED_AFTER else None
        self._emit(state.rule, evaluation, frame, outcome, reason, aimed)

    def _jitter_ns(self, rule: Rule) -> int:
        """The random part of the refractory time that the coming event has."""
        number = self._shared.decided[rule.name]
        return round(draw(self._seed, rule.name, "refractory", number) * rule.refractory_jitter_ns)

    def _note_decided(self, rule: Rule, frame: _FrameContext) -> None:
        self._shared.decided[rule.name] += 1
        self._shared.decided_ns[rule.name].append(frame.now_ns)

    def _was_made_true_by_order(self, rule: Rule, view: CameraView, evaluation: Evaluation) -> bool:
        """Whether a condition holds only because `set` lowered its probability since the frame before."""
        before, view.threshold = view.threshold, self._protocol.parameters[rule.name].probability
        if before is None or before == view.threshold or view.on or not evaluation.on:
            return False
        return evaluation.probability is not None and evaluation.probability < before

    def _evaluate(self, rule: Rule, view: CameraView, ahead: Track, frame: _FrameContext) -> Evaluation:
        """Evaluate a rule for the individual for whom it holds most, the lost ones last."""
        best: Evaluation | None = None
        missing = 1.0
        for who, evaluator, release in view.evaluators:
            one = self._evaluate_individual(rule, view, who, evaluator, release, ahead, frame)
            if one.probability is not None and not one.lost and not math.isnan(one.probability):
                missing *= 1.0 - one.probability
            if best is None or one.rank > best.rank:
                best = one
        assert best is not None
        if len(view.evaluators) > 1 and best.probability is not None and not best.lost:
            best.probability = 1.0 - missing
            best.on = best.probability >= self._threshold(rule, view)
        return best

    def _evaluate_individual(
        self,
        rule: Rule,
        view: CameraView,
        who: int,
        evaluator: ConditionEvaluator,
        release: ConditionEvaluator | None,
        ahead: Track,
        frame: _FrameContext,
    ) -> Evaluation:
        if frame.exposure is not None:
            evaluator.observe(frame.exposure, frame.confidence)
            if release is not None:
                release.observe(frame.exposure, frame.confidence)
        evaluator.set_track(ahead, frame.confidence)
        lost = rule.is_lost(self._lost[rule.delay_ns], who)
        if self._protocol.parameters[rule.name].probability is not None:
            probability = evaluator.probability()
            return Evaluation(
                probability >= self._threshold(rule, view), who, evaluator, lost, probability, ahead
            )
        on = evaluator.holds()
        if view.on and not on and release is not None:
            release.set_track(ahead, frame.confidence)
            on = not release.holds()
        return Evaluation(on, who, evaluator, lost, None, ahead)

    def _threshold(self, rule: Rule, view: CameraView) -> float:
        """The probability at which the rule comes true, or down to which it stays so."""
        parameters = self._protocol.parameters[rule.name]
        enter, stay = parameters.probability, parameters.release
        assert enter is not None
        return min(enter, stay) if view.on and stay is not None else enter

    def _fire_yoked(self, state: RuleState, evaluation: Evaluation, frame: _FrameContext) -> None:
        """Fire at the first frame whose command would act at one of the other session's times or later.

        One a frame; those that passed long before, in a time without frames, are late.
        """
        times, time = state.rule.yoke_times_ns, self._protocol.time
        assert times is not None
        if not (self._one_rig or frame.camera == time.camera):
            return
        now_ns = frame.now_ns if self._one_rig else time.elapsed_ns
        effect_ns = now_ns + frame.t_judged_ns - cause_ns(frame.stamps) + state.rule.delay_ns
        while state.yoked < len(times) and times[state.yoked] <= effect_ns:
            aimed = _aimed_point(state.rule, evaluation, frame)
            missed = self._only_known and effect_ns - times[state.yoked] > CAMERA_SILENT_NS
            state.yoked += 1
            outcome, reason = self._suppression(state.rule, frame, aimed)
            if missed and not reason:
                reason = "late"
            if not reason:
                outcome, reason = "fired", "yoked"
                self._begin(state.rule, outcome, frame)
                self._note_decided(state.rule, frame)
            self._emit(state.rule, evaluation, frame, outcome, reason, aimed)
            if not missed:
                return

    def _emit(
        self,
        rule: Rule,
        evaluation: Evaluation,
        frame: _FrameContext,
        outcome: Outcome,
        reason: str,
        aimed: AimedPoint | None,
    ) -> None:
        begins = outcome != "suppressed" and self._protocol.begin_by_event(rule.name)
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
            x=None if aimed is None else aimed.x,
            y=None if aimed is None else aimed.y,
            xy_px=None if aimed is None else aimed.xy_px,
            cov_px2=None if aimed is None else aimed.cov_px2,
        )
        self._next_id += self._id_step
        frame.events.append((event, rule))
        if outcome != "suppressed" and not rule.plan.ends and not begins:
            self._protocol.count_event()

    def _outcome(
        self, state: RuleState, frame: _FrameContext, aimed: AimedPoint | None
    ) -> tuple[Outcome, str]:
        rule = state.rule
        forbidden = self._forbidden_by_protocol(rule)
        if forbidden:
            return "suppressed", forbidden
        if state.lost or state.by_order:
            return "suppressed", "lost" if state.lost else "order"
        if state.last_event_ns is not None and frame.now_ns - state.last_event_ns < state.refractory_ns:
            return "suppressed", "refractory"
        suppression = self._suppression(rule, frame, aimed)
        if suppression[1]:
            return suppression
        if self._is_withheld(rule, frame):
            self._begin(rule, "withheld", frame)
            return "withheld", "control"
        self._begin(rule, "fired", frame)
        return "fired", "late" if _is_late(rule, frame) else "condition"

    def _is_withheld(self, rule: Rule, frame: _FrameContext) -> bool:
        size, stamps = rule.config.withhold_block, frame.stamps
        if size is None:
            return is_withheld(self._seed, rule.name, frame.camera, stamps.epoch, stamps.index, rule.withhold)
        number = self._shared.decided[rule.name]
        return is_withheld_in_block(self._seed, rule.name, number, size, rule.withhold)

    def _begin(self, rule: Rule, outcome: Outcome, frame: _FrameContext) -> None:
        """Take in that an action begins, or would have begun were it not withheld."""
        if outcome == "fired" or self._one_rig:  # else a later cap would tell which were controls
            self._limits.count(rule.plan, frame.t_judged_ns)
        self._lines.take(rule.plan, frame.t_judged_ns)

    def _suppression(self, rule: Rule, frame: _FrameContext, aimed: AimedPoint | None) -> tuple[Outcome, str]:
        """Why a rule may not fire whatever its condition says; no reason where it may."""
        return "suppressed", self._forbidden_by_protocol(rule) or self._forbidden_now(rule, frame, aimed)

    def _forbidden_now(self, rule: Rule, frame: _FrameContext, aimed: AimedPoint | None) -> str:
        """Why a rule may not fire at this moment, whatever the protocol says."""
        if not frame.armed:
            return "disarmed"
        if rule.late == "suppress" and _is_late(rule, frame):
            return "late"
        if rule.aim is not None and not (aimed is not None and aimed.certain):
            return "aim"
        if self._limits.exceeded(rule.plan, frame.t_judged_ns):
            return "cap"
        return "busy" if self._one_rig and self._lines.busy(rule.plan, frame.t_judged_ns) else ""

    def _forbidden_by_protocol(self, rule: Rule) -> str:
        """Why the protocol forbids a rule; what only ends a stimulus may do so in any block."""
        why = self._protocol.forbids(rule.name)
        return "" if rule.plan.ends and why != DISABLED else why


@dataclass(frozen=True, slots=True)
class RuleSet:
    """What the deciders of all cameras share: rules, their states, limits, protocol, seed of withholding."""

    rules: list[Rule]
    limits: Limits
    protocol: Protocol
    seed: int
    states: RuleStates
    lines: Lines = field(default_factory=Lines)

    def disarm(self) -> None:
        """Take in that the outputs were disarmed, which ends what any line is doing."""
        if self.states.semantics >= KNOWN:  # once a line stayed busy where `arm` came before the next frame
            self.lines.free()

    @classmethod
    def of(
        cls,
        config: RunConfig,
        keypoints: list[str],
        delays_ms: dict[str, float],
        cameras: Sequence[str] = (),
        semantics: int = CURRENT,
    ) -> RuleSet:
        """Make the rules, limits and protocol of a configuration.

        Parameters
        ----------
        config
            The run's configuration.
        keypoints
            Names of the model's keypoints, in their order.
        delays_ms
            By output name, from the write to the effect, ms.
        cameras
            Names of the cameras; those of the configuration where none are given.
        semantics
            What the rules mean: see `rt_pose.rules.semantics`.

        Returns
        -------
        RuleSet
            What the deciders of all cameras share.

        Raises
        ------
        UserError
            Where a part of the configuration is not valid.
        """
        rules = make_rules(config, keypoints, delays_ms, semantics=semantics)
        limits = make_limits(config, {rule.name: rule.plan for rule in rules})
        states = RuleStates(max(len(cameras or config.cameras), 1), semantics)
        protocol = make_protocol(config, semantics, states.inputs)
        return cls(rules, limits, protocol, config.seed, states)

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
        return Decider(
            self.rules,
            self.seed,
            camera + 1,
            cameras,
            self.limits,
            self.protocol,
            self.states,
            self.lines,
        )


def _without_numbers(track: Track) -> NDArray[np.bool_]:
    """The keypoints (N, K) that are lost, or of which the filter knows no number: NaN is no position."""
    sums = track.xy.sum(axis=-1) + track.velocity.sum(axis=-1) + track.cov.sum(axis=(-2, -1))
    return track.lost | ~np.isfinite(sums)


def _aimed_point(rule: Rule, evaluation: Evaluation, frame: _FrameContext) -> AimedPoint | None:
    """Where the shot of an event would go; None for another action, or where there is nothing to aim at."""
    if rule.aim is None:
        return None
    return rule.aim.aimed_point(evaluation.ahead, evaluation.individual, frame.camera)


def _is_late(rule: Rule, frame: _FrameContext) -> bool:
    return frame.t_judged_ns - cause_ns(frame.stamps) > rule.deadline_ns
