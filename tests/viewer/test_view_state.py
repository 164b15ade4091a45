"""What the viewer makes of messages: gaps, sessions, blinding, age, traces."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.config.rules import ZoneConfig
from rt_pose.errors import UserError
from rt_pose.viewer.messages import (
    Body,
    EventBody,
    EventHeader,
    FrameHeader,
    FrameMessage,
    Header,
    LatencyMs,
    Meta,
    PoseHeader,
    PoseMessage,
    WireMessage,
)
from rt_pose.viewer.trace import Trace
from rt_pose.viewer.view_state import LIT_NS, POSES_KEPT, ViewState

FIELDS = ["x", "y", "p", "sxx", "sxy", "syy", "vx", "vy"]


def head(seq: int, session: str = "s", t_ns: int = 0) -> dict[str, Any]:
    return {"v": 1, "session": session, "seq": seq, "t_pub_ns": t_ns}


def pose(frame: int, seq: int | None = None, t_ns: int = 0, kind: str = "pose", **more: Any) -> WireMessage:
    seq = frame if seq is None else seq
    header = PoseHeader(
        **head(seq, t_ns=t_ns, **more),
        frame=frame,
        shape=(1, 2, 8),
        fields=FIELDS,
        t_exposure_ns=t_ns,
        latency_ms=LatencyMs(image_to_decision=frame),
    )
    body = PoseMessage(
        header,
        np.zeros((1, 2, 2), np.float32),
        np.ones((1, 2, 3), np.float32),
        np.array([[[3, 4], [frame, 0]]], np.float32),
        np.zeros((1, 2), bool),
    )
    return message(f"{kind}/top/", header, body)


def frame_of(index: int, t_ns: int = 0) -> WireMessage:
    header = FrameHeader(
        **head(index, t_ns=t_ns),
        frame=index,
        encoding="jpeg",
        width=1,
        height=1,
        channels=1,
        t_exposure_ns=t_ns,
    )
    return message("frame/top/", header, FrameMessage(header, b""))


def message(topic: str, header: Header, body: Body | None = None) -> WireMessage:
    kind, _, name = topic.partition("/")
    return WireMessage(topic, kind, name.rstrip("/"), header, header if body is None else body)


def test_gaps_are_counted_by_topic() -> None:
    state = ViewState()
    for seq in (5, 6, 9):
        state.apply(pose(seq), 0)
    for seq in (0, 1):
        state.apply(frame_of(seq), 0)
    assert state.gaps == 2


def test_a_new_session_starts_afresh() -> None:
    state = ViewState()
    state.apply(message("meta", Meta(**head(0), keypoints=["nose", "tail"])), 0)
    for seq in (0, 4):
        state.apply(pose(seq), 0)
    state.apply(pose(9, session="t"), 0)
    assert (state.session, state.gaps, state.meta) == ("t", 0, None)
    assert list(state.cameras["top"].poses) == [9]
    assert state.keypoint_names() == []


def test_controls_stay_hidden_from_whoever_watches() -> None:
    state = ViewState()
    for seq, outcome in enumerate(("fired", "withheld", "suppressed")):
        body = EventBody(rule="r", outcome=outcome)
        state.apply(message("event/r/", EventHeader(**head(seq), event=body)), 0)
    assert [event.outcome for event in state.events] == ["fired", "suppressed"]


def test_the_pose_shown_is_that_of_the_frame_shown() -> None:
    state = ViewState()
    for index in range(10):
        state.apply(pose(index), 0)
        state.apply(pose(index, kind="prediction"), 0)
    camera = state.cameras["top"]
    newest = camera.shown_pose()
    assert newest is not None
    assert newest.header.frame == 9
    state.apply(frame_of(6), 0)
    shown = camera.shown_pose()
    assert shown is not None
    assert shown.header.frame == 6
    assert camera.predictions[6].header.frame == 6
    state.apply(frame_of(20), 0)
    assert camera.shown_pose() is camera.pose


def test_old_poses_are_let_go() -> None:
    state = ViewState()
    for index in range(POSES_KEPT + 3):
        state.apply(pose(index), 0)
    assert list(state.cameras["top"].poses) == list(range(3, POSES_KEPT + 3))


def test_age_counts_from_the_exposure_of_what_is_shown() -> None:
    state = ViewState()
    now = 10 * NS_PER_S
    assert state.age_ns("top", now) is None
    assert state.stale("top", now)
    state.apply(pose(1, t_ns=now - 20 * NS_PER_MS), now)
    assert state.age_ns("top", now) == 20 * NS_PER_MS
    assert not state.stale("top", now)
    state.apply(frame_of(0, t_ns=now - 600 * NS_PER_MS), now)
    assert state.age_ns("top", now) == 600 * NS_PER_MS
    assert state.stale("top", now)


def test_silence_is_stale_and_then_gone() -> None:
    state = ViewState()
    assert not state.connected(0)
    # The far future as exposure: only the silence can make it stale.
    state.apply(pose(1, t_ns=100 * NS_PER_S), 0)
    assert not state.stale("top", 500 * NS_PER_MS)
    assert state.stale("top", 501 * NS_PER_MS)
    assert state.connected(2 * NS_PER_S)
    assert not state.connected(2 * NS_PER_S + 1)


def test_traces_hold_what_was_chosen_and_latency() -> None:
    state = ViewState()
    state.apply(message("meta", Meta(**head(0), keypoints=["nose", "tail"])), 0)
    for index in range(5):
        state.apply(pose(index, t_ns=index * NS_PER_S), 0)
    camera = state.cameras["top"]
    t_ns, values = camera.traces[0].between(2 * NS_PER_S, 4 * NS_PER_S)
    np.testing.assert_array_equal(t_ns, np.array([2, 3, 4]) * NS_PER_S)
    np.testing.assert_array_equal(values, [[5, 5, 5]], "the first keypoint's speed, where nothing is chosen")
    state.choose_expressions(["speed(tail)", "speed(tail) > 2"])
    traced = [trace.between(0, 9 * NS_PER_S)[1].tolist() for trace in camera.traces]
    assert traced == [[[0, 1, 2, 3, 4]], [[0, 0, 0, 1, 1]]]
    with pytest.raises(UserError, match="unknown quantity"):
        state.choose_expressions(["sped(tail)"])
    assert len(camera.traces) == 2, "what was traced goes on"
    to_decision, from_exposure = camera.latency.between(0, 9 * NS_PER_S)[1]
    np.testing.assert_array_equal(to_decision, [0, 1, 2, 3, 4])
    assert np.isnan(from_exposure).all()


def test_what_was_chosen_is_kept_for_the_next_session_where_it_can_be() -> None:
    state = ViewState(["speed(paw)"])
    state.apply(message("meta", Meta(**head(0), keypoints=["nose"])), 0)
    assert "paw" in state.expression_problem
    assert state.expressions is not None
    assert [member.text for member in state.expressions.members] == ["speed(nose)"]
    state.apply(message("meta", Meta(**head(0, session="t"), keypoints=["nose", "paw"])), 0)
    assert state.expression_problem == ""
    assert [member.text for member in state.expressions.members] == ["speed(paw)"]


def test_a_zone_is_lit_alike_by_what_fired_and_by_what_was_decided() -> None:
    rules = [{"name": "r", "when": "inside(nose, plate)"}, {"name": "other", "when": "speed(nose) > 1"}]
    zones = {"plate": ZoneConfig(circle=[1.0, 2.0, 3.0]), "spout": ZoneConfig(point=[1.0, 2.0])}
    for outcome, lit in (
        ("fired", {"plate"}),
        ("decided", {"plate"}),
        ("withheld", set()),
        ("suppressed", set()),
    ):
        state = ViewState()
        meta = Meta(**head(0), keypoints=["nose"], zones=zones, config={"rules": rules})
        state.apply(message("meta", meta), 0)
        body = EventBody(rule="r", outcome=outcome)
        state.apply(message("event/r/", EventHeader(**head(0), event=body)), NS_PER_S)
        assert state.lit_zones(NS_PER_S) == lit
        assert state.lit_zones(NS_PER_S + LIT_NS + 1) == set()


def test_two_animals_have_a_line_each() -> None:
    state = ViewState(["x(nose)"])
    state.apply(message("meta", Meta(**head(0), keypoints=["nose", "tail"])), 0)
    first = pose(0)
    state.apply(first, 0)
    second = pose(1)
    body = second.body
    assert isinstance(body, PoseMessage)
    for name in ("xy", "cov", "velocity", "lost"):
        setattr(body, name, np.concatenate([getattr(body, name)] * 2))
    body.xy[1] += 7
    state.apply(second, 0)
    values = state.cameras["top"].traces[0].between(0, 0)[1]
    np.testing.assert_array_equal(values, [[0, 0], [np.nan, 7]])


@pytest.mark.parametrize("count", [0, 3, 4, 11])
def test_a_trace_keeps_the_newest_in_order(count: int) -> None:
    trace = Trace(1, capacity=4)
    for i in range(count):
        trace.append(i, np.array([10.0 * i], np.float32))
    expected = list(range(max(0, count - 4), count))
    t_ns, values = trace.between(0, 100)
    assert t_ns.tolist() == expected
    assert values.tolist() == [[10.0 * i for i in expected]]
