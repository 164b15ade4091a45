"""The log's format: what is in a log of any age is read, and what is written anybody's reader understands."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from support.random_session import write_random_session

from rt_pose.records import (
    TOPICS,
    AckRecord,
    CommandRecord,
    EventRecord,
    Observation,
    Record,
    decode,
    topic_of,
)
from rt_pose.session.log_file import LOG_NAME, LoggedMessage, read_log
from rt_pose.types import StageStamps

KEYS = {
    "stamps": "index t_exposure_ns t_arrival_ns t_scene_ns clock_error_ns epoch t_device_ticks",
    "stages": "t_taken_ns t_preprocessed_ns t_inferred_ns t_pose_ns t_tracked_ns t_judged_ns t_decided_ns "
    "t_published_ns",
    "event": "id rule individual outcome reason probability value camera frame_index t_cause_ns t_judged_ns "
    "t_effect_ns deadline_met block trial x y xy_px cov_px2",
    "command": "id event_id output line action duration_us period_us count amplitude t_deadline_ns message "
    "ramp_up_us ramp_down_us x y",
    "ack": "command_id output t_sent_ns t_ack_ns t_device_us ok detail t_effect_ns",
}
"""The keys of maps within records, in the order of log version 1."""


@pytest.fixture(scope="module")
def messages(tmp_path_factory: pytest.TempPathFactory) -> list[LoggedMessage]:
    """The log of a session with every kind of record that a loop writes."""
    path = tmp_path_factory.mktemp("random") / "session"
    write_random_session(path, seed=0)
    return read_log(path / LOG_NAME)[0]


def test_a_record_has_the_bytes_of_a_map_with_these_keys(messages: list[LoggedMessage]) -> None:
    found: set[str] = set()
    for message in messages:
        plain: dict[str, Any] = msgspec.msgpack.decode(message.payload)
        found |= {key for key in KEYS if key in plain}
        for key, names in KEYS.items():
            assert key not in plain or list(plain[key]) == names.split()
        assert msgspec.msgpack.encode(plain) == message.payload, "a map of the same keys packs to the same"
    assert found == set(KEYS)


def test_every_record_is_read_and_written_again_byte_for_byte(messages: list[LoggedMessage]) -> None:
    for message in messages:
        record = decode(message.topic, message.payload)
        assert isinstance(record, TOPICS[message.topic])
        assert topic_of(record) == message.topic
        assert msgspec.msgpack.encode(record) == message.payload


def read(topic: str, plain: dict[str, Any]) -> Record:
    record = decode(topic, msgspec.msgpack.encode(plain))
    assert record is not None
    return record


def test_a_log_from_before_blocks_ramps_and_device_times_is_read(messages: list[LoggedMessage]) -> None:
    young = {m.topic: msgspec.msgpack.decode(m.payload) for m in messages}
    later = {
        "event": ["block", "trial", "x", "y", "xy_px", "cov_px2"],
        "command": ["message", "ramp_up_us", "ramp_down_us", "x", "y"],
    }
    later |= {"ack": ["t_effect_ns"], "observation": []}
    old = {topic: young[topic] for topic in later}
    for topic, keys in later.items():
        for key in keys:
            del old[topic][topic][key]
    del old["observation"]["stages"]["t_tracked_ns"], old["observation"]["stamps"]["epoch"]
    event, command, ack, seen = (read(topic, plain) for topic, plain in old.items())
    assert isinstance(event, EventRecord)
    assert (event.event.block, event.event.trial) == ("", 0)
    assert isinstance(command, CommandRecord)
    assert (command.command.message, command.command.ramp_up_us) == ("", 0)
    assert isinstance(ack, AckRecord)
    assert ack.ack.t_effect_ns is None
    assert isinstance(seen, Observation)
    assert (seen.stages.t_tracked_ns, seen.stamps.epoch) == (0, 0)


def test_what_a_newer_program_adds_is_left_aside(messages: list[LoggedMessage]) -> None:
    plain = next(msgspec.msgpack.decode(m.payload) for m in messages if m.topic == "observation")
    plain["stages"]["t_of_a_later_stage_ns"] = 5
    plain["a later field"] = {"of": "any kind"}
    record = read("observation", plain)
    assert isinstance(record, Observation)
    assert isinstance(record.stages, StageStamps)
    assert decode("a later topic", b"") is None
