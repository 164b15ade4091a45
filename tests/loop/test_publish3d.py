"""A group's track in space on the wire, in msgpack and in JSON."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import numpy as np
import pytest
import zmq
from support.patience import PATIENCE_S

from rt_pose.clock import FakeClock
from rt_pose.loop.publish import Publisher, WireFormat
from rt_pose.loop.publish3d import FIELDS_3D, GroupPublisher, group_header
from rt_pose.types import FrameStamps, Individuals, StageStamps, Track3D

NAN = float("nan")
STAMPS = FrameStamps(index=7, t_exposure_ns=1_000_000, t_arrival_ns=2_000_000, t_scene_ns=900)
STAGES = StageStamps(t_judged_ns=3_000_000, t_decided_ns=4_000_000)


def a_track() -> Track3D:
    """Two keypoints, the second one lost; element i, j of a covariance is 10 i + j."""
    cov = np.tile(10.0 * np.arange(6)[:, None] + np.arange(6), (2, 1, 1))
    cov[1] = NAN
    return Track3D(
        900,
        np.array([[1.5, 2.5, 3.5], [NAN] * 3]),
        np.array([[4.0, 5.0, 6.0], [NAN] * 3]),
        cov,
        np.array([0.0, NAN]),
        np.array([False, True]),
        np.array([3, 0]),
        np.array([0.9, 0.0]),
    )


def received(format: WireFormat, track: Track3D | None = None) -> list[bytes]:
    """The parts of a message."""
    track = a_track() if track is None else track
    publisher = Publisher("tcp://127.0.0.1:*", "session-1", FakeClock(5_000_000), format=format)
    publisher.individuals = ["anna", "bert"]
    with zmq.Context.instance().socket(zmq.SUB) as subscriber:
        subscriber.setsockopt(zmq.SUBSCRIBE, b"pose3d/arena/")
        subscriber.setsockopt(zmq.RCVTIMEO, round(1000 * PATIENCE_S))
        subscriber.connect(publisher.address)
        header = group_header("side", STAMPS, STAGES, 5_000_000, 2.0, 4, {"back": None, "side": 1.5})
        sender = GroupPublisher(publisher, "arena", (1 if track.individuals is None else 2, 2))
        while not subscriber.poll(10):  # until the subscription has arrived
            sender.publish("pose3d", track, header)
        parts = subscriber.recv_multipart()
    publisher.close()
    return parts


def check(header: dict[str, Any]) -> None:
    wanted = {
        "group": "arena",
        "camera": "side",
        "frame": 7,
        "t_exposure_ns": 1_000_000,
        "t_scene_ns": 900,
        "t_valid_ns": 900,
        "age_ns": 4_000_000,
        "deadline_met": False,
        "late": 4,
        "lost": [[False, True]],
        "views": [[3, 0]],
        "error_px": {"back": None, "side": 1.5},
        "shape": [1, 2, 13],
        "fields": FIELDS_3D,
        "latency_ms": {"exposure_to_decision": 3.0},
    }
    assert {key: header[key] for key in wanted} == wanted
    assert (header["v"], header["session"]) == (1, "session-1")


SHOWN = [1.5, 2.5, 3.5, 0.9, 0.0, 1.0, 2.0, 11.0, 12.0, 22.0, 4.0, 5.0, 6.0]
"""x y z, p, the upper triangle of the position's covariance, velocity."""


def test_a_track_in_space_carries_its_values_its_views_and_its_times() -> None:
    topic, raw, buffer = received("msgpack")
    assert topic == b"pose3d/arena/"
    header = msgspec.msgpack.decode(raw)
    check(header)
    values = np.frombuffer(buffer, "<f4").reshape(header["shape"])
    np.testing.assert_allclose(values[0, 0], SHOWN)
    assert np.isnan(values[0, 1, :3]).all()
    assert values[0, 1, 3] == 0.0


def test_in_json_the_values_stand_in_the_header() -> None:
    _, raw = received("json")
    header = json.loads(raw)
    check(header)
    assert header["data"][0][0] == pytest.approx(SHOWN)
    assert header["data"][0][1][:4] == [None, None, None, 0.0]


def two_animals() -> Track3D:
    """The track of the one, and an empty slot."""
    one = a_track()
    assert one.views is not None
    assert one.confidence is not None
    arrays = (one.xyz, one.velocity, one.cov, one.seen_ms_ago)
    with_empty = [np.stack([values, np.full_like(values, NAN)]) for values in arrays]
    lost, views = np.stack([one.lost, [True, True]]), np.stack([one.views, [0, 0]])
    confidence = np.stack([one.confidence, [0.0, 0.0]])
    there = np.array([True, False])
    who = Individuals(there, np.array([0.9, NAN]), np.array([1, -1]), confidence, ~there)
    return Track3D(one.t_valid_ns, *with_empty, lost, views, confidence, who)


@pytest.mark.parametrize("format", ["msgpack", "json"])
def test_of_several_animals_each_has_a_row_and_says_who_it_is(format: WireFormat) -> None:
    _, raw, *buffer = received(format, two_animals())
    header = (msgspec.json if format == "json" else msgspec.msgpack).decode(raw)
    expected = {
        "individuals": ["anna", "bert"],
        "identity_p": [0.9, None],
        "alive": [True, False],
        "lost": [[False, True], [True, True]],
        "views": [[3, 0], [0, 0]],
        "shape": [2, 2, 13],
    }
    assert {key: header[key] for key in expected} == expected
    values = np.array(header["data"], float) if format == "json" else np.frombuffer(buffer[0], "<f4")
    np.testing.assert_allclose(values.reshape(2, 2, 13)[0, 0], SHOWN, rtol=1e-6)


def test_of_one_animal_nothing_is_said_of_individuals() -> None:
    header = msgspec.msgpack.decode(received("msgpack")[1])
    assert not {"individuals", "identity_p", "alive"} & set(header)
