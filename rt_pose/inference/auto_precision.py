"""Which precisions `auto` may take for a package, and which of them it takes on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from rt_pose.clock import HostClock
from rt_pose.inference.bare_forward import WARM_AGAIN, bare_forward_ms
from rt_pose.inference.engine import Engine, engines
from rt_pose.package import Package, precision_report

AUTO_ERROR_FACTOR = 1.05
"""`auto` takes a precision whose validation error is at most this much of float32's."""
BY_NAME_ONLY = ("int8",)
"""What `auto` never takes, whatever its figures: some tens of labels do not show what an int8 network does to
the frames in between, which is jitter and now and then a keypoint elsewhere."""
RACE_GAIN = 0.9
"""`auto` takes a lower precision only where it needs at most this much of the time of a more exact one."""
RACE_ROUNDS, RACE_FORWARDS = 5, 10
"""Of each precision, in turns, when `auto` has several to choose from."""


def candidates(package: Package, backend: str) -> tuple[list[str], list[str]]:
    """List the precisions that processor and package speak for.

    Parameters
    ----------
    package
        A verified package.
    backend
        Name of a backend that can run it.

    Returns
    -------
    tuple[list[str], list[str]]
        The precisions, float32 last; and of others the reasons against each.
    """
    found: list[str] = []
    refused: list[str] = []
    for precision in engines()[backend].precisions():
        if precision == "float32":
            break
        if engines()[backend].missing(package.path, precision):
            continue  # the package has no such network: nothing was given up
        if precision in BY_NAME_ONLY:
            refused.append(f"{precision} not taken: only where asked for (`--engine.precision {precision}`)")
        elif objection := _unsupported_reason(package, precision):
            refused.append(f"{precision} not taken: {objection}")
        else:
            found.append(precision)
    return [*found, "float32"], refused


def race(loaded: Sequence[Engine]) -> tuple[str, list[str]]:
    """Time engines in turns, and choose among their precisions.

    A processor may have bf16 and be slower in it.

    Parameters
    ----------
    loaded
        The engines, in the order of rising exactness.

    Returns
    -------
    tuple[str, list[str]]
        The precision to take, and of the others the reasons against each.
    """
    clock = HostClock()
    rounds = [
        {
            engine.precision: bare_forward_ms(engine, clock, RACE_FORWARDS, warm_up_runs=WARM_AGAIN).p50
            for engine in loaded
        }
        for _ in range(RACE_ROUNDS)
    ]
    times = {name: float(np.median([times[name] for times in rounds])) for name in rounds[0]}
    taken = worth_its_time(times)
    return taken, [
        f"{name} not taken: {time / times[taken]:.2f} times the time of {taken} here"
        for name, time in times.items()
        if name != taken
    ]


def worth_its_time(times_ms: Mapping[str, float]) -> str:
    """Choose among precisions by their forward times.

    A more exact one yields only to one that is clearly faster (`RACE_GAIN`), so that neighbouring runs choose
    alike.

    Parameters
    ----------
    times_ms
        Forward times (ms) by precision, in the order of rising exactness.

    Returns
    -------
    str
        The precision to take.
    """
    *lower, taken = times_ms
    for precision in reversed(lower):
        if times_ms[precision] <= RACE_GAIN * times_ms[taken]:
            taken = precision
    return taken


def _unsupported_reason(package: Package, precision: str) -> str | None:
    """What the package's own figures say against a precision; None where they speak for it."""
    report, float32 = (precision_report(package.manifest, name) for name in (precision, "float32"))
    if report is None or float32 is None:
        return "its validation error was not measured at export"
    error, reference = report.validation_error_px, float32.validation_error_px
    if error is None or reference is None:
        ask = f"ask for it: `--engine.precision {precision}`"
        if "imported" in package.manifest.training:
            return f"imported without labels, so its error is not known; import with `--labels`, or {ask}"
        return (
            "trained on every label, so its error is not known; it puts keypoints "
            f"{report.largest_p95_px:.2f} px (P95) from float32's; {ask}"
        )
    # Written so that an error that is not a number is refused as well.
    if not error <= AUTO_ERROR_FACTOR * reference:
        return f"validation error {error:.2f} px, float32 {reference:.2f} px"
    return None
