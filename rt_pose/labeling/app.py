"""`rt-pose label`: prepare the folder, open the window, and say what was done."""

from __future__ import annotations

import logging

from rt_pose.clock import HostClock
from rt_pose.errors import UserError
from rt_pose.labeling.prepare import LabelOptions, check_new, prepare
from rt_pose.offline.prediction_record import exclusive_lock
from rt_pose.viewer import screen_problem

_LOG = logging.getLogger(__name__)
LOCK = ".label.lock"


def main(options: LabelOptions, pick_only: bool = False) -> int:
    """Label until the window is closed.

    Parameters
    ----------
    options
        What to label.
    pick_only
        Whether to pick frames and open no window.

    Returns
    -------
    int
        The exit status.

    Raises
    ------
    UserError
        Where there is no screen, or something cannot be read or written.
    """
    problem = None if pick_only else screen_problem()
    if problem is not None:
        raise UserError(f"label: {problem}; or pick frames alone with `--pick-only`")
    if not options.out.exists():
        check_new(options)  # before the folder is made
    with exclusive_lock(options.out, verb="rt-pose label", lock=LOCK):
        labeling = prepare(options, HostClock())
        frames, open_frames = len(labeling.editor.names), len(labeling.editor.open_frames)
        _LOG.info(f"{options.out}: {frames} frames, {open_frames} of them open")
        if pick_only:
            return 0

        from rt_pose.labeling.window import LabelWindow
        from rt_pose.viewer.show import show

        status, window = show(lambda: LabelWindow(labeling))
        _LOG.info(window.summary())
        _LOG.info(f"train on it: rt-pose train fit --data {options.out} --out runs/mine")
        return status
