"""Frames mirrored left to right, and their labels: the left ear of the mirrored animal is its right one."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.types import FloatArray

_WORDS = {
    "left": "right",
    "right": "left",
    "Left": "Right",
    "Right": "Left",
    "LEFT": "RIGHT",
    "RIGHT": "LEFT",
}
_LETTERS = {"l": "r", "r": "l", "L": "R", "R": "L"}
_OTHER = _WORDS | _LETTERS
_SIDES = (re.compile("|".join(_WORDS)), re.compile(r"(?<![A-Za-z])[lrLR](?![A-Za-z])"))
"""What names a side: the word anywhere, as in leftear; else the letter by itself, as in paw_L or l-ear."""


def other_side(name: str, keypoints: Sequence[str]) -> str | None:
    """Name the keypoint on the other side.

    Parameters
    ----------
    name
        Name of a keypoint.
    keypoints
        All names: a letter within a word, as in pawL, says a side where its counterpart is one of them.

    Returns
    -------
    str or None
        None where the name does not say a side; the counterpart need not exist.
    """
    for pattern in _SIDES:
        if pattern.search(name):
            return pattern.sub(lambda found: _OTHER[found[0]], name)
    swapped = [name[:i] + _LETTERS[c] + name[i + 1 :] for i, c in enumerate(name) if c in _LETTERS]
    there = [other for other in swapped if other in keypoints]
    return there[0] if len(there) == 1 else None


def mirror_order(keypoints: Sequence[str]) -> NDArray[np.intp]:
    """Return which keypoint each becomes in a mirrored frame.

    Parameters
    ----------
    keypoints
        Names of the K keypoints.

    Returns
    -------
    NDArray
        Indices (K,): the mirrored frame's keypoint k is the frame's own keypoint at this index.

    Raises
    ------
    UserError
        Where no name says a side, or one has no counterpart.
    """
    others = [other_side(name, keypoints) for name in keypoints]
    if not any(others):
        raise UserError(
            f"augment.flip: no keypoint's name says its side (left and right, or L and R): "
            f"{', '.join(keypoints)}; set `augment.flip: 0`"
        )
    alone = [
        f"'{name}' has no '{other}'"
        for name, other in zip(keypoints, others, strict=True)
        if other is not None and other not in keypoints
    ]
    if alone:
        raise UserError(
            f"augment.flip: {', '.join(alone)} in the labels, so a mirrored frame would have wrong ones; set "
            "`augment.flip: 0`"
        )
    own = list(keypoints)
    return np.array([own.index(other or name) for name, other in zip(keypoints, others, strict=True)])


def mirror_note(keypoints: Sequence[str]) -> str:
    """Say which labels are exchanged in a mirrored frame.

    Parameters
    ----------
    keypoints
        Names of the K keypoints.

    Returns
    -------
    str
        A line for the user, who sees there a side that the names do not say.

    Raises
    ------
    UserError
        As of `mirror_order`.
    """
    order = mirror_order(keypoints).tolist()
    pairs = [f"{keypoints[k]} with {keypoints[other]}" for k, other in enumerate(order) if k < other]
    middle = [name for k, name in enumerate(keypoints) if order[k] == k]
    return f"augment.flip: exchanged: {', '.join(pairs)}; on the middle line: {', '.join(middle) or 'none'}"


def mirrored(
    image: NDArray[np.uint8], xy: FloatArray, weights: FloatArray, order: NDArray[np.intp]
) -> tuple[NDArray[np.uint8], FloatArray, FloatArray]:
    """Mirror a frame left to right.

    Parameters
    ----------
    image
        (H, W, C).
    xy
        Labels (..., K, 2), px; NaN where unlabeled.
    weights
        What each counts (..., K).
    order
        What `mirror_order` returned.

    Returns
    -------
    image : NDArray
        (H, W, C), contiguous.
    xy, weights : FloatArray
        Of the mirrored frame's keypoints.
    """
    turned = xy[..., order, :]
    turned[..., 0] = image.shape[1] - 1 - turned[..., 0]
    return np.ascontiguousarray(image[:, ::-1]), turned, weights[..., order]
