"""Which version of the contract a driver follows, and how one of an earlier version is used today."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from rt_pose.drivers.contract import CONTRACT, Camera, Grabbed
from rt_pose.errors import UserError
from rt_pose.types import CameraInfo, FloatArray

_EVERY = ("Options", "find", "open", "close")
_NEEDED: dict[str, dict[int, tuple[str, ...]]] = {
    "camera": {
        1: (*_EVERY, "grab", "truth", "stop"),
        2: (*_EVERY, "arm", "start", "grab", "truth", "stop"),
    },
    "output": {version: (*_EVERY, "send", "safe_state") for version in (1, 2)},
    "input": {version: (*_EVERY, "start", "stop") for version in (1, 2)},
}
"""What a class must have, by kind and version."""


def contract_of(driver: Any) -> int:
    """Read which version of the contract a driver's class follows.

    Parameters
    ----------
    driver
        The class or an instance of it.

    Returns
    -------
    int
        Its `contract`; 1 where it names none.
    """
    return int(getattr(driver, "contract", 1))


def check_contract(kind: str, name: str, cls: type) -> None:
    """Check that a driver's class can be used by this program.

    Parameters
    ----------
    kind
        "camera", "output" or "input".
    name
        Name under which it registers.
    cls
        The class.

    Raises
    ------
    UserError
        Where it follows a version that is not known here, or lacks what its version asks for.
    """
    version, known = contract_of(cls), _NEEDED[kind]
    if version not in known:
        raise UserError(
            f"the {kind} driver '{name}' follows version {version} of the driver contract; this rt-pose "
            f"knows 1 to {CONTRACT}: update rt-pose, or take an earlier version of the driver's package"
        )
    lacking = [member for member in known[version] if not hasattr(cls, member)]
    if lacking:
        raise UserError(
            f"the {kind} driver '{name}' ({cls.__module__}.{cls.__qualname__}) follows version "
            f"{version} of the driver contract but lacks {', '.join(lacking)}; see the page "
            "'Cameras and outputs'"
        )


def as_current(camera: Camera) -> Camera:
    """Make a camera of an earlier version usable as one of today's.

    Parameters
    ----------
    camera
        A camera of any known version.

    Returns
    -------
    Camera
        The camera itself where it follows today's version.
    """
    return cast(Camera, FirstCamera(camera)) if contract_of(camera) == 1 else camera


class FirstCamera:
    """A camera of version 1 as one of version 2: it delivers from `open` on, so arming is nothing to it."""

    contract = CONTRACT

    def __init__(self, camera: Any) -> None:
        """Keep the camera.

        Parameters
        ----------
        camera
            An instance of a driver of version 1.
        """
        self.Options = type(camera).Options
        self._camera = camera

    @classmethod
    def find(cls) -> list[Any]:
        """See `Camera.find`. The driver's own class is asked, never this one."""
        return []

    def open(self) -> CameraInfo:
        """See `Camera.open`."""
        info: CameraInfo = self._camera.open()
        return info

    def arm(self) -> None:
        """See `Camera.arm`."""

    def start(self) -> None:
        """See `Camera.start`."""

    def grab(self, into: NDArray[np.uint8]) -> Grabbed:
        """See `Camera.grab`."""
        grabbed: Grabbed = self._camera.grab(into)
        return grabbed

    def truth(self, index: int) -> tuple[FloatArray, NDArray[np.bool_]] | None:
        """See `Camera.truth`."""
        truth: tuple[FloatArray, NDArray[np.bool_]] | None = self._camera.truth(index)
        return truth

    def stop(self) -> None:
        """See `Camera.stop`."""
        self._camera.stop()

    def close(self) -> None:
        """See `Camera.close`."""
        self._camera.close()
