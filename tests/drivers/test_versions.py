"""Drivers of earlier and later versions of the contract, and of none."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from rt_pose.clock import HostClock
from rt_pose.drivers import CONTRACT, Camera, DriverContext, camera_driver, make_camera, registry
from rt_pose.errors import UserError
from rt_pose.types import CameraInfo, FrameStamps


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_CAMERAS", {})


def of_version_1() -> type:
    class Old:
        Options: ClassVar[type] = dict

        def __init__(self, name: str, options: Any, context: DriverContext) -> None:
            self.left = 2

        @classmethod
        def find(cls) -> list[Any]:
            return []

        def open(self) -> CameraInfo:
            return CameraInfo("top", "old", "7", 4, 3, 1, 10.0)

        def grab(self, into: Any) -> FrameStamps | None:
            self.left -= 1
            return FrameStamps(self.left, 1, 1, 1) if self.left >= 0 else None

        def truth(self, index: int) -> None:
            return None

        def stop(self) -> None:
            self.left = 0

        def close(self) -> None:
            self.left = -1

    return Old


def registered(cls: type) -> Camera:
    camera_driver("old")(cls)
    made: Camera = registry.as_current(cls("top", {}, DriverContext(HostClock())))  # type: ignore[call-arg]
    return made


def test_a_driver_of_version_1_still_runs() -> None:
    camera = registered(of_version_1())
    assert camera.contract == CONTRACT
    assert camera.open().serial == "7"
    camera.arm()
    camera.start()
    image = np.zeros((3, 4, 1), np.uint8)
    assert isinstance(camera.grab(image), FrameStamps)
    assert camera.truth(0) is None
    camera.stop()
    assert camera.grab(image) is None
    camera.close()


def test_make_camera_makes_it_one_of_todays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "build", lambda cls, options, where: options)
    camera_driver("old")(of_version_1())
    assert hasattr(make_camera("top", "old", {}, DriverContext(HostClock())), "arm")


def test_a_later_version_is_refused_with_what_to_do() -> None:
    cls = of_version_1()
    cls.contract = 3  # type: ignore[attr-defined]
    with pytest.raises(
        UserError, match="follows version 3 of the driver contract; this rt-pose knows 1 to 2"
    ):
        registered(cls)


def test_what_is_missing_is_listed() -> None:
    cls = of_version_1()
    cls.contract = 2  # type: ignore[attr-defined]
    del cls.truth  # type: ignore[attr-defined]
    with pytest.raises(UserError, match="lacks arm, start, truth; see"):
        registered(cls)
