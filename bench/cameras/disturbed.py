"""What was lost while something else had the processor: a tail of ours is told from one of the machine's."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.loop.latency import summary
from rt_pose.session.read import Session, stamp_columns

DISTURBED_CORES = 0.2
"""What others may take of the cores over half a second; less cannot be told from how the kernel counts."""


def others_cores(
    t_ns: Sequence[int], busy_s: Sequence[float], ours_s: Sequence[dict[str, float]]
) -> NDArray[np.float64]:
    """Compute the cores that other processes, or the host, took between readings.

    Parameters
    ----------
    t_ns
        Times of M readings, host time, ns.
    busy_s
        At each, processor time of all cores that was not idle, s.
    ours_s
        At each, processor time of our processes by name, s.

    Returns
    -------
    NDArray[np.float64]
        (M - 1,) cores, not below 0.
    """
    ours = [
        sum(after[name] - before[name] for name in after if name in before)
        for before, after in pairwise(ours_s)
    ]
    elapsed_s = np.diff(np.array(t_ns, np.float64)) / NS_PER_S
    return np.asarray(np.maximum(np.diff(busy_s) - np.array(ours), 0.0) / elapsed_s)


def by_disturbance(session: Session, t_ns: Sequence[int], others: NDArray[np.float64]) -> dict[str, Any]:
    """Tell frames of disturbed half-seconds, and of each that follows one, from the others.

    Parameters
    ----------
    session
        The session.
    t_ns
        Times of M readings, host time, ns.
    others
        (M - 1,) what `others_cores` returned.

    Returns
    -------
    dict[str, Any]
        Median and greatest of `others`, the share of half-seconds that were disturbed, and, of `disturbed`
        and `quiet`, frames that came, how many were lost, and the summary of arrival to decision (ms).
    """
    disturbed = others > DISTURBED_CORES
    disturbed[1:] |= disturbed[:-1].copy()
    stamps = stamp_columns(session.observations)
    took_ms = (stamps.stages["t_decided_ns"] - stamps.t_arrival_ns) / NS_PER_MS
    came = np.array([frame.stamps.t_arrival_ns for frame in session.frames])
    lost = np.array([drop.t_ns for drop in session.drops if drop.stage != "end" for _ in range(drop.count)])

    def within(times_ns: NDArray[Any], which: NDArray[np.bool_]) -> NDArray[np.bool_]:
        place = np.searchsorted(t_ns, times_ns, side="right") - 1
        known = (place >= 0) & (place < len(which))
        return np.asarray(known & which[np.where(known, place, 0)])

    def of(which: NDArray[np.bool_]) -> dict[str, Any]:
        return {
            "frames": int(within(came, which).sum()),
            "lost": int(within(lost, which).sum()),
            "arrival_to_decision_ms": summary(took_ms[within(stamps.t_arrival_ns, which)]),
        }

    return {
        "cores_p50": round(float(np.median(others)), 3),
        "cores_max": round(float(others.max()), 3),
        "disturbed_share": round(float(disturbed.mean()), 4),
        "disturbed": of(disturbed),
        "quiet": of(~disturbed),
    }


def format_disturbance(found: dict[str, Any]) -> str:
    """Format what was lost while others had the processor.

    Parameters
    ----------
    found
        What `by_disturbance` returned.

    Returns
    -------
    str
        A paragraph.
    """
    quiet, disturbed = found["quiet"], found["disturbed"]
    times = quiet["arrival_to_decision_ms"]
    tail = "" if times is None else f", P50 {times['p50']:.2f} and P99 {times['p99']:.2f} ms"
    share = f"{quiet['lost'] / max(1, quiet['frames']):.4%}"
    return (
        f"Other processes and the host took {found['cores_p50']:g} cores (median of half-seconds; at most "
        f"{found['cores_max']:g}). In {found['disturbed_share']:.1%} of the time it was more than "
        f"{DISTURBED_CORES:g}: {disturbed['lost']} of {disturbed['frames']} frames were lost then, "
        f"{quiet['lost']} of {quiet['frames']} in the rest ({share}{tail})."
    )
