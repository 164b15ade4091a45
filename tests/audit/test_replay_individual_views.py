"""Several animals before several views through the real loop: who is who in space, and rules about it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.random_session import KEYPOINTS
from support.random_views import DrawnHerd, random_sessions

from rt_pose.audit.recompute import DecisionReplay, ReplaySetup
from rt_pose.audit.replay import replay_session
from rt_pose.audit.republish import _Groups
from rt_pose.audit.what_if import compare, what_if
from rt_pose.config.rules import ActionConfig, RuleConfig
from rt_pose.config.schema import RunConfig
from rt_pose.session.read import Session

pytestmark = pytest.mark.timeout(300)  # whoever is first compiles all of it
SEEDS, FRAMES, ANIMALS = 3, 240, 2


def with_rules(config: RunConfig) -> RunConfig:
    """Two animals, and rules in space about them."""
    do = ActionConfig("tone", "5 ms")
    config.individuals = ["anna", "bert"]
    config.rules = [
        RuleConfig("each", "height(each.nose) > 5 mm", do, view="arena", probability=0.6, late="fire"),
        RuleConfig("named", "x(bert.nose) > 0", do, view="arena", identity=0.9, late="fire"),
        RuleConfig("near", "distance(anna.nose, bert.tail) < 90 mm", do, view="arena", late="fire"),
        RuleConfig("meet", "approach(any.nose, other.tail) > 20 mm/s", do, view="arena", late="fire"),
        RuleConfig("kept", "mean(speed(each.paw), 50 ms) > 30", do, view="arena", withhold=0.3),
        RuleConfig("plane", "speed(any.nose) > 150", do),
    ]
    config.protocol, config.armed_at_start, config.budget_ms = [], True, 50.0
    return config


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> list[Session]:
    return random_sessions(tmp_path_factory.mktemp("sessions"), SEEDS, FRAMES, with_rules, DrawnHerd)


def test_tracks_identities_and_decisions_replay_bit_for_bit(sessions: list[Session]) -> None:
    rules, individuals = set(), set()
    for session in sessions:
        result = replay_session(session)
        assert result.identical, result.differences
        assert result.bit_for_bit
        assert result.tracks_in_space == len(session.tracks3d) > FRAMES / 4
        in_space = [record.event for record in session.events if record.event.camera == "arena"]
        rules |= {event.rule for event in in_space}
        individuals |= {event.individual for event in in_space if event.rule == "each"}
    assert rules == {"each", "named", "near", "meet", "kept"}
    assert individuals == {0, 1}


def test_the_log_says_who_is_in_which_row_and_where_each_was_found(sessions: list[Session]) -> None:
    for session in sessions:
        turns = {record.seq: record for record in session.groups}
        seen = {record.seq: record for record in session.observations}
        placed = 0
        for record in session.tracks3d:
            assert record.xyz.shape == [ANIMALS, len(KEYPOINTS), 3]
            assert len(record.lost) == len(record.views) == ANIMALS * len(KEYPOINTS)
            assert len(record.alive) == len(record.identity_p) == ANIMALS
            assert [p is not None for p in record.identity_p] == record.alive
            used = turns[record.seq].used
            assert len(record.detection) == len(used)
            for seq, rows in zip(used, record.detection, strict=True):
                taken = [row for row in rows if row >= 0]
                assert len(set(taken)) == len(taken)
                assert np.isfinite(seen[seq].xy.array()[taken]).any(axis=(1, 2)).all()
            placed += all(record.alive)
        assert placed > len(session.tracks3d) / 3


def test_a_log_that_says_otherwise_is_found(sessions: list[Session]) -> None:
    session = Session.read(sessions[0].path)
    alive = [record for record in session.tracks3d if all(record.alive)]
    swapped, unsure = alive[-1], alive[-2]
    swapped.detection = [rows[::-1] for rows in swapped.detection]
    unsure.identity_p[0] = 0.123
    differences = "\n".join(replay_session(session).differences)
    assert f"input {swapped.seq}: other animals are in the slots in space than the log says" in differences
    assert f"input {unsure.seq}: identity_p was (0.123" in differences


def test_what_if_judges_them_again(sessions: list[Session]) -> None:
    for session in sessions:
        setup = ReplaySetup.of(session)
        same = compare(session, DecisionReplay(setup), DecisionReplay(setup))
        assert not same.differences
        assert len(same.before) == len(session.events)
    found, _ = what_if(sessions[0], ["rules.named.when=x(anna.nose) > 900"])
    assert {d.first.event.rule for d in found.differences} <= {"named"}


class Sent:
    """In the place of a publisher: what it was given."""

    individuals = ("anna", "bert")

    def __init__(self) -> None:
        self.headers: list[dict[str, Any]] = []
        self.values: list[np.ndarray] = []

    def send_array(self, topic: str, header: dict[str, Any], array: np.ndarray, t_pub_ns: int | None) -> None:
        assert (topic, t_pub_ns) == ("pose3d/arena/", None)
        self.headers.append(header)
        self.values.append(array.copy())


def test_they_are_published_again_as_they_were(sessions: list[Session]) -> None:
    session, sent = sessions[0], Sent()
    groups = _Groups(session, sent)  # type: ignore[arg-type]
    assert sum(groups.send(record) for record in session.tracks3d) == len(session.tracks3d)
    for record, header, values in zip(session.tracks3d, sent.headers, sent.values, strict=True):
        assert (header["alive"], header["identity_p"]) == (record.alive, record.identity_p)
        assert [count for row in header["views"] for count in row] == record.views
        np.testing.assert_array_equal(values[..., :3], record.xyz.array().astype(np.float32))
