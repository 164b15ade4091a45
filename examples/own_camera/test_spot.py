"""The suite that every camera driver passes: `pytest examples/own_camera`."""

import rt_pose_spot  # noqa: F401 - registers the driver

from rt_pose.contracts.cameras import CameraCase, CameraContract


class TestSpot(CameraContract):
    cases = {"spot": CameraCase(lambda _: {"rate_hz": 100})}  # noqa: RUF012
