"""The times of decisions: what a frame speaks for, and scene time that goes on over a whole run."""

from __future__ import annotations

from rt_pose.clock import NS_PER_S
from rt_pose.rules.semantics import CURRENT, KNOWN, POSSIBLE
from rt_pose.tracking.clock_step import ClockStepDetector
from rt_pose.types import FrameStamps

STEPPED_FRAMES = 8
"""So many frames in order, behind the newest one or far ahead of it, mean that the camera's clock stepped."""
LIVE_STEP_NS, PLAYED_STEP_NS, OLDEST_NS = NS_PER_S, 10 * NS_PER_S, 10 * NS_PER_S
"""So much longer than the host's clock says a step may be, of a live camera and of a recording; and so long a
frame may be on its way."""


def cause_ns(stamps: FrameStamps) -> int:
    """Look up the host time of what a frame shows.

    Parameters
    ----------
    stamps
        Stamps of the frame.

    Returns
    -------
    int
        Its exposure, ns, or its arrival where the camera does not report one.
    """
    return stamps.t_arrival_ns if stamps.t_exposure_ns is None else stamps.t_exposure_ns


def possible_cause_ns(stamps: FrameStamps, semantics: int = CURRENT) -> int:
    """Look up the host time of what a frame shows, as far as its camera's word for it can be true.

    Parameters
    ----------
    stamps
        Stamps of the frame.
    semantics
        Whether the word is doubted (`rt_pose.rules.semantics`).

    Returns
    -------
    int
        As of `cause_ns`; no exposure comes after its frame's arrival, nor more than `OLDEST_NS` before it.
    """
    host_ns = cause_ns(stamps)
    if semantics < POSSIBLE:
        return host_ns
    return min(max(host_ns, stamps.t_arrival_ns - OLDEST_NS), stamps.t_arrival_ns)


def effect_scene_ns(stamps: FrameStamps, t_judged_ns: int, delay_ns: int) -> int:
    """Compute the scene time at which a command given now will act.

    The machine's latency does not change when a recording is played at another pace, so it is added to the
    frame's scene time unscaled.

    Parameters
    ----------
    stamps
        Stamps of the frame.
    t_judged_ns
        Host time of the decision, ns.
    delay_ns
        From the write to the effect, ns.

    Returns
    -------
    int
        Scene time, ns.
    """
    return stamps.t_scene_ns + (t_judged_ns - cause_ns(stamps)) + delay_ns


class RunTime:
    """Scene time since the first frame; it goes on where a recording is wound back or a clock steps back.

    A single stamp far in the future moves it no more than one far in the past does.
    """

    def __init__(self, semantics: int = CURRENT) -> None:
        """Begin with no frame.

        Parameters
        ----------
        semantics
            Whether a stamp that runs ahead is doubted (`rt_pose.rules.semantics`).
        """
        self.camera: str | None = None
        """The camera whose frames are counted."""
        self.elapsed_ns = 0
        self.doubtful = False
        """Whether the newest frame runs ahead, so that no time has passed with it."""
        self._last: FrameStamps | None = None
        """Stamps of the newest frame that time has passed with."""
        self._behind, self._ahead = ClockStepDetector(STEPPED_FRAMES), ClockStepDetector(STEPPED_FRAMES)
        self._doubts = semantics >= POSSIBLE

    def advance(self, camera: str, stamps: FrameStamps) -> bool:
        """Take a frame in; one out of order or far ahead is ignored, and no time passes in a step back.

        Parameters
        ----------
        camera
            Name of the camera; only the first that delivered a frame is used.
        stamps
            Stamps of the frame.

        Returns
        -------
        bool
            Whether the camera began another epoch with this frame.
        """
        self.camera = self.camera or camera
        self.doubtful = False
        if camera != self.camera:
            return False
        last = self._last
        again = last is not None and last.epoch != stamps.epoch
        if last is not None and not again:
            step_ns, t_ns = stamps.t_scene_ns - last.t_scene_ns, stamps.t_scene_ns
            if self._doubts and step_ns > _longest_step_ns(last, stamps):
                self.doubtful = not self._ahead.is_step(t_ns)
                if self.doubtful:
                    return False
                if _is_live(stamps):  # its clock has stepped, no time has passed
                    step_ns = min(step_ns, stamps.t_arrival_ns - last.t_arrival_ns)
            elif step_ns <= 0 and not self._behind.is_step(t_ns):
                return False
            self.elapsed_ns += max(step_ns, 0)
        self._last = stamps
        self._behind.newer()
        self._ahead.newer()
        return again


def _is_live(stamps: FrameStamps) -> bool:
    """Whether scene time is the host's, and no recording's own."""
    return stamps.t_scene_ns == cause_ns(stamps)


def _longest_step_ns(before: FrameStamps, stamps: FrameStamps) -> int:
    """How far a frame may lie ahead of another before its stamp is doubted, ns.

    The host's clock has seen how long the frames of a live camera are apart. A recording may be played at any
    pace, and hold gaps.
    """
    passed_ns = max(stamps.t_arrival_ns - before.t_arrival_ns, 0)
    return passed_ns + (LIVE_STEP_NS if _is_live(stamps) else PLAYED_STEP_NS)


class RigTime:
    """Scene time since the first frame of any camera, on which the frames of all cameras have their place.

    Each camera's own scene time counts from its first frame; how much later than another camera's frame that
    was is taken from the host times of the two: once, and again where the camera begins another epoch, since
    the other cameras have gone on while it was gone.
    """

    def __init__(self, semantics: int = CURRENT) -> None:
        """Begin with no frame.

        Parameters
        ----------
        semantics
            Whether a camera gets its place anew with each epoch, and whether a stamp that runs ahead is
            doubted (`rt_pose.rules.semantics`).
        """
        self.doubtful = False
        """Whether the newest frame runs ahead, so that its place is that of the frame before."""
        self._times: dict[str, tuple[RunTime, int]] = {}
        """By camera: its own time, and where that began (ns)."""
        self._newest: tuple[int, int] | None = None
        """Place and host time (ns) of the frame before."""
        self._semantics = semantics

    def advance(self, camera: str, stamps: FrameStamps) -> int:
        """Take a frame in.

        Parameters
        ----------
        camera
            Name of the camera.
        stamps
            Stamps of the frame.

        Returns
        -------
        int
            Its place, ns. It never goes back within one camera.
        """
        host_ns = possible_cause_ns(stamps, self._semantics)
        by_host_ns = 0 if self._newest is None else self._newest[0] + host_ns - self._newest[1]
        time, began = self._times.get(camera, (None, by_host_ns))
        if time is None:
            time = RunTime(self._semantics)
            self._times[camera] = time, began
        if time.advance(camera, stamps) and self._semantics >= KNOWN:
            began = max(began, by_host_ns - time.elapsed_ns)
            self._times[camera] = time, began
        now_ns, self.doubtful = began + time.elapsed_ns, time.doubtful
        if not self.doubtful:
            self._newest = now_ns, host_ns
        return now_ns
