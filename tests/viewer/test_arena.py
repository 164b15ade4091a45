"""Geometry of the picture: where a published pixel lies, and what an ellipse holds."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from support.qt import QtCore

from rt_pose.viewer.arena import Arena, decode_image, frame_transform
from rt_pose.viewer.messages import FrameHeader, FrameMessage, PoseHeader, PoseMessage
from rt_pose.viewer.pose_items import CHI2_95, ellipses


def frame(pixels: bytes, **more: Any) -> FrameMessage:
    fields: dict[str, Any] = {"encoding": "raw", "width": 4, "height": 2, "channels": 1} | more
    return FrameMessage(FrameHeader(v=1, session="s", seq=0, t_pub_ns=0, frame=0, **fields), pixels)


def test_every_point_of_an_ellipse_is_at_the_same_mahalanobis_distance() -> None:
    cov = np.array([[4.0, 1.5, 2.0], [1.0, -0.6, 0.5]], np.float32)
    xy = np.array([[10.0, 20.0], [-3.0, 7.0]], np.float32)
    for points, (sxx, sxy, syy), centre in zip(ellipses(xy, cov), cov, xy, strict=True):
        outline = points[:-1] - centre
        inverse = np.linalg.inv(np.array([[sxx, sxy], [sxy, syy]], float))
        np.testing.assert_allclose(np.einsum("pi,ij,pj->p", outline, inverse, outline), CHI2_95, rtol=1e-5)
        assert np.isnan(points[-1]).all()


@pytest.mark.parametrize("bad", [[np.nan, 0, 1], [1, 2, 1], [0, 0, 1], [-1, 0, 1]])
def test_what_is_no_covariance_draws_nothing(bad: list[float]) -> None:
    assert np.isnan(ellipses(np.zeros((1, 2), np.float32), np.array([bad], np.float32))).all()


def test_the_centre_of_a_published_pixel_is_the_centre_of_what_it_sums_up() -> None:
    # A published px of scale 4 covers frame px 0..3, whose middle is 1.5.
    transform = frame_transform(frame(b"", scale_x=4.0, scale_y=2.0).header)
    first = transform.map(QtCore.QPointF(0.5, 0.5))
    assert (first.x(), first.y()) == (1.5, 0.5)
    corner = transform.map(QtCore.QPointF(0.0, 0.0))
    assert (corner.x(), corner.y()) == (-0.5, -0.5)


@pytest.mark.parametrize("channels", [1, 3])
def test_raw_pictures(channels: int) -> None:
    pixels = np.arange(8 * channels, dtype=np.uint8)
    image = decode_image(frame(pixels.tobytes(), channels=channels))
    assert image is not None
    color = image.pixelColor(3, 1)
    assert [color.red(), color.blue()] == [7 * channels, 8 * channels - 1]


@pytest.mark.parametrize("channels", [1, 3])
def test_jpegs(channels: int) -> None:
    rgb = np.full((16, 24, channels), (200, 100, 30)[:channels], np.uint8)
    data = cv2.imencode(".jpg", rgb[:, :, ::-1])[1].tobytes()
    image = decode_image(frame(data, encoding="jpeg", width=24, height=16, channels=channels))
    assert image is not None
    color = image.pixelColor(20, 10)
    assert np.abs(np.subtract([color.red(), color.blue()], [rgb[0, 0, 0], rgb[0, 0, -1]])).max() < 6
    wrong = frame(data, encoding="jpeg", width=25, height=16)
    cut = frame(data[: len(data) // 4], encoding="jpeg", width=24, height=16)
    assert decode_image(wrong) is None
    assert decode_image(cut) is None


@pytest.mark.parametrize(
    "bad", [frame(b"123"), frame(b"no jpeg", encoding="jpeg"), frame(b"12345678", encoding="png2")]
)
def test_a_broken_picture_is_none(bad: FrameMessage) -> None:
    assert decode_image(bad) is None


def test_symbols_of_keypoints_are_drawn_once(qt_app: Any) -> None:
    arena = Arena()  # the items live as long as it does
    items = arena.pose
    for i in range(5):
        header = PoseHeader(v=1, session="s", seq=0, t_pub_ns=0, frame=i, shape=(2, 3, 8), fields=[])
        xy = np.arange(12, dtype=np.float32).reshape(2, 3, 2) + i
        lost = np.array([[False, False, i == 2], [False, True, False]])
        pose = PoseMessage(header, xy, np.ones((2, 3, 3), np.float32), np.zeros_like(xy), lost)
        items.draw(pose, pose, [])
    assert len(items.points.data) == 6
    assert len(items.points.fragmentAtlas) == 4, "two animals, each of which lost a keypoint"
    assert len(items.ghost.fragmentAtlas) == 2
