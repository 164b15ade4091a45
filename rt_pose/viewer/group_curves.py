"""The curves of a group of cameras: its first keypoint in space, and how well they agree; no Qt in here."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rt_pose.types import ViewsInfo
from rt_pose.viewer.curves import LATENCY_HINT, Curve
from rt_pose.viewer.expressions import quoted
from rt_pose.viewer.group_sample import FIXED, LATENCY, SPEED, Z


def group_curves(
    t_ns: NDArray[np.int64],
    values: NDArray[np.float32],
    info: ViewsInfo,
    budget_ms: float | None,
    animal: str = "",
) -> list[Curve]:
    """Make the curves of a group.

    Parameters
    ----------
    t_ns
        (S,).
    values
        (3 + V, S), samples.
    info
        The group.
    budget_ms
        The budget; None for none.
    animal
        Whose keypoint is shown, where there are several.

    Returns
    -------
    list[Curve]
        z and speed of the first keypoint (of several animals of the first one, as their names say), the
        cameras' errors, and last the latency.
    """
    name = quoted(info.keypoints[0]) if info.keypoints else "keypoint"
    name = f"{animal}.{name}" if animal else name
    latency = np.stack([np.full(len(t_ns), np.nan, np.float32), values[LATENCY]])
    order = ", ".join(info.cameras)
    return [
        Curve(
            f"z({name})", info.unit, t_ns, values[Z : Z + 1], hint="of the estimate at the newest exposure"
        ),
        Curve(f"speed({name})", f"{info.unit}/s", t_ns, values[SPEED : SPEED + 1], hint="in space"),
        Curve("reprojection error", "px", t_ns, values[FIXED:], hint=f"a line a camera: {order}"),
        Curve("latency", "ms", t_ns, latency, budget_ms, LATENCY_HINT),
    ]
