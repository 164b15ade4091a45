"""Whether prediction files are of one view: files of several cameras are no members of an ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.offline.alignment import Aligned
from rt_pose.types import FloatArray

SAMPLED_FRAMES = 2_000
"""Frames that are compared, evenly spaced."""
CONFIDENT = 0.5
"""Keypoints of so much likelihood in both files are compared, where there are `LEAST_SHARED` of them."""
LEAST_SHARED = 10
FAR_SHARE, FAR_PX = 0.3, 20.0
"""Two files are of different views where their keypoints lie apart (median) by more than this share of the
distance that keypoints have from their middle (median), and by more than this many px."""


def check_one_view(together: Aligned, names: Sequence[str]) -> None:
    """Refuse members that fall into groups whose keypoints lie far apart.

    Networks that see one video agree on most of its frames; two cameras show an animal in different places.

    Parameters
    ----------
    together
        The predictions of the members.
    names
        What each is called.

    Raises
    ------
    UserError
        Where there is more than one group; it lists them.
    """
    rows = np.unique(np.linspace(0, len(together.frames) - 1, SAMPLED_FRAMES).round().astype(np.intp))
    xy, likelihood = together.xy[:, rows], together.likelihood[:, rows]
    linked = np.eye(len(xy), dtype=bool)
    furthest = 0.0
    for a, b in combinations(range(len(xy)), 2):
        apart, spread = _compare(xy[[a, b]], likelihood[[a, b]])
        linked[a, b] = linked[b, a] = apart <= max(FAR_SHARE * spread, FAR_PX)
        furthest = max(furthest, apart)
    groups = _groups(linked)
    if len(groups) > 1:
        listed = "".join(f"\n  {', '.join(names[m] for m in group)}" for group in groups)
        raise UserError(
            f"smoothing: these files are not of one view, their keypoints lie up to {furthest:.0f} px apart "
            f"(median); by what they show they belong together as{listed}\n"
            "give the files of one camera and one video at a time, each with an `--out` of its own; leave "
            "out a network that finds nothing"
        )


def _compare(xy: FloatArray, likelihood: FloatArray) -> tuple[float, float]:
    """How far two members (2, F, K, 2) lie apart, and their keypoints from their middle; medians, px."""
    known = np.isfinite(xy).all(axis=-1).all(axis=0)
    sure = known & (likelihood >= CONFIDENT).all(axis=0)
    used = sure if sure.sum() >= LEAST_SHARED else known
    if not used.any():
        return 0.0, 0.0
    points = xy[:, used]  # (2, n, 2)
    spread = np.linalg.norm(points - np.median(points, axis=1, keepdims=True), axis=-1)
    return float(np.median(np.linalg.norm(points[0] - points[1], axis=-1))), float(
        np.median(spread, axis=1).min()
    )


def _groups(linked: NDArray[np.bool_]) -> list[list[int]]:
    """Members that are linked, directly or through others."""
    reached = linked
    for _ in range(len(linked).bit_length()):
        reached = reached @ reached
    return sorted(list(group) for group in {tuple(np.flatnonzero(row).tolist()) for row in reached})
