"""What a rule does, checked before anything starts."""

from __future__ import annotations

from rt_pose.clock import NS_PER_S
from rt_pose.config import ActionConfig, duration_ns
from rt_pose.errors import UserError

NS_PER_US = 1000
LONGEST_PULSE_NS = 60 * NS_PER_S


def check_action(do: ActionConfig, where: str) -> None:
    """UserError where an action cannot be meant."""
    pulse_ns = duration_ns(do.pulse, f"{where}: do.pulse")
    if not NS_PER_US <= pulse_ns <= LONGEST_PULSE_NS:
        raise UserError(f"{where}: do.pulse: expected 1 us to 60 s, got {do.pulse!r}")
    if not 0.0 <= do.amplitude <= 1.0:
        raise UserError(f"{where}: do.amplitude: expected 0 to 1, got {do.amplitude}")
    if do.line < 0:
        raise UserError(f"{where}: do.line: expected 0 or more, got {do.line}")
