"""Whether the deadlines of a run can be met at all, measured before the first frame."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rt_pose.clock import NS_PER_MS, Clock
from rt_pose.config.schema import RunConfig
from rt_pose.decisions.rule import Rule
from rt_pose.errors import UserError

RUNS = 20


def time_chain(chain: Callable[[], object], clock: Clock, runs: int = RUNS) -> float:
    """Time the chain of preprocessing, network and decoding.

    Parameters
    ----------
    chain
        Goes from an image to keypoints.
    clock
        Times it.
    runs
        How often.

    Returns
    -------
    float
        Its median, ms.
    """
    times_ns = []
    for _ in range(runs):
        begin_ns = clock.now_ns()
        chain()
        times_ns.append(clock.now_ns() - begin_ns)
    return float(np.median(times_ns)) / NS_PER_MS


def check_deadlines(config: RunConfig, rules: Sequence[Rule], chain_ms: float) -> list[str]:
    """Compare the deadlines of a run with what its chain takes.

    Parameters
    ----------
    config
        The run: its budget, and what is done about one that cannot be met.
    rules
        Its rules, each with its deadline.
    chain_ms
        What the chain takes from an image to keypoints, ms.

    Returns
    -------
    list[str]
        A warning for the budget and each rule that the chain alone exceeds.

    Raises
    ------
    UserError
        Where there is one, and the run is to be refused then.
    """
    if config.budget_check == "off":
        return []
    takes = f"the chain from image to keypoints alone takes {chain_ms:.2f} ms here (median of {RUNS})"
    warnings = []
    if chain_ms > config.budget_ms:
        warnings.append(
            f"budget_ms: {config.budget_ms:g} ms cannot be met: {takes}; every decision will be late"
        )
    for rule in rules:
        deadline_ms = rule.deadline_ns / NS_PER_MS
        if chain_ms > deadline_ms:
            then = "it will never fire" if rule.late == "suppress" else "it will always fire late"
            warnings.append(f"rule '{rule.name}': deadline {deadline_ms:g} ms: {takes}; {then}")
    if warnings and config.budget_check == "refuse":
        raise UserError("\n".join([*warnings, "give more time, or `budget_check: warn` to run all the same"]))
    return warnings
