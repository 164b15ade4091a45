"""What must be seen at once, whatever else is shown; no Qt in here."""

from __future__ import annotations

from rt_pose.delivery import DELIVERIES, add_up, count_failures
from rt_pose.tracking.drift_statistics import format_statistics
from rt_pose.viewer.messages import StatsBody


def alerts(stats: StatsBody | None) -> list[str]:
    """List what is wrong with a run, the worst first.

    Of outputs on which a rule acts that withholds there is nothing but that one of them has failed.

    Parameters
    ----------
    stats
        The newest; None for none.

    Returns
    -------
    list[str]
        A line each.
    """
    if stats is None:
        return []
    lines = []
    if stats.emergency:
        lines.append("EMERGENCY STOP: outputs low and disarmed; `arm` lets commands out again")
    lines += [f"output '{name}' FAILED: {why}" for name, why in stats.output_faults.items()]
    if stats.output_failed:
        lines.append("an output FAILED; which one is told after the run")
    lines += [f"camera '{name}' is GONE: {why}" for name, why in stats.cameras_lost.items()]
    lines += [f"camera '{name}' is SILENT: {why}" for name, why in stats.cameras_silent.items()]
    delivered = add_up(stats.deliveries.values())
    failed = count_failures(delivered)
    if failed:
        of = sum(delivered[kind] for kind in DELIVERIES)
        last = f"; last: {stats.last_failure}" if stats.last_failure else ""
        lines.append(f"{failed} of {of} commands FAILED{last}")
    lines += [
        f"camera '{name}': DRIFT: poses are not like those that the model was calibrated on "
        f"({format_statistics(found.alarm)})"
        for name, found in stats.drift.items()
        if found.alarm
    ]
    lines += [
        f"views '{name}': {', '.join(found.wrong)} NO LONGER FIT THE CALIBRATION: {found.why}"
        for name, found in stats.views.items()
        if found.wrong
    ]
    if stats.records_refused:
        lines.append(f"{stats.records_refused} records did not reach the session's log")
    return lines
