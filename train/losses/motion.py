"""How far keypoints move from frame to frame, from labels and unlabeled videos, before there is a network.

Labels say where in the image a keypoint lives and how far it ranges; the videos say how fast what is there
moves: corners are followed from frame to frame by optical flow (Lucas & Kanade 1981, pyramidal), and back;
only those that return to their place count.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.types import FloatArray
from rt_pose.video import VideoInfo, VideoReader

PERCENTILE = 99.0
"""Of the movement around a keypoint's places: what it may do in a frame (0..100)."""
LEAST_PX = 1.0
"""Labels and flow are no finer than this."""
PAIRS = 60
"""Pairs of frames looked at in each video."""
MOST_FRAMES = 1500
"""Frames of each video read for it, from its beginning."""
LEAST_MOVES = 50
"""Followed corners under which a region says nothing of its own."""
RETURNS_PX = 0.5
MARGIN_PX = 10.0


def motion_px(labels: FloatArray, videos: Sequence[VideoInfo]) -> FloatArray:
    """Estimate how far each keypoint may move from frame to frame.

    Parameters
    ----------
    labels
        Labels (F, K, 2), frame px; NaN where unlabeled.
    videos
        Unlabeled videos, of the same frame size as the labels.

    Returns
    -------
    FloatArray
        Largest movement (K,), px a frame: percentile `PERCENTILE` of the flow around a keypoint's places, at
        least `LEAST_PX`, at most the range of its labels.

    Raises
    ------
    UserError
        Where no two frames of the videos can be decoded.
    """
    low = np.nanpercentile(labels, 5, axis=0) - MARGIN_PX  # (K, 2)
    high = np.nanpercentile(labels, 95, axis=0) + MARGIN_PX
    ranges = np.linalg.norm(np.nanstd(labels, axis=0), axis=-1)  # (K,)
    flows = [flow(before, after) for info in videos for before, after in _pairs(info)]
    if not flows:
        raise UserError(
            "videos: their first frames cannot be decoded, so nothing says how fast things move; copy or "
            "convert them again, or set `eps` of the losses over time"
        )
    places, moves = (np.concatenate(parts) for parts in zip(*flows, strict=True))
    inside = np.all((places >= low[:, None]) & (places <= high[:, None]), axis=-1)  # (K, N)
    everywhere = np.percentile(moves, PERCENTILE) if len(moves) else LEAST_PX
    found = [
        np.percentile(moves[here], PERCENTILE) if here.sum() >= LEAST_MOVES else everywhere
        for here in list(inside)
    ]
    # In one frame nothing crosses more than the whole range in which it was ever labeled.
    return np.maximum(np.minimum(found, np.maximum(ranges, LEAST_PX)), LEAST_PX)


def flow(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> tuple[FloatArray, FloatArray]:
    """Follow corners from one frame to the next and back.

    Parameters
    ----------
    before, after
        Gray images (H, W).

    Returns
    -------
    places : FloatArray
        Corners (N, 2) of `before` that return to their place within `RETURNS_PX`, px.
    moves : FloatArray
        How far each moved (N,), px.

    Notes
    -----
    Lucas, B. and Kanade, T. (1981), pyramidal as in OpenCV.
    """
    corners = cv2.goodFeaturesToTrack(before, 400, 0.01, 5)
    if corners is None:
        return np.empty((0, 2)), np.empty(0)
    there, found, _ = cv2.calcOpticalFlowPyrLK(before, after, corners, None)
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(after, before, there, None)
    returned = np.linalg.norm(back - corners, axis=-1).ravel() < RETURNS_PX
    good = returned & (found.ravel() == 1) & (found_back.ravel() == 1)
    moves = np.linalg.norm(there - corners, axis=-1).ravel()
    return corners.reshape(-1, 2)[good].astype(float), moves[good].astype(float)


def _pairs(info: VideoInfo) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    """Neighbouring gray frames (H, W), spread over the video's beginning."""
    frames = min(info.frames, MOST_FRAMES)
    step = max(frames // PAIRS, 2)
    with VideoReader(info.path, 1) as reader:
        while reader.at + 1 < frames:
            try:
                before, after = reader.read(), reader.read()
            except UserError:
                return  # a damaged frame: clips come from both its sides, here those before will do
            if before is None or after is None:
                return
            yield before.image[..., 0], after.image[..., 0]
            reader.skip(step - 2)
