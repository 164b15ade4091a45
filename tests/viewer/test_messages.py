"""Reading the wire: what is good is typed, what is not is refused."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from rt_pose.viewer.messages import EventHeader, FrameMessage, Meta, PoseMessage, UnreadableMessage, parse

ENVELOPE = {"v": 1, "session": "s", "seq": 3, "t_pub_ns": 9}
POSE = {
    "frame": 7,
    "t_exposure_ns": 5,
    "shape": [1, 2, 8],
    "fields": ["x", "y", "p", "sxx", "sxy", "syy", "vx", "vy"],
    "lost": [[False, True]],
    "latency_ms": {"image_to_decision": 4},
    "a_field_of_a_later_version": 1,
}
VALUES = np.arange(16, dtype="<f4").reshape(1, 2, 8)


def parts(topic: str, header: dict[str, Any], buffer: bytes | None = None) -> list[bytes]:
    head = [topic.encode(), msgspec.msgpack.encode(ENVELOPE | header)]
    return head if buffer is None else [*head, buffer]


def test_a_pose_is_split_by_the_fields_it_names() -> None:
    message = parse(parts("pose/cam1/", POSE, VALUES.tobytes()))
    assert message is not None
    assert (message.kind, message.name, message.header.seq) == ("pose", "cam1", 3)
    pose = message.body
    assert isinstance(pose, PoseMessage)
    np.testing.assert_array_equal(pose.xy, [[[0, 1], [8, 9]]])
    np.testing.assert_array_equal(pose.cov, [[[3, 4, 5], [11, 12, 13]]])
    np.testing.assert_array_equal(pose.velocity, [[[6, 7], [14, 15]]])
    np.testing.assert_array_equal(pose.lost, [[False, True]])
    assert pose.header.latency_ms.image_to_decision == 4.0


def test_fields_may_come_in_another_order() -> None:
    fields = ["vx", "vy", "sxx", "sxy", "syy", "y", "x"]
    header = POSE | {"fields": fields, "shape": [1, 1, 7], "lost": []}
    message = parse(parts("prediction/a/", header, np.arange(7, dtype="<f4").tobytes()))
    assert message is not None
    assert isinstance(message.body, PoseMessage)
    np.testing.assert_array_equal(message.body.xy, [[[6, 5]]])
    assert not message.body.lost.any()


def test_messages_without_a_buffer() -> None:
    meta = parse(parts("meta", {"keypoints": ["nose"], "zones": {"z": {"circle": [1, 2, 3]}}}))
    event = parse(parts("event/r/", {"event": {"rule": "r", "outcome": "fired"}}))
    assert meta is not None
    assert isinstance(meta.body, Meta)
    assert meta.body.zones["z"].circle == [1.0, 2.0, 3.0]
    assert event is not None
    assert isinstance(event.body, EventHeader)
    assert (event.name, event.body.event.outcome) == ("r", "fired")


def test_a_frame_keeps_its_bytes() -> None:
    header = {"frame": 1, "encoding": "raw", "width": 2, "height": 1, "channels": 1, "scale_x": 2.5}
    message = parse(parts("frame/a/", header, b"\x01\x02"))
    assert message is not None
    assert isinstance(message.body, FrameMessage)
    assert (message.body.pixels, message.body.header.scale_x) == (b"\x01\x02", 2.5)


def test_a_topic_of_a_later_version_is_passed_over() -> None:
    assert parse(parts("gaze/cam1/", {})) is None


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ([b"pose/a/"], "expected topic and header"),
        ([b"meta", b"\xc1"], "MessagePack"),
        (parts("meta", {"v": 2}), "wire version 2"),
        (parts("pose/a/", POSE, VALUES.tobytes()[:-4]), "60 bytes"),
        (parts("pose/a/", POSE), "0 bytes"),
        (parts("pose/a/", POSE | {"shape": [-1, -2, 8]}, VALUES.tobytes()), "shape"),
        (parts("pose/a/", POSE | {"lost": [[True]]}, VALUES.tobytes()), "table of 1 x 2"),
        (parts("pose/a/", POSE | {"fields": list("abcdefgh")}, VALUES.tobytes()), "without x, y"),
        (parts("pose/a/", POSE | {"identity_p": [0.9, 0.8]}, VALUES.tobytes()), "has 2 members, the pose 1"),
        (parts("pose/a/", {"frame": 1}, VALUES.tobytes()), "shape"),
        (parts("event/r/", {"event": {"rule": "r"}}), "outcome"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason(message: list[bytes], why: str) -> None:
    with pytest.raises(UnreadableMessage, match=why):
        parse(message)
