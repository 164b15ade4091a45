"""The rules of a run with all that the deciders of its cameras share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rt_pose.config.schema import RunConfig
from rt_pose.decisions.decide import Decider
from rt_pose.decisions.limits import Limits, make_limits
from rt_pose.decisions.lines import Lines
from rt_pose.decisions.protocol import Protocol, make_protocol
from rt_pose.decisions.rule import Rule, make_rules
from rt_pose.decisions.rule_state import RuleStates
from rt_pose.rules.geometry import Geometry
from rt_pose.rules.semantics import CURRENT, KNOWN


@dataclass(frozen=True, slots=True)
class RuleSet:
    """What the deciders of all cameras share: rules, their states, limits, protocol, seed of withholding."""

    rules: list[Rule]
    limits: Limits
    protocol: Protocol
    seed: int
    states: RuleStates
    lines: Lines = field(default_factory=Lines)

    @property
    def geometries(self) -> dict[str, Geometry]:
        """By camera, for what rules measure in mm; empty where there are no rules."""
        return self.rules[0].geometries if self.rules else {}

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
            How many deciders there are: one for each camera and each group of views.

        Returns
        -------
        Decider
            The decider.
        """
        return self._decider(self.rules, camera, cameras)

    def view_decider(self, group: str, number: int, count: int) -> Decider | None:
        """Make the decider of one group of views.

        Parameters
        ----------
        group
            Name of the group.
        number
            Number of the decider, from 0: the cameras come first.
        count
            How many deciders there are, as of `decider`.

        Returns
        -------
        Decider | None
            The decider; None where no rule is judged by this group.
        """
        rules = [rule for rule in self.rules if rule.config.view == group]
        return self._decider(rules, number, count) if rules else None

    def _decider(self, rules: list[Rule], number: int, count: int) -> Decider:
        return Decider(
            rules,
            self.seed,
            number + 1,
            count,
            self.limits,
            self.protocol,
            self.states,
            self.lines,
        )
