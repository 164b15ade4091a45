"""Rules over tracks -> events. A pure function of poses, stamps, configuration and seed.

A rule comes true when its condition has held for `hold` (scene time); it says so once, and again only
after the condition has been false. Whether that event fires, is withheld as a control, or is suppressed is
decided here and nowhere else, always with the reason.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from rt_pose.clock import NS_PER_MS
from rt_pose.config import RuleConfig, RunConfig, duration_ns
from rt_pose.errors import UserError, nearest
from rt_pose.loop.action import Plan, plan_action
from rt_pose.loop.limits import Limits
from rt_pose.loop.track import CausalFilter
from rt_pose.rules.bind import Condition, bind, make_zones
from rt_pose.types import Event, FrameStamps, Outcome, Track


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the configuration, checked and bound."""

    name: str
    condition: Condition
    output: str
    hold_ns: int
    refractory_ns: int
    deadline_ns: int
    """From exposure to decision, and to the command's being sent."""
    late: str
    withhold: float
    delay_ns: int
    """Of its output: judged is what will be when the command acts."""
    config: RuleConfig
    plan: Plan
    """What it does."""


@dataclass(slots=True)
class _State:
    since_ns: int | None = None
    """Scene time since which the condition has held."""
    said: bool = False
    """The event of this stretch has been made."""
    lost: bool = False
    """A keypoint of the condition was lost: what it said then counts for nothing once it is seen again."""
    last_ns: int | None = None
    """Scene time of the last firing (or withholding), for the refractory time."""


def make_rules(config: RunConfig, keypoints: list[str], delays_ms: dict[str, float]) -> list[Rule]:
    """The rules of a configuration; UserError where one cannot be meant. `delays_ms` by output name."""
    zones = make_zones(config.zones, "configuration")
    rules: list[Rule] = []
    for rule in config.rules:
        where = f"rule '{rule.name}'"
        if any(rule.name == other.name for other in rules):
            raise UserError(f"{where}: there are two rules of that name")
        if rule.do.output not in delays_ms:
            hint = nearest(rule.do.output, delays_ms) or "; the configuration has no outputs"
            raise UserError(f"{where}: do.output: there is no output '{rule.do.output}'{hint}")
        if not 0.0 <= rule.withhold <= 1.0:
            raise UserError(f"{where}: withhold: expected a share from 0 to 1, got {rule.withhold}")
        plan = plan_action(rule, config.outputs, where)
        deadline = f"{config.budget_ms} ms" if rule.deadline is None else rule.deadline
        deadline_ns = duration_ns(deadline, f"{where}: deadline")
        if deadline_ns <= 0:
            raise UserError(f"{where}: deadline: expected more than 0, got {deadline!r}")
        rules.append(
            Rule(
                name=rule.name,
                condition=bind(rule.when, keypoints, zones, where),
                output=rule.do.output,
                hold_ns=duration_ns(rule.hold, f"{where}: hold"),
                refractory_ns=duration_ns(rule.refractory, f"{where}: refractory"),
                deadline_ns=deadline_ns,
                late="fire" if plan.ends else rule.late,
                withhold=rule.withhold,
                delay_ns=round(delays_ms[rule.do.output] * NS_PER_MS),
                config=rule,
                plan=plan,
            )
        )
    return rules


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
    ) -> None:
        """`limits`: the caps on outputs, one object for all cameras; None for none."""
        self._limits = limits or Limits({})
        self.rules = rules
        self._seed = seed
        self._next_id, self._id_step = first_event_id, id_step
        self._states: dict[tuple[str, int], _State] = {}
        self._epoch: int | None = None
        self.ahead: dict[int, Track] = {}
        """The last frame's predictions, by the delay (ns) past the judging that they speak for."""

    def decide(
        self, tracker: CausalFilter, camera: str, stamps: FrameStamps, t_judged_ns: int, armed: bool
    ) -> list[tuple[Event, Rule]]:
        """The events of this frame. `t_judged_ns` is read once by the caller, and logged."""
        if stamps.epoch != self._epoch:
            for state in self._states.values():  # the refractory time runs on
                state.since_ns, state.said, state.lost = None, False, False
            self._epoch = stamps.epoch
        events: list[tuple[Event, Rule]] = []
        self.ahead.clear()
        for rule in self.rules:
            if rule.delay_ns not in self.ahead:
                self.ahead[rule.delay_ns] = tracker.predict(
                    camera, stamps.index, effect_scene_ns(stamps, t_judged_ns, rule.delay_ns)
                )
            ahead = self.ahead[rule.delay_ns]
            for individual in range(tracker.shape[0]):
                event = self._judge(rule, individual, ahead, stamps, t_judged_ns, armed)
                if event is not None:
                    events.append((event, rule))
        return events

    def _judge(
        self, rule: Rule, who: int, ahead: Track, stamps: FrameStamps, t_judged_ns: int, armed: bool
    ) -> Event | None:
        state = self._states.setdefault((rule.name, who), _State())
        lost = any(ahead.lost[who, k] for k in rule.condition.keypoints)
        if state.lost and not lost:
            state.since_ns, state.said = None, False
        state.lost = lost
        if not rule.condition.holds(ahead, who):
            state.since_ns, state.said = None, False
            return None
        now = stamps.t_scene_ns
        if state.since_ns is None:
            state.since_ns = now
        if state.said or now - state.since_ns < rule.hold_ns:
            return None
        state.said = True
        cause = cause_ns(stamps)
        late = t_judged_ns - cause > rule.deadline_ns
        outcome, reason = self._outcome(rule, state, ahead.camera, stamps, t_judged_ns, late, armed)
        if outcome != "suppressed":
            state.last_ns = now
        event = Event(
            id=self._next_id,
            rule=rule.name,
            individual=who,
            outcome=outcome,
            reason=reason,
            probability=None,
            value=rule.condition.value(ahead, who),
            camera=ahead.camera,
            frame_index=stamps.index,
            t_cause_ns=cause,
            t_judged_ns=t_judged_ns,
            t_effect_ns=t_judged_ns + rule.delay_ns,
            deadline_met=not late,
        )
        self._next_id += self._id_step
        return event

    def _outcome(
        self,
        rule: Rule,
        state: _State,
        camera: str,
        stamps: FrameStamps,
        t_judged_ns: int,
        late: bool,
        armed: bool,
    ) -> tuple[Outcome, str]:
        if state.lost:
            return "suppressed", "lost"
        if state.last_ns is not None and stamps.t_scene_ns - state.last_ns < rule.refractory_ns:
            return "suppressed", "refractory"
        if not armed:
            return "suppressed", "disarmed"
        if late and rule.late == "suppress":
            return "suppressed", "late"
        if self._limits.exceeded(rule.plan, t_judged_ns):
            return "suppressed", "cap"
        if withheld(self._seed, rule.name, camera, stamps.epoch, stamps.index, rule.withhold):
            outcome: tuple[Outcome, str] = ("withheld", "control")
        else:
            outcome = ("fired", "late" if late else "condition")
            self._limits.count(rule.plan, t_judged_ns)
        return outcome


def cause_ns(stamps: FrameStamps) -> int:
    """Host time of what the frame shows: its exposure, or its arrival where the camera cannot say."""
    return stamps.t_arrival_ns if stamps.t_exposure_ns is None else stamps.t_exposure_ns


def effect_scene_ns(stamps: FrameStamps, t_judged_ns: int, delay_ns: int) -> int:
    """Scene time at which a command given now will act.

    The machine's latency is what it is, also when a recording is played at another pace, so it is added
    to the frame's scene time unscaled.
    """
    return stamps.t_scene_ns + (t_judged_ns - cause_ns(stamps)) + delay_ns
