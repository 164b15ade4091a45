"""Pictures show the frame that belongs to the event, with the skeleton on it."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.synthetic_session import ERROR_PX, KEYPOINTS, arena, image_at, keypoints_at

from rt_pose.reports.pictures import CameraPictures, chosen_events, jpeg_uri
from rt_pose.session.read import Session


@pytest.fixture(scope="module")
def session(synthetic_session: Path) -> Session:
    return Session.read(synthetic_session)


def test_the_first_of_each_kind_is_chosen(session: Session) -> None:
    chosen = chosen_events(session.events, "top")
    assert [e.event.outcome for e in chosen] == ["fired", "withheld", "suppressed", "fired"]
    assert [e.t_ns for e in chosen] == sorted(e.t_ns for e in chosen)
    assert chosen_events(session.events, "another") == []


def test_the_events_own_frame_is_in_its_strip(session: Session) -> None:
    pictures = CameraPictures.of(session, "top")
    assert pictures is not None
    strip = pictures.strips()[0]
    index = strip.event.frame_index
    own = [p for p in strip.pictures if "<figcaption>0 ms<" in p]
    if not own:
        pytest.skip("the recorder lost this very frame")
    image = _image(own[0])
    assert np.abs(image.astype(int) - image_at(index, arena())[..., 0]).mean() < 6
    nose = re.search(r'<circle cx="([\d.]+)" cy="([\d.]+)"', own[0])
    assert nose is not None
    expected = keypoints_at(index)[0] + [ERROR_PX / 2, 0]
    assert [float(nose[1]), float(nose[2])] == pytest.approx(expected.tolist(), abs=0.06)
    assert own[0].count("<circle") == len(KEYPOINTS)
    assert own[0].count("<line") == 4


def test_the_way_follows_the_keypoint(session: Session) -> None:
    pictures = CameraPictures.of(session, "top")
    assert pictures is not None
    picture = pictures.trajectory(0)
    assert picture is not None
    way = re.search(r'<path d="([^"]*)"', picture)
    assert way is not None
    points = np.array(re.findall(r"[ML]([\d.]+) ([\d.]+)", way[1]), float)
    assert points[:, 0].min() == pytest.approx(128 - 80 + 1, abs=1)
    assert points[:, 1].max() == pytest.approx(96 + 55, abs=1)


def test_wide_pictures_are_reduced() -> None:
    uri = jpeg_uri(np.full((500, 2000, 3), (200, 20, 20), np.uint8))
    image = cv2.imdecode(np.frombuffer(base64.b64decode(uri.split(",")[1]), np.uint8), cv2.IMREAD_COLOR)
    assert image.shape == (200, 800, 3)
    assert image[100, 400].tolist() == pytest.approx([20, 20, 200], abs=4)  # red stays red (OpenCV reads BGR)


def _image(picture: str) -> np.ndarray:
    uri = re.search(r'href="data:image/jpeg;base64,([^"]+)"', picture)
    assert uri is not None
    return cv2.imdecode(np.frombuffer(base64.b64decode(uri[1]), np.uint8), cv2.IMREAD_GRAYSCALE)
