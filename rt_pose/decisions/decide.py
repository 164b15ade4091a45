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

import numpy as np
from numpy.typing import NDArray

from rt_pose.config.schema import RunConfig
from rt_pose.decisions.aim import AimedPoint
from rt_pose.decisions.draws import draw, is_withheld, is_withheld_in_block
from rt_pose.decisions.evaluate import FrameContext, evaluate
from rt_pose.decisions.limits import Limits
from rt_pose.decisions.lines import Lines
from rt_pose.decisions.predictor import Predictor, moved_individuals, predict_at, without_numbers
from rt_pose.decisions.protocol import DISABLED, Protocol, make_protocol
from rt_pose.decisions.rig_time import cause_ns, effect_scene_ns, possible_cause_ns
from rt_pose.decisions.rule import Rule, make_rules
from rt_pose.decisions.rule_state import CAMERA_SILENT_NS, CameraView, Evaluation, RuleState, RuleStates
from rt_pose.rules.condition import ConditionEvaluator
from rt_pose.rules.semantics import KNOWN, ONE_RIG
from rt_pose.types import Estimate, Event, FloatArray, FrameStamps, Outcome, Track

__all__ = ["Decider", "Rule", "cause_ns", "effect_scene_ns", "is_withheld", "make_rules"]


REPEATED_AFTER = ("condition", "late", "control", "refractory", "cap", "busy", "aim", "identity")
"""Reasons after which an event is repeated while its condition holds: those that time alone may end. What an
order or the protocol held back stays used up."""


def _is_due(state: RuleState, now_ns: int) -> bool:
    """Whether a rule that has held long enough makes an event, its first one or a repetition."""
    if not state.emitted:
        return True
    repeat_ns, last_ns = state.rule.repeat_ns, state.repeat_from_ns
    return repeat_ns is not None and last_ns is not None and now_ns - last_ns >= repeat_ns


class Decider:
    """Evaluates the rules on one camera's filter, or on that of a group of views."""

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
        self.predictions: dict[int, Estimate] = {}
        """The last frame's predictions, by their delay (ns) after the decision."""
        self._lost: dict[int, NDArray[np.bool_]] = {}
        """Of these, the keypoints on which no rule may fire, (N, K)."""

    def decide(
        self,
        tracker: Predictor,
        camera: str,
        stamps: FrameStamps,
        t_judged_ns: int,
        armed: bool,
        confidence: FloatArray | None = None,
    ) -> list[tuple[Event, Rule]]:
        """Evaluate all rules on a frame.

        Parameters
        ----------
        tracker
            The camera's tracker, updated with the frame's pose; or a group's, with what its views saw.
        camera
            Name of the camera, or of the group.
        stamps
            Stamps of the frame; of a group those of the newest frame that it has used.
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
        states = self._states_of(tracker, camera)
        now_ns = self._shared.now_ns(camera, stamps)
        self._restart_rules(tracker, camera, stamps, now_ns)
        if not armed:
            self._lines.free()
        self._set_inputs(camera)
        self._protocol.advance(camera, stamps, now_ns)
        exposure = self._exposure(tracker, camera, stamps)
        frame = FrameContext(camera, stamps, now_ns, t_judged_ns, armed, confidence, exposure)
        self.predictions.clear()
        self._lost.clear()
        for state in states:
            if state.rule.delay_ns not in self.predictions:
                self._predict(tracker, frame, state.rule.delay_ns)
            self._step_rule(state, frame)
        return frame.events

    def _states_of(self, tracker: Predictor, camera: str) -> list[RuleState]:
        """The states of the camera's rules; made with its first frame, which says how many individuals."""
        if self._rule_states is not None:
            return self._rule_states
        self._rule_states = self._shared.of_camera(self.rules, camera, tracker.shape[0])
        views = [state.views[camera] for state in self._rule_states]
        self._has_memory = any(evaluator.has_memory for view in views for _, evaluator, _ in view.evaluators)
        self._asks_inputs = [
            evaluator
            for view in views
            for _, *both in view.evaluators
            for evaluator in both
            if evaluator is not None and evaluator.has_inputs
        ]
        return self._rule_states

    def _restart_rules(self, tracker: Predictor, camera: str, stamps: FrameStamps, now_ns: int) -> None:
        """Restart the rules where the recording was wound back, or the camera's clock stepped back."""
        assert self._rule_states is not None
        if stamps.epoch != self._epoch:
            for state in self._rule_states:
                state.restart(camera)
            self._epoch = stamps.epoch
        if tracker.clock_steps != self._clock_steps:
            self._clock_steps = tracker.clock_steps
            self._restart_after_clock_step(camera, now_ns)
        moved = moved_individuals(tracker) if self._has_memory else None
        if moved is not None and moved.any():
            self._restart_memories(moved, camera)

    def _restart_memories(self, moved: NDArray[np.bool_], camera: str) -> None:
        """Empty what is kept of slots that hold another track now: it was of another animal."""
        assert self._rule_states is not None
        for state in self._rule_states:
            named, pair = list(state.rule.named), state.rule.pair
            for who, *both in state.views[camera].evaluators:
                for evaluator in both:
                    if evaluator is None:
                        continue
                    if moved[who] or moved[named].any() or (pair and moved[evaluator.other]):
                        evaluator.reset()

    def _restart_after_clock_step(self, camera: str, now_ns: int) -> None:
        """Restart the rules after the scene clock stepped back and the tracks restarted.

        A refractory time under way restarts too where it is measured on that clock: how much of it had passed
        is no longer known.
        """
        assert self._rule_states is not None
        for state in self._rule_states:
            state.restart(camera)
            last_ns = state.refractory.last_event_ns
            if last_ns is not None:
                state.refractory.last_event_ns = min(last_ns, now_ns)

    def _set_inputs(self, camera: str) -> None:
        """Show the state of the inputs' lines at this frame to the conditions that ask for one."""
        if self._asks_inputs:
            on = self._shared.inputs.at_frame(camera)
            for evaluator in self._asks_inputs:
                evaluator.set_inputs(on)

    def _exposure(self, tracker: Predictor, camera: str, stamps: FrameStamps) -> Estimate | None:
        """The track at the exposure, where some quantity keeps a memory."""
        if not self._has_memory:
            return None
        return predict_at(tracker, camera, stamps.index, stamps.t_scene_ns)

    def _predict(self, tracker: Predictor, frame: FrameContext, delay_ns: int) -> None:
        """Predict where the animal is when a command that is given now acts, so long after the decision."""
        effect_ns = effect_scene_ns(frame.stamps, frame.t_judged_ns, delay_ns)
        ahead = predict_at(tracker, frame.camera, frame.stamps.index, effect_ns)
        self.predictions[delay_ns] = ahead
        self._lost[delay_ns] = without_numbers(ahead) if self._one_rig else ahead.lost

    def _step_rule(self, state: RuleState, frame: FrameContext) -> None:
        view = state.views[frame.camera]
        if self._only_known and state.cameras > 1 and frame.now_ns - view.seen_ns > CAMERA_SILENT_NS:
            view.on = False  # it has shown nothing meanwhile: what it saw last keeps nothing true
        evaluation = self._evaluate(state.rule, view, frame)
        if state.rule.yoke_times_ns is not None:
            self._fire_yoked(state, evaluation, frame)
            return
        if view.lost and not evaluation.lost:
            view.on = False
            evaluation = self._evaluate(state.rule, view, frame)
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
        outcome, reason = self._outcome(state, evaluation, frame, aimed)
        if outcome != "suppressed":
            state.refractory.last_event_ns = frame.now_ns
            state.refractory.length_ns = state.rule.refractory_ns + self._jitter_ns(state.rule)
            self._note_decided(state.rule, frame)
        state.repeat_from_ns = frame.now_ns if reason in REPEATED_AFTER else None
        self._emit(state.rule, evaluation, frame, outcome, reason, aimed)

    def _jitter_ns(self, rule: Rule) -> int:
        """The random part of the refractory time that the coming event has."""
        number = self._shared.decided[rule.name]
        return round(draw(self._seed, rule.name, "refractory", number) * rule.refractory_jitter_ns)

    def _note_decided(self, rule: Rule, frame: FrameContext) -> None:
        self._shared.decided[rule.name] += 1
        self._shared.decided_ns[rule.name].append(frame.now_ns)

    def _was_made_true_by_order(self, rule: Rule, view: CameraView, evaluation: Evaluation) -> bool:
        """Whether a condition holds only because `set` lowered its probability since the frame before."""
        before, view.threshold = view.threshold, self._protocol.parameters[rule.name].probability
        if before is None or before == view.threshold or view.on or not evaluation.on:
            return False
        return evaluation.probability is not None and evaluation.probability < before

    def _evaluate(self, rule: Rule, view: CameraView, frame: FrameContext) -> Evaluation:
        ahead, lost = self.predictions[rule.delay_ns], self._lost[rule.delay_ns]
        return evaluate(rule, view, self._protocol.parameters[rule.name], ahead, lost, frame)

    def _fire_yoked(self, state: RuleState, evaluation: Evaluation, frame: FrameContext) -> None:
        """Fire at the first frame whose command would act at one of the other session's times or later.

        One a frame; those that passed long before, in a time without frames, are late.
        """
        times, time = state.rule.yoke_times_ns, self._protocol.time
        assert times is not None
        if not (self._one_rig or frame.camera == time.camera):
            return
        now_ns = frame.now_ns if self._one_rig else time.elapsed_ns
        shown_ns = possible_cause_ns(frame.stamps, self._shared.semantics)
        effect_ns = now_ns + frame.t_judged_ns - shown_ns + state.rule.delay_ns
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
        frame: FrameContext,
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

    def _outcome(  # noqa: PLR0911
        self, state: RuleState, evaluation: Evaluation, frame: FrameContext, aimed: AimedPoint | None
    ) -> tuple[Outcome, str]:
        rule = state.rule
        forbidden = self._forbidden_by_protocol(rule)
        if forbidden:
            return "suppressed", forbidden
        if state.lost or state.by_order:
            return "suppressed", "lost" if state.lost else "order"
        if _is_unsure(rule, evaluation):
            return "suppressed", "identity"
        if state.refractory.holds(frame.now_ns):
            return "suppressed", "refractory"
        suppression = self._suppression(rule, frame, aimed)
        if suppression[1]:
            return suppression
        if self._is_withheld(rule, frame):
            self._begin(rule, "withheld", frame)
            return "withheld", "control"
        self._begin(rule, "fired", frame)
        return "fired", "late" if _is_late(rule, frame) else "condition"

    def _is_withheld(self, rule: Rule, frame: FrameContext) -> bool:
        size, stamps = rule.config.withhold_block, frame.stamps
        if size is None:
            return is_withheld(self._seed, rule.name, frame.camera, stamps.epoch, stamps.index, rule.withhold)
        return is_withheld_in_block(
            self._seed, rule.name, self._shared.decided[rule.name], size, rule.withhold
        )

    def _begin(self, rule: Rule, outcome: Outcome, frame: FrameContext) -> None:
        """Take in that an action begins, or would have begun were it not withheld."""
        if outcome == "fired" or self._one_rig:  # else a later cap would tell which were controls
            self._limits.count(rule.plan, frame.t_judged_ns)
        self._lines.take(rule.plan, frame.t_judged_ns)

    def _suppression(self, rule: Rule, frame: FrameContext, aimed: AimedPoint | None) -> tuple[Outcome, str]:
        """Why a rule may not fire whatever its condition says; no reason where it may."""
        return "suppressed", self._forbidden_by_protocol(rule) or self._forbidden_now(rule, frame, aimed)

    def _forbidden_now(self, rule: Rule, frame: FrameContext, aimed: AimedPoint | None) -> str:
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


def _aimed_point(rule: Rule, evaluation: Evaluation, frame: FrameContext) -> AimedPoint | None:
    """Where the shot of an event would go; None for another action, or where there is nothing to aim at."""
    if rule.aim is None or not isinstance(evaluation.ahead, Track):  # light is aimed in frames alone
        return None
    return rule.aim.aimed_point(evaluation.ahead, evaluation.individual, frame.camera)


def _is_late(rule: Rule, frame: FrameContext) -> bool:
    return frame.t_judged_ns - cause_ns(frame.stamps) > rule.deadline_ns


def _is_unsure(rule: Rule, evaluation: Evaluation) -> bool:
    """Whether an individual that a rule names may be another by now; what only ends a stimulus may end it."""
    individuals = evaluation.ahead.individuals
    if rule.identity is None or individuals is None or rule.plan.ends:
        return False
    return any(not individuals.identity_p[who] >= rule.identity for who in rule.named)
