"""The time base of an export: exposures on the host's clock, and the time of day at which they begin."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_MS
from rt_pose.session.frame_numbers import camera_stamps
from rt_pose.session.read import Session
from rt_pose.types import FrameStamps


def exposure_times(stamps: list[FrameStamps]) -> tuple[NDArray[np.int64], str]:
    """Find when frames of a camera were exposed.

    Parameters
    ----------
    stamps
        Of F frames.

    Returns
    -------
    tuple[NDArray[np.int64], str]
        (F,) host time of each exposure, ns, and what that is where not all exposures are known.
    """
    arrival = np.array([one.t_arrival_ns for one in stamps], np.int64)
    known = np.array([one.t_exposure_ns is not None for one in stamps])
    if not known.any():
        return arrival, "arrival; the camera tells no exposures"
    exposure = np.array([one.t_exposure_ns or 0 for one in stamps], np.int64)
    if known.all():
        return exposure, "exposure"
    delay_ns = int(np.median((arrival - exposure)[known]))
    lacking = f"of {(~known).sum():,} frames that tell none the arrival less {delay_ns / NS_PER_MS:.3f} ms"
    return np.where(known, exposure, arrival - delay_ns), f"exposure; {lacking}, the median delay"


def first_ns(session: Session) -> int:
    """Find when the first frame of any camera was exposed: exports of one camera after another fit together.

    Parameters
    ----------
    session
        The session.

    Returns
    -------
    int
        Host time, ns.
    """
    firsts = []
    for camera in session.info.cameras:
        stamps = camera_stamps(session, camera)
        firsts += [int(exposure_times(stamps)[0].min())] if stamps else []
    return min(firsts)


def utc_ns(session: Session, t_mono_ns: int) -> int | None:
    """Find the time of day of a moment of the host's clock, by the session's nearest anchor.

    Parameters
    ----------
    session
        The session.
    t_mono_ns
        The moment, ns.

    Returns
    -------
    int or None
        ns since the Unix epoch; None where the session has no anchor.
    """
    if not session.info.anchors:
        return None
    anchor = min(session.info.anchors, key=lambda one: abs(one.t_mono_ns - t_mono_ns))
    return t_mono_ns - anchor.t_mono_ns + anchor.t_utc_ns
