"""Rules that are judged in space, by a group of views: what they may not say."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from rt_pose.config.rules import RuleConfig
from rt_pose.errors import UserError, nearest
from rt_pose.rules.condition import Condition


def check_view(rule: RuleConfig, groups: Collection[str], where: str) -> None:
    """Check the group of views that a rule names, before its conditions are read.

    Parameters
    ----------
    rule
        The rule as configured.
    groups
        Names of the run's groups.
    where
        Place of the rule in the configuration, for messages.

    Raises
    ------
    UserError
        Where there is no such group, or the rule also asks for what only a frame has.
    """
    if not rule.view:
        return
    if rule.view not in groups:
        hint = nearest(rule.view, groups) if groups else "; the configuration has no `views`"
        raise UserError(f"{where}: view: there is no group of views '{rule.view}'{hint}")
    if rule.camera != RuleConfig.camera:
        raise UserError(
            f"{where}: camera: a rule with a `view` is judged by all cameras of '{rule.view}' together; "
            f"leave `camera` out, got {rule.camera!r}"
        )
    if rule.do.aim is not None:
        raise UserError(
            f"{where}: do.aim: light is aimed in the frame of a camera; expected a rule without `view`, or "
            "another action"
        )


def check_bound_view(conditions: Mapping[str, Condition | None], where: str) -> None:
    """Check the conditions of a rule that is judged in space.

    Parameters
    ----------
    conditions
        By their keys in the configuration.
    where
        Place of the rule in the configuration, for messages.

    Raises
    ------
    UserError
        Where one names a camera.
    """
    for key, condition in conditions.items():
        if condition is not None and condition.camera:
            raise UserError(
                f"{where}: {key}: it looks at camera '{condition.camera}', but a rule with a `view` is "
                f"judged in space; leave out '@{condition.camera}'"
            )
