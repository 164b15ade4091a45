"""The curves of a camera out of what is known of it; no Qt in here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rt_pose.viewer.expressions import Expressions
from rt_pose.viewer.view_state import CameraState

ESTIMATE_HINT = "of the estimate at the exposure; a line an individual"
LATENCY_HINT = "from the image (first line) and from the exposure (second) to the decision, ms"


@dataclass(frozen=True, slots=True)
class Curve:
    """Values over time, a line an individual."""

    title: str
    unit: str
    t_ns: NDArray[np.int64]
    """(S,)."""
    values: NDArray[np.float32]
    """(C, S); NaN where there is none."""
    budget: float | None = None
    """A value that is drawn as a line across."""
    hint: str = ""


def curves_of(
    state: CameraState, expressions: Expressions | None, budget_ms: float | None, start_ns: int, end_ns: int
) -> list[Curve]:
    """Make the curves of a camera.

    Parameters
    ----------
    state
        What is known of the camera.
    expressions
        What is traced; None where that is not known yet.
    budget_ms
        The budget; None for none.
    start_ns, end_ns
        The span that is shown, ns.

    Returns
    -------
    list[Curve]
        A curve an expression, and last the latency.
    """
    members = [] if expressions is None else expressions.members
    curves = []
    for member, trace in zip(members, state.traces, strict=False):
        t_ns, values = trace.between(start_ns, end_ns)
        curves.append(Curve(member.text, member.unit, t_ns, values, hint=f"{member.text}\n{ESTIMATE_HINT}"))
    t_ns, values = state.latency.between(start_ns, end_ns)
    curves.append(Curve("latency", "ms", t_ns, values, budget_ms, LATENCY_HINT))
    return curves
