"""The quantity `elongation(head, middle, tail)`: how straight the body is, from 0 to 1.

It is the distance from head to tail, as a share of the way over the middle: 1 for a straight body, less for
a bent one. In a rule: `elongation(nose, back, tail_base) < 0.8`.
"""

import numpy as np

from rt_pose.rules.quantities import Quantity


def elongation(points, head: int, middle: int, tail: int):  # type: ignore[no-untyped-def]
    """How straight the body is, for all the alternatives that are asked about at once.

    Parameters
    ----------
    points
        Positions `x[i]`, `y[i]` and velocities `vx[i]`, `vy[i]` of the keypoints: arrays of shape (n,).
    head, middle, tail
        Places of the keypoints in those lists.

    Returns
    -------
    Array of shape (n,), without a unit; NaN where all three lie on one place.
    """

    def distance(a: int, b: int):  # type: ignore[no-untyped-def]
        return np.hypot(points.x[a] - points.x[b], points.y[a] - points.y[b])

    way = distance(head, middle) + distance(middle, tail)
    return np.divide(distance(head, tail), way, out=np.full(np.shape(way), np.nan), where=way > 0)


ELONGATION = Quantity(
    name="elongation",
    arguments=("keypoint", "keypoint", "keypoint"),
    unit="",  # a plain number
    measure=elongation,
    says="the elongation of {0}, {1} and {2}",
)
