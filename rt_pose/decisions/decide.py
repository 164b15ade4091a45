"""Rules over tracks -> events. A pure function of poses, stamps, orders, configuration and seed.

A rule comes true when its condition has held for `hold` (scene time); it says so once, and again only
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
from rt_pose.rules.condition import Judge
from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.types import Event, FloatArray, FrameStamps, Outcome, Track

__all__ = ["Decider", "Rule", "RuleSet", "cause_ns", "effect_scene_ns", "make_rules", "withheld"]


@dataclass(slots=True)
class _Seat:
    """A rule and whom it is judged for: an individual, or all of them where any will do."""

    rule: Rule
    judges: list[tuple[int, Judge, Judge | None]]
    """(individual, of the condition, of the release)."""
    on: bool = False
    """Its condition holds, hysteresis included."""
    since_ns: int | None = None
    """Scene time since which the condition has held."""
    said: bool = False
    """The event of this stretch has been made."""
    lost: bool = False
    """A keypoint of the condition was lost: what it said then counts for nothing once it is seen again."""
    last_ns: int | None = None
    """Scene time of the last firing (or withholding), for the refractory time."""
    yoked: int = 0
    """How many of the other session's times have come."""

    def forget(self, *, memories: bool) -> None:
        """As if nothing had held; the refractory time runs on."""
        self.on, self.since_ns, self.said = False, None, False
        if memories:
            self.lost = False
            for _, judge, release in self.judges:
                judge.reset()
                if release is not None:
                    release.reset()


@dataclass(slots=True)
class _Verdict:
    """What the judges of a seat say of one prediction."""

    on: bool
    individual: int
    judge: Judge
    lost: bool
    probability: float | None


@dataclass(slots=True)
class _Frame:
    """What all rules share while a frame is judged."""

    camera: str
    stamps: FrameStamps
    t_judged_ns: int
    armed: bool
    confidence: FloatArray | None
    exposure: Track | None
    """The track at the exposure, where some quantity keeps a memory."""
    events: list[tuple[Event, Rule]] = field(default_factory=list)


def withheld(seed: int, rule: str, camera: str, epoch: int, frame_index: int, share: float) -> bool:
    """Whether an event is a control trial: a hash of its cause, so that replay withholds the same ones."""
    cause = f"{seed}/{rule}/{camera}/{epoch}/{frame_index}".encode()
    draw = int.from_bytes(hashlib.blake2b(cause, digest_size=8).digest(), "little") / 2**64
    return draw < share


class Decider:
    """Judges the rules on one camera's filter."""

    def __init__(
        self,
        rules: list[Rule],
        seed: int,
        first_event_id: int = 1,
        id_step: int = 1,
        limits: Limits | None = None,
        protocol: Protocol | None = None,
    ) -> None:
        """`limits`: the caps on outputs; `protocol`: blocks and parameters. One of each for all cameras."""
        self._limits = limits or Limits({})
        self.rules = rules
        self._protocol = protocol or make_protocol(RunConfig(rules=[rule.config for rule in rules]))
        self._seed = seed
        self._next_id, self._id_step = first_event_id, id_step
        self._seats: list[_Seat] | None = None
        self._remembers = False
        self._epoch: int | None = None
        self._clock_steps = 0
        """Of the filter, as far as the rules know of them."""
        self.ahead: dict[int, Track] = {}
        """The last frame's predictions, by the delay (ns) past the judging that they speak for."""

    def decide(
        self,
        tracker: CausalFilter,
        camera: str,
        stamps: FrameStamps,
        t_judged_ns: int,
        armed: bool,
        confidence: FloatArray | None = None,
    ) -> list[tuple[Event, Rule]]:
        """The events of this frame. `t_judged_ns` is read once by the caller, and logged.

        `confidence`: (N, K), the pose's, for rules that ask for it.
        """
        if self._seats is None:
            self._seats = [seat for rule in self.rules for seat in _seats(rule, camera, tracker.shape[0])]
            self._remembers = any(judge.remembers for s in self._seats for _, judge, _ in s.judges)
        if stamps.epoch != self._epoch:
            for seat in self._seats:
                seat.forget(memories=True)
            self._epoch = stamps.epoch
        if tracker.clock_steps != self._clock_steps:
            self._clock_steps = tracker.clock_steps
            self._begin_again(stamps.t_scene_ns)
        self._protocol.advance(camera, stamps)
        exposure = tracker.predict(camera, stamps.index, stamps.t_scene_ns) if self._remembers else None
        frame = _Frame(camera, stamps, t_judged_ns, armed, confidence, exposure)
        self.ahead.clear()
        for seat in self._seats:
            delay_ns = seat.rule.delay_ns
            if delay_ns not in self.ahead:
                effect_ns = effect_scene_ns(stamps, t_judged_ns, delay_ns)
                self.ahead[delay_ns] = tracker.predict(camera, stamps.index, effect_ns)
            self._judge(seat, self.ahead[delay_ns], frame)
        return frame.events

    def _begin_again(self, t_scene_ns: int) -> None:
        """The scene clock stepped back: the tracks begin anew, and so does what the rules know of before.

        A refractory time under way begins anew too: how much of it had passed is not known any more.
        """
        assert self._seats is not None
        for seat in self._seats:
            seat.forget(memories=True)
            if seat.last_ns is not None:
                seat.last_ns = min(seat.last_ns, t_scene_ns)

    def _judge(self, seat: _Seat, ahead: Track, frame: _Frame) -> None:
        verdict = self._verdict(seat, ahead, frame)
        if seat.rule.yoke_times_ns is not None:
            self._yoked(seat, verdict, frame)
            return
        if seat.lost and not verdict.lost:
            seat.forget(memories=False)
            verdict = self._verdict(seat, ahead, frame)
        seat.lost = verdict.lost
        if not verdict.on:
            seat.forget(memories=False)
            return
        seat.on = True
        now = frame.stamps.t_scene_ns
        if seat.since_ns is None:
            seat.since_ns = now
        if seat.said or now - seat.since_ns < seat.rule.hold_ns:
            return
        seat.said = True
        outcome, reason = self._outcome(seat, verdict, frame)
        if outcome != "suppressed":
            seat.last_ns = now
        self._say(seat.rule, verdict, frame, outcome, reason)

    def _verdict(self, seat: _Seat, ahead: Track, frame: _Frame) -> _Verdict:
        """Of the individual for whom it holds most, the lost ones last."""
        best: _Verdict | None = None
        missing = 1.0
        for who, judge, release in seat.judges:
            one = self._verdict_of(seat, who, judge, release, ahead, frame)
            if one.probability is not None and not one.lost and not math.isnan(one.probability):
                missing *= 1.0 - one.probability
            if best is None or _rank(one) > _rank(best):
                best = one
        assert best is not None
        if len(seat.judges) > 1 and best.probability is not None and not best.lost:
            best.probability = 1.0 - missing
            best.on = best.probability >= self._level(seat)
        return best

    def _verdict_of(
        self, seat: _Seat, who: int, judge: Judge, release: Judge | None, ahead: Track, frame: _Frame
    ) -> _Verdict:
        if frame.exposure is not None:
            judge.see(frame.exposure, frame.confidence)
            if release is not None:
                release.see(frame.exposure, frame.confidence)
        judge.look(ahead, frame.confidence)
        lost = any(ahead.lost[who, k] for k in seat.rule.keypoints)
        if self._protocol.parameters[seat.rule.name].probability is not None:
            probability = judge.probability()
            return _Verdict(probability >= self._level(seat), who, judge, lost, probability)
        on = judge.holds()
        if seat.on and not on and release is not None:
            release.look(ahead, frame.confidence)
            on = not release.holds()
        return _Verdict(on, who, judge, lost, None)

    def _level(self, seat: _Seat) -> float:
        """The probability that it takes to come true, or to stay so."""
        parameters = self._protocol.parameters[seat.rule.name]
        enter, stay = parameters.probability, parameters.release
        assert enter is not None
        return min(enter, stay) if seat.on and stay is not None else enter

    def _yoked(self, seat: _Seat, verdict: _Verdict, frame: _Frame) -> None:
        """Fire at the first frame whose command would act at one of the other session's times or later."""
        times, time = seat.rule.yoke_times_ns, self._protocol.time
        assert times is not None
        if frame.camera != time.camera or seat.yoked >= len(times):
            return
        wait_ns = frame.t_judged_ns - cause_ns(frame.stamps) + seat.rule.delay_ns
        if time.elapsed_ns + wait_ns < times[seat.yoked]:
            return
        seat.yoked += 1
        outcome, reason = self._held_back(seat.rule, frame)
        if not reason:
            outcome, reason = "fired", "yoked"
            self._limits.count(seat.rule.plan, frame.t_judged_ns)
        self._say(seat.rule, verdict, frame, outcome, reason)

    def _say(self, rule: Rule, verdict: _Verdict, frame: _Frame, outcome: Outcome, reason: str) -> None:
        cause = cause_ns(frame.stamps)
        event = Event(
            id=self._next_id,
            rule=rule.name,
            individual=verdict.individual,
            outcome=outcome,
            reason=reason,
            probability=verdict.probability,
            value=verdict.judge.value(),
            camera=frame.camera,
            frame_index=frame.stamps.index,
            t_cause_ns=cause,
            t_judged_ns=frame.t_judged_ns,
            t_effect_ns=frame.t_judged_ns + rule.delay_ns,
            deadline_met=not _late(rule, frame),
            block=self._protocol.block,
            trial=self._protocol.trial,
        )
        self._next_id += self._id_step
        frame.events.append((event, rule))
        if outcome != "suppressed" and not rule.plan.ends:
            self._protocol.decided()

    def _outcome(self, seat: _Seat, verdict: _Verdict, frame: _Frame) -> tuple[Outcome, str]:
        rule, stamps = seat.rule, frame.stamps
        forbidden = self._forbidden(rule)
        if forbidden:
            return "suppressed", forbidden
        if verdict.lost:
            return "suppressed", "lost"
        if seat.last_ns is not None and stamps.t_scene_ns - seat.last_ns < rule.refractory_ns:
            return "suppressed", "refractory"
        held_back = self._held_back(rule, frame)
        if held_back[1]:
            return held_back
        if withheld(self._seed, rule.name, frame.camera, stamps.epoch, stamps.index, rule.withhold):
            return "withheld", "control"
        self._limits.count(rule.plan, frame.t_judged_ns)
        return "fired", "late" if _late(rule, frame) else "condition"

    def _held_back(self, rule: Rule, frame: _Frame) -> tuple[Outcome, str]:
        """Why a rule may not fire whatever its condition says; no reason where it may."""
        forbidden = self._forbidden(rule)
        if forbidden:
            return "suppressed", forbidden
        if not frame.armed:
            return "suppressed", "disarmed"
        if rule.late == "suppress" and _late(rule, frame):
            return "suppressed", "late"
        if self._limits.exceeded(rule.plan, frame.t_judged_ns):
            return "suppressed", "cap"
        return "suppressed", ""

    def _forbidden(self, rule: Rule) -> str:
        """What the protocol has against a rule; what only ends a stimulus may do so in any block."""
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
        """Of a configuration; UserError where a part of it cannot be meant. `delays_ms` by output name."""
        rules = make_rules(config, keypoints, delays_ms)
        limits = make_limits(config, {rule.name: rule.plan for rule in rules})
        return cls(rules, limits, make_protocol(config), config.seed)

    def decider(self, camera: int, cameras: int) -> Decider:
        """Of the camera of that number among `cameras`.

        Its events count on a lattice of their own (first id and step), so that ids do not depend on how
        frames of several cameras interleave.
        """
        return Decider(self.rules, self.seed, camera + 1, cameras, self.limits, self.protocol)


def _seats(rule: Rule, camera: str, individuals: int) -> list[_Seat]:
    geometry = rule.geometries.get(camera)

    def judges(who: int) -> tuple[int, Judge, Judge | None]:
        release = None if rule.release is None else rule.release.judge(who, geometry)
        return who, rule.condition.judge(who, geometry), release

    if rule.individual == "any":
        return [_Seat(rule, [judges(who) for who in range(individuals)])]
    who = range(individuals) if rule.individual == "each" else [int(rule.individual)]
    return [_Seat(rule, [judges(w)]) for w in who]


def _rank(verdict: _Verdict) -> tuple[bool, bool, float]:
    p = verdict.probability
    return not verdict.lost, verdict.on, -1.0 if p is None or math.isnan(p) else p


def _late(rule: Rule, frame: _Frame) -> bool:
    return frame.t_judged_ns - cause_ns(frame.stamps) > rule.deadline_ns


def cause_ns(stamps: FrameStamps) -> int:
    """Host time of what the frame shows: its exposure, or its arrival where the camera cannot say."""
    return stamps.t_arrival_ns if stamps.t_exposure_ns is None else stamps.t_exposure_ns


def effect_scene_ns(stamps: FrameStamps, t_judged_ns: int, delay_ns: int) -> int:
    """Scene time at which a command given now will act.

    The machine's latency is what it is, also when a recording is played at another pace, so it is added
    to the frame's scene time unscaled.
    """
    return stamps.t_scene_ns + (t_judged_ns - cause_ns(stamps)) + delay_ns
