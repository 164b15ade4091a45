"""Sessions with rules that are judged in space: replay, what-if, what was missing, yoking to them."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.delivered import delivered
from support.random_session import write_random_session
from support.random_views import DrawnPlaces, random_sessions, views_config

from rt_pose.audit.audit import score_hindsight
from rt_pose.audit.recompute import DecisionReplay, ReplaySetup
from rt_pose.audit.replay import replay_session
from rt_pose.audit.untriggered_rules import as_json, format_untriggered
from rt_pose.audit.what_if import compare, what_if
from rt_pose.config.rules import ActionConfig, RuleConfig, ZoneConfig
from rt_pose.config.schema import RunConfig
from rt_pose.errors import UserError
from rt_pose.offline.smooth import smooth_observations
from rt_pose.session.read import Session
from rt_pose.session.yoke import effect_times_s

SEEDS, FRAMES = 3, 150


def with_rules(config: RunConfig) -> RunConfig:
    """The run with rules in space beside those that it has."""
    do = ActionConfig("tone", "5 ms")
    config.zones["ball"] = ZoneConfig(sphere=[0.0, 0.0, 0.0, 30.0], unit="mm")
    config.rules += [
        RuleConfig("up", "height(nose) > 5 mm", do, view="arena", probability=0.6, release=0.3, late="fire"),
        RuleConfig("fast", "speed(paw) > 40 and mean(z(paw), 50 ms) > -1 m", do, view="arena", hold="20 ms"),
        RuleConfig("ball", "inside(tail, ball)", do, view="arena", withhold=0.3, late="fire"),
        RuleConfig("never", "height(nose) > 500 mm and z(paw) > -500 mm", do, view="arena"),
    ]
    config.protocol, config.armed_at_start, config.budget_ms = [], True, 50.0
    return config


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> list[Session]:
    return random_sessions(tmp_path_factory.mktemp("sessions"), SEEDS, FRAMES, with_rules)


def test_their_decisions_replay_bit_for_bit(sessions: list[Session]) -> None:
    rules = set()
    for session in sessions:
        result = replay_session(session)
        assert result.identical, result.differences
        assert result.bit_for_bit
        groups = {record.seq for record in session.groups}
        for record in session.events:
            assert (record.event.camera == "arena") == (record.seq in groups)
        rules |= {r.event.rule for r in session.events if r.event.camera == "arena"}
        ids = [record.event.id for record in session.events]
        assert len(ids) == len(set(ids))
    assert rules == {"up", "fast", "ball"}


def test_what_if_judges_them_again(sessions: list[Session]) -> None:
    for session in sessions:
        setup = ReplaySetup.of(session)
        same = compare(session, DecisionReplay(setup), DecisionReplay(setup))
        assert not same.differences
        assert len(same.before) == len(session.events)
    session = next(s for s in sessions if any(r.event.rule == "ball" for r in s.events))
    found, (change,) = what_if(session, ["rules.ball.when=inside(tail, ball) and height(tail) > 900 mm"])
    assert change.startswith("rules.ball.when: ")
    ball = [d for d in found.differences if d.first.event.rule == "ball"]
    assert len(ball) == sum(record.event.rule == "ball" for record in session.events)
    assert {d.kind for d in ball} == {"only before"}
    with pytest.raises(UserError, match="there is no group of views 'aren', did you mean 'arena'"):
        what_if(session, ["rules.ball.view=aren"])


def test_what_one_was_missing_is_said(sessions: list[Session]) -> None:
    for session in sessions:
        never = (as_json(session) or {})["never"]
        judged = sum(bool(record.used) for record in session.groups)
        assert never["observed"] == judged >= never["frames"]
        high, low = never["parts"].values()
        assert (high, low, never["whole"]) == (0, never["frames"], 0)
        assert low > 0
        assert "rarest: the height of nose is above 500 mm, in 0 of" in format_untriggered(never)


def test_hindsight_gives_each_event_its_verdict(sessions: list[Session]) -> None:
    """Also where time goes back and views come late."""
    for session in sessions:
        smoothed, *_ = score_hindsight(session, smooth_observations, 100.0)
        assert sum(len(of.events) for of in smoothed.scores) == len(session.events)
        for of in smoothed.scores:
            assert (of.unscored, of.left_out) == ("", 0)
            assert all(curve.in_space == (curve.camera == "arena") for curve in of.curves)


def test_another_run_can_be_yoked_to_one(tmp_path: Path) -> None:
    """At the times at which its stimuli came after its first frame."""
    config = with_rules(views_config(0, tmp_path / "calibration.toml"))
    write_random_session(tmp_path / "session", 0, 100, config, DrawnPlaces(0, config), calm=True)
    session = delivered(Session.read(tmp_path / "session"))
    begin_ns = min(seen.stamps.t_scene_ns for seen in session.observations)
    newest_ns, yoked = {record.seq: record.t_valid_ns for record in session.tracks3d}, 0
    for rule in ("up", "fast", "ball"):
        fired = [r for r in session.events if r.event.rule == rule and r.event.outcome == "fired"]
        later_ns = [r.event.t_effect_ns - r.event.t_cause_ns + newest_ns[r.seq] - begin_ns for r in fired]
        assert effect_times_s(session, rule) == pytest.approx([t / 1e9 for t in sorted(later_ns)], abs=0.05)
        yoked += len(fired)
    assert yoked > 0
