"""Frames through several estimators at once, results in the frames' order.

Live, all cores work on one frame. Offline many frames are waiting, and cores do more when each has a frame of
its own: the steps that only one core can take (decoding the video, the resize, the keypoints)
then run beside the network instead of after it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue

from rt_pose.inference.decode import Keypoints
from rt_pose.inference.estimator import Estimator
from rt_pose.types import FloatArray
from rt_pose.video import VideoFrame

WAITING = 2
"""Frames decoded ahead for each estimator."""

Found = tuple[int, Keypoints[FloatArray]]


def estimate_in_order(frames: Iterable[VideoFrame], estimators: list[Estimator]) -> Iterator[Found]:
    """Find the keypoints of frames with several estimators at once.

    An error in `frames` comes in its place.

    Parameters
    ----------
    frames
        The frames of a video.
    estimators
        One a thread; a network with context takes one only, since it needs each frame after the one before
        it.

    Yields
    ------
    Found
        Each frame's number and its keypoints (1, K), in the order of the frames.

    Raises
    ------
    ValueError
        Where a network with context has several estimators.
    """
    context = estimators[0].new_context()
    if context.maps.size and len(estimators) > 1:
        raise ValueError(f"a network with context takes one estimator, not {len(estimators)}")
    idle: SimpleQueue[Estimator] = SimpleQueue()
    for estimator in estimators:
        idle.put(estimator)

    def work(frame: VideoFrame) -> Found:
        estimator = idle.get()
        try:
            return frame.index, estimator.estimate(
                frame.image, context=context.advance_to(frame.index, frame.t_ns, frame.epoch)
            )
        finally:
            idle.put(estimator)

    waiting: deque[Future[Found]] = deque()
    with ThreadPoolExecutor(len(estimators), thread_name_prefix="rt-pose-predict") as pool:
        try:
            for frame in frames:
                waiting.append(pool.submit(work, frame))
                if len(waiting) > WAITING * len(estimators):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
