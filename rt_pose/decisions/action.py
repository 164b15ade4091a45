"""What a rule does: checked before anything starts, and planned, so that firing only copies numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rt_pose.clock import NS_PER_S
from rt_pose.config.build import duration_ns
from rt_pose.config.rules import ActionConfig, RuleConfig
from rt_pose.config.schema import OutputConfig
from rt_pose.errors import UserError, nearest
from rt_pose.types import Action, OutputInfo

NS_PER_US = 1000
LONGEST_PULSE_NS = 60 * NS_PER_S
LONGEST_TRAIN_NS = 600 * NS_PER_S
LONGEST_LEVEL_NS = 3600 * NS_PER_S
MOST_PULSES = 10_000
LONGEST_MESSAGE_BYTES = 200

KINDS: tuple[Action, ...] = ("pulse", "train", "level", "analog", "message", "stop", "aim")


@dataclass(frozen=True, slots=True)
class ActionPlan:
    """An action with its numbers, as a command has them."""

    output: str
    line: int
    action: Action
    duration_us: int = 0
    """Of each pulse or shot; of an analog action at its amplitude; of a level at most, 0 = until ended."""
    period_us: int = 0
    count: int = 1
    amplitude: float = 1.0
    """0 for a level that goes off."""
    ramp_up_us: int = 0
    ramp_down_us: int = 0
    message: str = ""

    @property
    def ends(self) -> bool:
        """Whether it only ends what a line is doing: it is sent even when late, and never withheld."""
        return self.action == "stop" or (self.action == "level" and self.amplitude == 0.0)


def plan_action(rule: RuleConfig, outputs: dict[str, OutputConfig], where: str) -> ActionPlan:
    """Check the action of a rule and plan it.

    Parameters
    ----------
    rule
        The rule as configured.
    outputs
        The configured outputs by name, for names of lines.
    where
        Place of the rule in the configuration, for messages.

    Returns
    -------
    ActionPlan
        The action with its numbers.

    Raises
    ------
    UserError
        Where the action is not exactly one valid action.
    """
    do = rule.do
    kind = _kind(do, where)
    if not 0.0 <= do.amplitude <= 1.0:
        raise UserError(f"{where}: do.amplitude: expected 0 to 1, got {do.amplitude}")
    line = line_number(do.line, do.output, outputs.get(do.output), f"{where}: do.line")
    if do.at_most is not None and not (kind == "level" and _on(do)):
        raise UserError(f"{where}: do.at_most: only `level: on` has one; leave it out")
    plan = _PLANNERS[kind](do, line, where)
    if plan.ends and rule.withhold > 0.0:
        raise UserError(
            f"{where}: withhold: {rule.withhold:g} of the actions that end a stimulus would not come; "
            "withhold where it begins, and leave it out here"
        )
    return plan


def line_name(plan: ActionPlan, outputs: Mapping[str, OutputConfig]) -> str:
    """Name the line of an action as the configuration does.

    Parameters
    ----------
    plan
        The action.
    outputs
        The configured outputs by name.

    Returns
    -------
    str
        Such as `box line shutter`; the line's number where it has no name.
    """
    output = outputs.get(plan.output)
    names = output.lines if output is not None else []
    return f"{plan.output} line {names[plan.line] if plan.line < len(names) else plan.line}"


def check_fits(plan: ActionPlan, output: OutputInfo, where: str) -> None:
    """Check that an output, as it was found when it was opened, can do an action.

    Parameters
    ----------
    plan
        The action.
    output
        What the opened output reports.
    where
        Place of the rule in the configuration, for messages.

    Raises
    ------
    UserError
        Where it cannot.
    """
    if output.actions and plan.action not in output.actions:
        able = ", ".join(output.actions)
        raise UserError(f"{where}: do: output '{plan.output}' takes no {plan.action}; it takes {able}")
    if output.lines is not None and plan.line >= output.lines:
        raise UserError(
            f"{where}: do.line: output '{plan.output}' has the lines 0 to {output.lines - 1}; got {plan.line}"
        )


def _kind(do: ActionConfig, where: str) -> Action:
    given = [kind for kind in KINDS if getattr(do, kind) is not None and getattr(do, kind) is not False]
    if do.level is False:  # `level: off` as YAML reads it
        given.append("level")
    if len(given) != 1:
        got = " and ".join(given) or "none"
        raise UserError(f"{where}: do: expected exactly one of {', '.join(KINDS)}; got {got}")
    return given[0]


def line_number(line: int | str, name: str, output: OutputConfig | None, where: str) -> int:
    """Find the number of a line.

    Parameters
    ----------
    line
        Its number, or its name.
    name
        Name of its output.
    output
        The output as configured; None where it is not.
    where
        The key that names the line, for messages.

    Returns
    -------
    int
        Its number.

    Raises
    ------
    UserError
        Where the output has no such line.
    """
    names = output.lines if output is not None else []
    if isinstance(line, str):
        if line not in names:
            hint = nearest(line, names) or f"; give outputs.{name}.lines, or a number"
            raise UserError(f"{where}: output '{name}' has no line '{line}'{hint}")
        return names.index(line)
    if line < 0:
        raise UserError(f"{where}: expected 0 or more, got {line}")
    if names and line >= len(names):
        raise UserError(
            f"{where}: output '{name}' names {len(names)} lines ({', '.join(names)}); "
            f"expected 0 to {len(names) - 1}, got {line}"
        )
    return line


def _pulse(do: ActionConfig, line: int, where: str) -> ActionPlan:
    duration_us = _us(do.pulse, f"{where}: do.pulse", LONGEST_PULSE_NS)
    return ActionPlan(do.output, line, "pulse", duration_us, amplitude=do.amplitude)


def _train(do: ActionConfig, line: int, where: str) -> ActionPlan:
    train = do.train
    assert train is not None
    pulse_us = _us(train.pulse, f"{where}: do.train.pulse", LONGEST_PULSE_NS)
    period_us = _us(train.period, f"{where}: do.train.period", LONGEST_TRAIN_NS)
    if period_us <= pulse_us:
        raise UserError(
            f"{where}: do.train.period: expected more than a pulse ({train.pulse}), got {train.period!r}"
        )
    if not 1 <= train.count <= MOST_PULSES:
        raise UserError(f"{where}: do.train.count: expected 1 to {MOST_PULSES}, got {train.count}")
    if period_us * train.count * NS_PER_US > LONGEST_TRAIN_NS:
        total_s = period_us * train.count / 1e6
        raise UserError(f"{where}: do.train: expected at most 600 s in all, got {total_s:g} s")
    return ActionPlan(do.output, line, "train", pulse_us, period_us, train.count, do.amplitude)


def _level(do: ActionConfig, line: int, where: str) -> ActionPlan:
    if not _on(do):
        return ActionPlan(do.output, line, "level", amplitude=0.0)
    if do.amplitude == 0.0:
        raise UserError(f"{where}: do.amplitude: 0 is no `level: on`; say `level: off`")
    at_most_us = 0 if do.at_most is None else _us(do.at_most, f"{where}: do.at_most", LONGEST_LEVEL_NS)
    return ActionPlan(do.output, line, "level", at_most_us, amplitude=do.amplitude)


def _analog(do: ActionConfig, line: int, where: str) -> ActionPlan:
    analog = do.analog
    assert analog is not None
    return ActionPlan(
        do.output,
        line,
        "analog",
        _us(analog.duration, f"{where}: do.analog.duration", LONGEST_PULSE_NS),
        amplitude=do.amplitude,
        ramp_up_us=_us(analog.ramp_up, f"{where}: do.analog.ramp_up", LONGEST_PULSE_NS, zero=True),
        ramp_down_us=_us(analog.ramp_down, f"{where}: do.analog.ramp_down", LONGEST_PULSE_NS, zero=True),
    )


def _message(do: ActionConfig, line: int, where: str) -> ActionPlan:
    text = do.message
    assert text is not None
    size = len(text.encode())
    if not 1 <= size <= LONGEST_MESSAGE_BYTES:
        raise UserError(f"{where}: do.message: expected 1 to {LONGEST_MESSAGE_BYTES} bytes, got {size}")
    return ActionPlan(do.output, line, "message", message=text)


def _stop(do: ActionConfig, line: int, where: str) -> ActionPlan:  # noqa: ARG001
    return ActionPlan(do.output, line, "stop", amplitude=0.0)


def _aim(do: ActionConfig, line: int, where: str) -> ActionPlan:
    aim = do.aim
    assert aim is not None
    duration_us = _us(aim.duration, f"{where}: do.aim.duration", LONGEST_PULSE_NS)
    return ActionPlan(do.output, line, "aim", duration_us, amplitude=do.amplitude)


_PLANNERS = {
    "pulse": _pulse,
    "train": _train,
    "level": _level,
    "analog": _analog,
    "message": _message,
    "stop": _stop,
    "aim": _aim,
}


def _on(do: ActionConfig) -> bool:
    return do.level is True or do.level == "on"


def _us(text: str | None, where: str, longest_ns: int, *, zero: bool = False) -> int:
    assert text is not None
    ns = duration_ns(text, where)
    if not (0 if zero else NS_PER_US) <= ns <= longest_ns:
        least = "0" if zero else "1 us"
        raise UserError(f"{where}: expected {least} to {longest_ns // NS_PER_S} s, got {text!r}")
    return ns // NS_PER_US
