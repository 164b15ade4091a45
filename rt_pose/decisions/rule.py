"""Rules of a configuration, checked and bound once, before anything starts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.config.build import duration_ns
from rt_pose.config.check import EVERY_CAMERA
from rt_pose.config.rules import RuleConfig
from rt_pose.config.schema import RunConfig
from rt_pose.decisions.action import ActionPlan, plan_action
from rt_pose.decisions.aim import Aim, bind_aim, check_cameras
from rt_pose.decisions.rig import Rig
from rt_pose.decisions.rule_individuals import (
    Who,
    check_individual,
    check_one_camera,
    individual_of,
    named_individuals,
    needed_identity,
)
from rt_pose.decisions.rule_views import check_bound_view, check_view
from rt_pose.errors import UserError, nearest
from rt_pose.rules.condition import Condition
from rt_pose.rules.geometry import Geometry
from rt_pose.rules.keypoint_name import individual_names
from rt_pose.rules.semantics import CURRENT, KNOWN

MOST_COUNTED = 1000
"""Events of a rule that are remembered."""
SHORTEST_REPEAT_NS = NS_PER_MS
LONGEST_DELAY_MS = 60_000


@dataclass(frozen=True, slots=True)
class After:
    """Events of another rule that must have come before."""

    rule: str
    delay_ns: int
    within_ns: int
    count: int

    def holds(self, times_ns: Iterable[int], now_ns: int) -> bool:
        """Tell whether enough events came in time.

        Parameters
        ----------
        times_ns
            Of the other rule's events, on the rig.
        now_ns
            Time now, on the rig.

        Returns
        -------
        bool
            Whether they did.
        """
        ages = (now_ns - t_ns for t_ns in times_ns)
        return sum(self.delay_ns <= age <= self.within_ns for age in ages) >= self.count


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the configuration, checked and bound."""

    name: str
    condition: Condition
    output: str
    hold_ns: int
    refractory_ns: int
    deadline_ns: int
    """From exposure to decision, and to the sending of the command."""
    late: str
    withhold: float
    delay_ns: int
    """Of its output: the condition is evaluated at the time at which the command acts."""
    config: RuleConfig
    plan: ActionPlan
    """What it does."""
    release: Condition | None = None
    """Of a rule without probability: the condition that ends its being true."""
    individual: Who = "each"
    named: tuple[int, ...] = ()
    """The individuals that it names."""
    identity: float | None = None
    """How probable it must be that each of these is still itself; None where that is not asked."""
    camera: str = "any"
    """The camera that it looks at; `any` of them, or `all`. Of a rule that is judged in space its group."""
    after: After | None = None
    repeat_ns: int | None = None
    """While it stays true it acts again after so long."""
    refractory_jitter_ns: int = 0
    geometries: dict[str, Geometry] = field(default_factory=dict)
    """By camera, for what it measures in mm."""
    yoke_times_ns: list[int] | None = None
    """Scene times since the first frame at which it fires in place of its condition."""
    aim: Aim | None = None
    """What light is aimed at, of a rule that aims light."""
    views: tuple[str, ...] = ()
    """Of a rule that is judged in space, the cameras of its group."""

    @property
    def keypoints(self) -> tuple[int, ...]:
        """Keypoints of which none may be lost when it fires, of a rule about one individual."""
        more = () if self.release is None else self.release.keypoints
        aimed = () if self.aim is None else self.aim.point.keypoints
        return tuple(dict.fromkeys((*self.condition.keypoints, *more, *aimed)))

    def is_lost(self, lost: NDArray[np.bool_], who: int, other: int = 0) -> bool:
        """Check whether a keypoint that it looks at is lost, so that it may not fire.

        Parameters
        ----------
        lost
            As in `Track`, (N, K).
        who
            Index of the individual that it is judged for.
        other
            Where it is judged for a pair, that of the other one.

        Returns
        -------
        bool
            Whether one is.
        """
        conditions = (self.condition, *(() if self.release is None else (self.release,)))
        if any(condition.is_lost(lost, who, other) for condition in conditions):
            return True
        return self.aim is not None and any(lost[who, k] for k in self.aim.point.keypoints)

    def cameras_of(self, cameras: Sequence[str]) -> Sequence[str]:
        """List the cameras on whose frames the rule depends.

        Parameters
        ----------
        cameras
            Those of the run.

        Returns
        -------
        Sequence[str]
            Their names.
        """
        if self.views:
            return self.views
        return cameras if self.camera in EVERY_CAMERA else (self.camera,)

    @property
    def pair(self) -> bool:
        """Whether it is judged for an individual and another one."""
        return self.condition.pair or (self.release is not None and self.release.pair)

    @property
    def blind(self) -> bool:
        """Whether its fired events must not be distinguishable, during the run, from those withheld."""
        return self.withhold > 0.0


def make_rules(
    config: RunConfig,
    keypoints: list[str],
    delays_ms: dict[str, float],
    individuals: int | Sequence[str] | None = None,
    semantics: int = CURRENT,
) -> list[Rule]:
    """Check and bind the rules of a configuration.

    Parameters
    ----------
    config
        The run's configuration.
    keypoints
        Names of the model's keypoints, in their order.
    delays_ms
        By output name, from the write to the effect, ms.
    individuals
        How many are tracked, or their names; None: as configured.
    semantics
        What conditions mean: see `rt_pose.rules.semantics`.

    Returns
    -------
    list[Rule]
        The rules, in the order of the configuration.

    Raises
    ------
    UserError
        Where one is not valid.
    """
    rig = Rig.of(config, keypoints, semantics, individuals)
    rules: list[Rule] = []
    for rule in config.rules:
        where = f"rule '{rule.name}'"
        if any(rule.name == other.name for other in rules):
            raise UserError(f"{where}: there are two rules of that name")
        if rule.do.output not in delays_ms:
            hint = nearest(rule.do.output, delays_ms) or "; the configuration has no outputs"
            raise UserError(f"{where}: do.output: there is no output '{rule.do.output}'{hint}")
        delay_ms = delays_ms[rule.do.output]
        if not 0.0 <= delay_ms <= LONGEST_DELAY_MS:
            raise UserError(
                f"{where}: output '{rule.do.output}': expected a delay of 0 to {LONGEST_DELAY_MS} ms, got "
                f"{delay_ms:g}"
            )
        rules.append(_rule(rule, config, rig, delay_ms, where))
    return rules


def _rule(rule: RuleConfig, config: RunConfig, rig: Rig, delay_ms: float, where: str) -> Rule:
    _check_shares(rule, where)
    names = individual_names(rig.individuals)
    check_individual(rule, names, where)
    plan = plan_action(rule, config.outputs, where)
    refractory_ns = duration_ns(rule.refractory, f"{where}: refractory")
    check_view(rule, rig.spaces, where)
    condition = rig.bind(rule.when, where, rule.view)
    if rule.probability is not None:
        condition.prepare(where)
    asked = rule.release if isinstance(rule.release, str) else None
    release = None if asked is None else rig.bind(asked, f"{where}: release", rule.view)
    camera = _camera(rule, condition, release, rig, where)
    individual = individual_of(rule, condition, release, names, where)
    named = named_individuals(individual, condition, release)
    check_one_camera(individual, camera, names, rig.cameras, where)
    return Rule(
        name=rule.name,
        condition=condition,
        output=rule.do.output,
        hold_ns=duration_ns(rule.hold, f"{where}: hold"),
        refractory_ns=0 if plan.ends else refractory_ns,
        deadline_ns=_deadline_ns(rule, config, where),
        late="fire" if plan.ends else rule.late,
        withhold=rule.withhold,
        delay_ns=round(delay_ms * NS_PER_MS),
        config=rule,
        plan=plan,
        release=release,
        individual=individual,
        named=named,
        identity=needed_identity(rule, named, names, where),
        camera=camera,
        after=_after(rule, [other.name for other in config.rules], where),
        repeat_ns=_repeat_ns(rule, where),
        refractory_jitter_ns=duration_ns(rule.refractory_jitter, f"{where}: refractory_jitter"),
        geometries=rig.geometries,
        yoke_times_ns=_yoke_times(rule, where),
        aim=_aim(rule, config, rig, camera, where),
        views=tuple(config.views[rule.view].camera_names) if rule.view else (),
    )


def _aim(rule: RuleConfig, config: RunConfig, rig: Rig, camera: str, where: str) -> Aim | None:
    do = rule.do.aim
    if do is None:
        return None
    output, configured = rule.do.output, config.outputs.get(rule.do.output)
    calibrations = {} if configured is None else configured.aim
    for name in calibrations:
        if rig.cameras and name not in rig.cameras:
            hint = nearest(name, rig.cameras)
            raise UserError(f"configuration: outputs.{output}.aim: there is no camera '{name}'{hint}")
    aim = bind_aim(do, output, calibrations, rig.keypoints, rig.zones, rig.geometries, where)
    check_cameras(aim, camera, rig.cameras, output, where)
    if aim.point.individual and len(individual_names(rig.individuals)) > 1:
        raise UserError(
            f"{where}: do.aim.keypoint: light goes to the animal of the event; expected a keypoint without "
            f"an individual, got {do.keypoint!r}"
        )
    return aim


def _deadline_ns(rule: RuleConfig, config: RunConfig, where: str) -> int:
    deadline = f"{config.budget_ms} ms" if rule.deadline is None else rule.deadline
    deadline_ns = duration_ns(deadline, f"{where}: deadline")
    if deadline_ns <= 0:
        raise UserError(f"{where}: deadline: expected more than 0, got {deadline!r}")
    return deadline_ns


def _check_shares(rule: RuleConfig, where: str) -> None:
    if not 0.0 <= rule.withhold <= 1.0:
        raise UserError(f"{where}: withhold: expected a share from 0 to 1, got {rule.withhold}")
    if rule.withhold_block is not None:
        withheld = rule.withhold * rule.withhold_block
        if not 1 <= rule.withhold_block <= MOST_COUNTED or abs(withheld - round(withheld)) > 1e-6:
            raise UserError(
                f"{where}: withhold_block: expected 1 to {MOST_COUNTED} events of which `withhold` is a "
                f"whole number, got {rule.withhold_block}, of which {rule.withhold:g} is {withheld:g}"
            )
    if rule.probability is None:
        if isinstance(rule.release, int | float):
            raise UserError(
                f"{where}: release: a probability is for a rule with `probability`; this one takes a "
                f"condition, e.g. `release: speed(nose) < 30`, got {rule.release}"
            )
        return
    if not 0.0 < rule.probability < 1.0:
        raise UserError(
            f"{where}: probability: expected more than 0, less than 1, e.g. 0.95, got {rule.probability}"
        )
    if isinstance(rule.release, str):
        raise UserError(
            f"{where}: release: a rule with `probability` takes a probability, e.g. 0.8, got {rule.release!r}"
        )
    if rule.release is not None and not 0.0 <= rule.release <= rule.probability:
        raise UserError(
            f"{where}: release: expected 0 to its probability {rule.probability:g}, got {rule.release}"
        )


def _after(rule: RuleConfig, rules: list[str], where: str) -> After | None:
    if rule.after is None:
        return None
    where, wanted = f"{where}: after", rule.after
    if wanted.rule not in rules:
        raise UserError(f"{where}.rule: there is no rule '{wanted.rule}'{nearest(wanted.rule, rules)}")
    if wanted.rule == rule.name:
        raise UserError(f"{where}.rule: expected another rule, got its own name")
    delay_ns = duration_ns(wanted.delay, f"{where}.delay")
    within_ns = duration_ns(wanted.within, f"{where}.within")
    if within_ns <= delay_ns:
        raise UserError(
            f"{where}.within: expected more than the delay ({wanted.delay}), got {wanted.within!r}"
        )
    if not 1 <= wanted.count <= MOST_COUNTED:
        raise UserError(f"{where}.count: expected 1 to {MOST_COUNTED}, got {wanted.count}")
    return After(wanted.rule, delay_ns, within_ns, wanted.count)


def _repeat_ns(rule: RuleConfig, where: str) -> int | None:
    if rule.repeat is None:
        return None
    repeat_ns = duration_ns(rule.repeat, f"{where}: repeat")
    if repeat_ns < SHORTEST_REPEAT_NS:
        raise UserError(f"{where}: repeat: expected 1 ms or more, got {rule.repeat!r}")
    return repeat_ns


def _camera(rule: RuleConfig, condition: Condition, release: Condition | None, rig: Rig, where: str) -> str:
    """The camera that a rule names, itself or in its conditions; of one that is judged in space its group."""
    if rule.view:
        check_bound_view({"when": condition, "release": release}, where)
        return rule.view
    named = {rule.camera: "camera"} if rule.camera not in EVERY_CAMERA else {}
    for part, of in ((condition, "when"), (release, "release")):
        if part is not None and part.camera:
            named.setdefault(part.camera, of)
    if len(named) > 1:
        both = " and ".join(f"'{name}' ({of})" for name, of in named.items())
        raise UserError(f"{where}: looks at {both}; expected one camera a rule, or `camera: all`")
    if named and rule.camera == "all" and rig.semantics >= KNOWN:
        raise UserError(
            f"{where}: camera: all of them, but its condition looks at '{next(iter(named))}' alone; leave "
            "out one of the two"
        )
    camera = next(iter(named), rule.camera)
    if rig.cameras and camera not in (*EVERY_CAMERA, *rig.cameras):
        hint = nearest(camera, [*EVERY_CAMERA, *rig.cameras])
        raise UserError(f"{where}: camera: there is no camera '{camera}'{hint}")
    return camera


def _yoke_times(rule: RuleConfig, where: str) -> list[int] | None:
    if rule.yoke is not None and rule.yoke_times_s is None:
        raise UserError(f"{where}: yoke: the times of session {rule.yoke} have not been read")
    if rule.yoke_times_s is None:
        return None
    times = rule.yoke_times_s
    if not all(math.isfinite(t) and t >= 0 for t in times) or sorted(times) != list(times):
        raise UserError(f"{where}: yoke_times_s: expected times in order, from 0 on")
    return [round(t * NS_PER_S) for t in times]
