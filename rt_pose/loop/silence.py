"""Whether cameras that run by themselves go on delivering: one that has fallen silent disarms the run.

A device may go without a word: the program that sends frames dies, packets no longer come through, and the
library of the camera waits on. So its frames are counted here, between the turns of the loop. Nothing is done
to the camera: where its frames come again, the run goes on with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rt_pose.clock import NS_PER_S
from rt_pose.loop.capture import CaptureThread
from rt_pose.loop.latest_frames import LatestFrames
from rt_pose.records import NoticeRecord, Sink
from rt_pose.types import CameraInfo

LEAST_PERIODS = 3
"""No camera is silent before so many of its frame periods, however short a time is configured."""
LEAST_TURNS = 4
"""Nor before so many turns of the loop: a program that was itself held up, by a busy machine or Ctrl-Z, did
not see whether frames came."""


def silence_limit_ns(info: CameraInfo, silent_after_ns: int) -> int:
    """Choose how long a camera may be without a frame.

    Parameters
    ----------
    info
        What the camera said when it was opened.
    silent_after_ns
        What is configured, ns; 0: it is never silent.

    Returns
    -------
    int
        ns; 0 where a pause is no fault: where it waits for a trigger from outside, does not say its rate, or
        plays a recording.
    """
    by_itself = info.rate_hz and info.trigger != "line" and info.exposure_source != "recording"
    if not by_itself or not silent_after_ns:
        return 0
    assert info.rate_hz is not None
    return max(silent_after_ns, round(LEAST_PERIODS * NS_PER_S / info.rate_hz))


@dataclass(slots=True)
class _Followed:
    """A camera, and how long it has been without a frame."""

    capture: CaptureThread
    limit_ns: int
    delivered: int = 0
    """Its frames and returns when it was last checked."""
    waited_ns: int = 0
    """Turns of the loop since they last changed."""


class SilenceMonitor:
    """Counts the turns of the loop in which a camera has delivered nothing; called by the loop's thread."""

    def __init__(
        self,
        captures: Sequence[CaptureThread],
        limits_ns: Mapping[str, int],
        latest: LatestFrames,
        sink: Sink,
    ) -> None:
        """Begin with cameras that have delivered nothing yet: their first frame is another's business.

        Parameters
        ----------
        captures
            The cameras' threads.
        limits_ns
            By camera, what `silence_limit_ns` chose.
        latest
            Is told which cameras are silent.
        sink
            The loop's own; gets a notice when a camera falls silent, and when it delivers again.
        """
        self._latest, self._sink = latest, sink
        self._followed = [
            _Followed(capture, limits_ns[capture.name]) for capture in captures if limits_ns.get(capture.name)
        ]
        self._checked_ns = 0

    def check(self, now_ns: int) -> None:
        """Take in a turn of the loop.

        Parameters
        ----------
        now_ns
            Host time at which it began, ns.
        """
        turn_ns = now_ns - self._checked_ns
        self._checked_ns = now_ns
        silences = self._latest.silences
        for camera in self._followed:
            counts, name = camera.capture.counts, camera.capture.name
            delivered = counts.captured + counts.losses
            if delivered != camera.delivered:
                if name in silences:
                    self._end(camera, now_ns)
                camera.delivered, camera.waited_ns = delivered, 0
            elif counts.captured:
                camera.waited_ns += min(turn_ns, camera.limit_ns // LEAST_TURNS)
                if camera.waited_ns > camera.limit_ns and name not in silences and self._latest.expects(name):
                    self._begin(camera, now_ns)

    def stats(self) -> dict[str, dict[str, str] | dict[str, int]]:
        """Get what the `stats` topic says of silent cameras; from any thread.

        Returns
        -------
        dict[str, dict[str, str] | dict[str, int]]
            `cameras_silent`: by camera that is, for how long; `silences`: by camera, how often so far.
        """
        times = {one.capture.name: one.capture.counts.silences for one in self._followed}
        return {
            "cameras_silent": dict(self._latest.silences),
            "silences": {name: count for name, count in times.items() if count},
        }

    def _begin(self, camera: _Followed, now_ns: int) -> None:
        name, why = camera.capture.name, f"no whole frame came for {camera.waited_ns / NS_PER_S:.1f} s"
        camera.capture.counts.silences += 1
        self._latest.fall_silent(name, why)
        self._sink.send(NoticeRecord(t_ns=now_ns, output=name, text=f"silent: {why}", source="camera"))

    def _end(self, camera: _Followed, now_ns: int) -> None:
        name, text = camera.capture.name, f"frames come again, after {camera.waited_ns / NS_PER_S:.1f} s"
        self._latest.deliver_again(name)
        self._sink.send(NoticeRecord(t_ns=now_ns, output=name, text=text, source="camera"))
