"""The times of decisions: what a frame speaks for, and scene time that goes on over a whole run."""

from __future__ import annotations

from rt_pose.rules.semantics import CURRENT, KNOWN
from rt_pose.tracking.clock_step import ClockStepDetector
from rt_pose.types import FrameStamps

STEPPED_BACK_FRAMES = 8
"""This many frames in order behind the newest one mean that the camera's clock stepped back."""


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
    """Scene time since the first frame; it goes on where a recording is wound back or a clock steps back."""

    def __init__(self) -> None:
        self.camera: str | None = None
        """The camera whose frames are counted."""
        self.elapsed_ns = 0
        self._last: tuple[int, int] | None = None
        self._clock_step = ClockStepDetector(STEPPED_BACK_FRAMES)

    def advance(self, camera: str, stamps: FrameStamps) -> bool:
        """Take a frame in; one out of order is ignored, and no time passes in a step back.

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
        if camera != self.camera:
            return False
        epoch, t_ns = stamps.epoch, stamps.t_scene_ns
        again = self._last is not None and self._last[0] != epoch
        if self._last is not None and not again:
            step = t_ns - self._last[1]
            if step <= 0 and not self._clock_step.is_step(t_ns):
                return False
            self.elapsed_ns += max(step, 0)
        self._last = (epoch, t_ns)
        self._clock_step.newer()
        return again


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
            Whether a camera gets its place anew with each epoch (`rt_pose.rules.semantics`).
        """
        self._times: dict[str, tuple[RunTime, int]] = {}
        """By camera: its own time, and where that began (ns)."""
        self._newest: tuple[int, int] | None = None
        """Place and host time (ns) of the frame before."""
        self._places_again = semantics >= KNOWN

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
        host_ns = cause_ns(stamps)
        by_host_ns = 0 if self._newest is None else self._newest[0] + host_ns - self._newest[1]
        time, began = self._times.get(camera, (None, by_host_ns))
        if time is None:
            time = RunTime()
            self._times[camera] = time, began
        if time.advance(camera, stamps) and self._places_again:
            began = max(began, by_host_ns - time.elapsed_ns)
            self._times[camera] = time, began
        now_ns = began + time.elapsed_ns
        self._newest = now_ns, host_ns
        return now_ns
