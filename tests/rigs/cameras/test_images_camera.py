"""A folder of images as a camera."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import rigs
from rt_pose.clock import HostClock
from rt_pose.contracts.cameras import next_frame, started
from rt_pose.drivers import Camera, DriverContext, make_camera
from rt_pose.errors import UserError

rigs.register()


def images(folder: Path, channels: int | None = None, **options: Any) -> Camera:
    context = DriverContext(HostClock(), channels=channels)
    return make_camera("top", "images", {"path": str(folder), "rate_hz": 200, **options}, context)


def write(folder: Path, name: str, value: int, shape: tuple[int, ...] = (8, 12)) -> None:
    assert cv2.imwrite(str(folder / name), np.full(shape, value, np.uint8))


def test_numbers_in_names_count_as_numbers_and_the_folder_ends(tmp_path: Path) -> None:
    for index in (10, 9, 100):
        write(tmp_path, f"frame{index}.png", index)
    (tmp_path / "notes.txt").write_text("no image")
    camera = images(tmp_path, skip_when_late=False)
    info, image = started(camera)
    assert (info.width, info.height, info.channels, info.driver) == (12, 8, 1, "images")
    seen = []
    for _ in range(3):
        next_frame(camera, image)
        seen.append(int(image[0, 0, 0]))
    assert seen == [9, 10, 100]
    assert camera.grab(image) is None
    camera.close()


def test_colours_are_rgb_and_gray_is_asked_of_the_file(tmp_path: Path) -> None:
    blue = np.zeros((8, 12, 3), np.uint8)
    blue[..., 0] = 200  # OpenCV writes blue first
    cv2.imwrite(str(tmp_path / "1.png"), blue)
    camera = images(tmp_path)
    info, image = started(camera)
    next_frame(camera, image)
    assert info.channels == 3
    assert image[0, 0].tolist() == [0, 0, 200]
    camera.close()
    gray = images(tmp_path, channels=1)
    info, image = started(gray)
    next_frame(gray, image)
    assert image.shape == (8, 12, 1)
    assert 15 <= image[0, 0, 0] <= 30
    gray.close()


def test_it_is_scaled_and_begins_where_it_is_told(tmp_path: Path) -> None:
    for index in range(4):
        write(tmp_path, f"{index}.png", 50 * index)
    camera = images(tmp_path, size=[6, 4], start=2)
    info, image = started(camera)
    next_frame(camera, image)
    assert (info.width, info.height) == (6, 4)
    assert (image == 100).all()
    camera.close()


def test_what_is_wrong_with_the_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no image in"):
        images(tmp_path).open()
    with pytest.raises(UserError, match="is no folder of images"):
        images(tmp_path / "nowhere").open()
    (tmp_path / "1.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"1\.png: it is no image of 8 bits"):
        images(tmp_path).open()


def test_another_size_in_the_middle_ends_it_with_the_name(tmp_path: Path) -> None:
    write(tmp_path, "1.png", 1)
    write(tmp_path, "2.png", 2, (8, 14))
    camera = images(tmp_path, skip_when_late=False)
    _, image = started(camera)
    next_frame(camera, image)
    with pytest.raises(Exception, match=r"2\.png: its size 14x8 is not that of the first"):
        camera.grab(image)
    camera.close()
