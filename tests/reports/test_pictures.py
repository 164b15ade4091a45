"""Pictures show the frame that belongs to the event, with the skeleton on it."""

from __future__ import annotations

import base64
import dataclasses
import re
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from msgspec.structs import replace
from support.synthetic_session import ERROR_PX, KEYPOINTS, arena, image_at, keypoints_at

from rt_pose.records import ArrayData, GroupRecord, Track3DRecord
from rt_pose.reports import pictures
from rt_pose.reports.pictures import CameraPictures, jpeg_uri
from rt_pose.session.read import Session
from rt_pose.types import ViewsInfo


@pytest.fixture(scope="module")
def session(synthetic_session: Path) -> Session:
    return Session.read(synthetic_session)


def test_each_rule_s_first_median_and_worst_event_has_a_strip(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = CameraPictures.of(session, "top")
    assert drawn is not None
    strips = drawn.strips()
    assert [(strip.event.frame_index, strip.place) for strip in strips] == [
        (58, "first"),
        (118, "median"),
        (298, "worst"),
    ]
    assert drawn.strips_left_out == 0
    monkeypatch.setattr(pictures, "MAX_STRIPS", 1)
    assert len(drawn.strips()) == 1
    assert drawn.strips_left_out == 2


def test_an_event_in_space_has_a_strip_of_each_camera_of_its_group(session: Session) -> None:
    """At the frame nearest to the newest that the group had used."""
    first, second = session.events[:2]
    (seen,) = [one for one in session.observations if one.seq == second.seq]
    turn = GroupRecord(
        t_ns=seen.t_ns, seq=10**6, group="arena", used=[seen.seq], late=[], t_judged_ns=seen.t_judged_ns
    )
    places = ArrayData.of(np.zeros((1, 3)))
    track = Track3DRecord(
        t_ns=turn.t_ns,
        seq=turn.seq,
        group="arena",
        t_valid_ns=seen.stamps.t_scene_ns,
        xyz=places,
        velocity=places,
        cov=ArrayData.of(np.zeros((1, 6, 6))),
        lost=[False],
        views=[2],
        p=ArrayData.of(np.ones(1)),
        error_px=[None],
    )
    group = ViewsInfo(["top", "side"], ["nose"], "mm", "", "", "mm", [0.0] * 3, None, None, 20.0)
    judged = replace(second, seq=turn.seq, event=replace(second.event, camera="arena"))
    drawn = CameraPictures.of(
        dataclasses.replace(
            session,
            info=dataclasses.replace(session.info, views={"arena": group}),
            groups=[turn],
            tracks3d=[track],
            events=[first, judged],
        ),
        "top",
    )
    assert drawn is not None
    assert [(strip.event.camera, strip.camera) for strip in drawn.strips()] == [
        ("top", "top"),
        ("arena", "top"),
    ]


def test_the_events_own_frame_is_in_its_strip(session: Session) -> None:
    drawn = CameraPictures.of(session, "top")
    assert drawn is not None
    strip = drawn.strips()[0]
    index = strip.event.frame_index
    own = [p for p in strip.pictures if "<figcaption>0 ms<" in p]
    if not own:
        pytest.skip("the recorder lost this very frame")
    place = re.search(r'" x="(\d+)" y="(\d+)" width="(\d+)" height="(\d+)"', own[0])
    assert place is not None
    x, y, width, height = map(int, place.groups())
    assert width < 256, "the part around the animal"
    expected = image_at(index, arena())[y : y + height, x : x + width, 0]
    assert np.abs(_image(own[0]).astype(int) - expected).mean() < 6
    nose = re.search(r'<circle cx="([\d.]+)" cy="([\d.]+)"', own[0])
    assert nose is not None
    at = keypoints_at(index)[0] + [ERROR_PX / 2, 0]
    assert [float(nose[1]), float(nose[2])] == pytest.approx(at.tolist(), abs=0.06)
    assert own[0].count("<circle") == len(KEYPOINTS)
    assert own[0].count("<line") == 4


def test_the_way_follows_the_keypoint(session: Session) -> None:
    drawn = CameraPictures.of(session, "top")
    assert drawn is not None
    picture = drawn.trajectory(0)
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


ZONES = {
    "round": {"circle": [50.0, 60.0, 20.0]},
    "plate": {"box": [10.0, 20.0, 40.0, 30.0]},
    "arm": {"polygon": [[100.0, 10.0], [140.0, 10.0], [140.0, 50.0]]},
    "gate": {"line": [[10.0, 100.0], [60.0, 100.0]]},
    "spout": {"point": [80.0, 90.0]},
    "nest": {"circle": [50.0, 40.0, 10.0], "unit": "mm"},
    "unknown": {"spiral": [1.0]},
}


def zone_paths(session: Session, geometry: dict[str, Any]) -> dict[str, str]:
    """By the zone's name what is drawn of it in the first picture."""
    config = session.info.config | {"zones": ZONES, "geometry": geometry}
    info = dataclasses.replace(session.info, config=config)
    drawn = CameraPictures.of(dataclasses.replace(session, info=info), "top")
    assert drawn is not None
    picture = drawn.strips()[0].pictures[0]
    found = re.findall(r"(<(?:path|circle)[^>]*>)<title>([^<]*)</title>", picture)
    return {name: tag for tag, name in found if name in ZONES}


def test_every_shape_of_zone_is_drawn_where_it_lies(session: Session) -> None:
    drawn = zone_paths(session, {"top": {"mm_per_px": 0.5}})
    assert list(drawn) == ["round", "plate", "arm", "gate", "spout", "nest"]
    assert 'cx="50.0" cy="60.0" r="20.0"' in drawn["round"] or 'cx="50" cy="60" r="20"' in drawn["round"]
    assert 'd="M10.0 20.0L40.0 20.0L40.0 30.0L10.0 30.0L10.0 20.0"' in drawn["plate"]
    assert 'd="M100.0 10.0L140.0 10.0L140.0 50.0L100.0 10.0"' in drawn["arm"]
    assert 'd="M10.0 100.0L60.0 100.0' in drawn["gate"]
    assert drawn["gate"].count("L60.0 100.0") == 3, "the line and the two strokes of its head"
    assert 'd="M75.0 90.0L85.0 90.0M80.0 85.0L80.0 95.0"' in drawn["spout"]
    corners = np.array(re.findall(r"[ML]([\d.]+) ([\d.]+)", drawn["nest"]), float)
    np.testing.assert_allclose(np.hypot(*(corners - [100.0, 80.0]).T), 20.0, atol=0.11)


def test_a_zone_in_mm_needs_the_camera_s_measures(session: Session) -> None:
    assert "nest" not in zone_paths(session, {})


def test_a_strip_shows_the_zone_that_the_rule_names(session: Session) -> None:
    def left_edge(when: str) -> float:
        config = {"zones": ZONES, "rules": [{"name": "corner", "when": when}]}
        info = dataclasses.replace(session.info, config=session.info.config | config)
        drawn = CameraPictures.of(dataclasses.replace(session, info=info), "top")
        assert drawn is not None
        picture = re.search(r'viewBox="([\d.]+) ', drawn.strips()[0].pictures[0])
        assert picture is not None
        return float(picture[1])

    assert left_edge("inside(nose, plate)") <= 10
    assert left_edge("inside(nose, plates)") > 10
