"""Scores of rules: episodes, verdicts and delays of made-up truths whose answer is known."""

from __future__ import annotations

import dataclasses
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.html_page import NASTY, check_escaped, check_page
from support.random_session import KEYPOINTS, DrawnKeypoints, write_random_session

from rt_pose.audit.hindsight import Episode, Scored, episodes, match, score
from rt_pose.audit.hindsight_format import format_hindsight
from rt_pose.audit.recompute import ReplaySetup
from rt_pose.audit.truth import known_truth, smoothed_truth, table_truth
from rt_pose.clock import NS_PER_MS, HostClock
from rt_pose.config.rules import ActionConfig, RuleConfig, ZoneConfig
from rt_pose.config.schema import CameraConfig, OutputConfig, PublishConfig, RunConfig
from rt_pose.inference.decode import Keypoints
from rt_pose.offline.smooth import smooth_observations
from rt_pose.records import AckRecord, CommandRecord
from rt_pose.reports.hindsight_page import page, write
from rt_pose.session.describe import uuid7
from rt_pose.session.read import Session
from rt_pose.types import Ack, Command

MS = NS_PER_MS
T = np.arange(0, 1000, 10) * MS


def true_ranges(*spans: tuple[int, int]) -> np.ndarray:
    """True from the first to before the second frame of each span."""
    holds = np.zeros(len(T), bool)
    for begin, end in spans:
        holds[begin:end] = True
    return holds


def found(holds: np.ndarray, hold_ms: int = 0, bridge_ms: int = 0) -> list[tuple[float, float, float]]:
    made = episodes(T, holds, hold_ms * MS, bridge_ms * MS)
    return [(e.start_ns / MS, e.onset_ns / MS, e.end_ns / MS) for e in made]


def test_an_episode_ends_where_it_holds_no_longer() -> None:
    assert found(true_ranges((10, 20), (50, 51))) == [(100, 100, 200), (500, 500, 510)]


def test_at_the_edges() -> None:
    made = episodes(T, true_ranges((0, 5), (95, 100)), 0, 0)
    assert [e.from_before for e in made] == [True, False]
    assert made[1].end_ns == T[-1]
    assert found(true_ranges()) == []
    assert found(~true_ranges()) == [(0, 0, 990)]


def test_short_gaps_are_bridged_and_short_stretches_are_none() -> None:
    holds = true_ranges((10, 20), (24, 30), (60, 62))
    assert found(holds, bridge_ms=40) == [(100, 100, 300), (600, 600, 620)]
    assert found(holds, bridge_ms=30) == [(100, 100, 200), (240, 240, 300), (600, 600, 620)]
    assert found(holds, hold_ms=50, bridge_ms=40) == [(100, 150, 300)]


def verdicts(spans: list[tuple[int, int]], effects_ms: list[float], tolerance_ms: int = 50) -> list[str]:
    made = [Episode(a * MS, a * MS, b * MS, from_before=False) for a, b in spans]
    events = [Scored(round(t * MS), "fired", "condition", "") for t in effects_ms]
    missed = match(made, events, tolerance_ms * MS)
    return [e.verdict for e in events] + ["miss"] * len(missed)


def test_verdicts() -> None:
    assert verdicts([(100, 200)], [100]) == ["hit"]
    assert verdicts([(100, 200)], [50, 150]) == ["hit", "repeat"]
    assert verdicts([(100, 200)], [49]) == ["false alarm", "miss"]
    assert verdicts([(100, 200)], [250]) == ["hit"]
    assert verdicts([(100, 200)], [251]) == ["false alarm", "miss"]
    assert verdicts([], [10]) == ["false alarm"]
    assert verdicts([(100, 200)], []) == ["miss"]


def test_an_event_between_two_episodes_belongs_to_the_nearer() -> None:
    assert verdicts([(100, 200), (280, 300)], [245]) == ["hit", "miss"]
    made = [Episode(a * MS, a * MS, b * MS, from_before=False) for a, b in [(100, 200), (280, 300)]]
    event = Scored(245 * MS, "fired", "", "")
    assert match(made, [event], 50 * MS) == made[:1]
    assert event.delay_ms == -35


def test_a_lost_keypoint_is_no_detection() -> None:
    made = [Episode(0, 0, 100 * MS, from_before=False)]
    event = Scored(10 * MS, "suppressed", "lost", "")
    assert match(made, [event], 0) == made
    assert event.verdict == "lost"


def test_the_delay_of_what_held_from_the_beginning_is_not_known() -> None:
    event = Scored(10 * MS, "fired", "", "")
    match([Episode(0, 0, 100 * MS, from_before=True)], [event], 0)
    assert (event.verdict, event.delay_ms) == ("hit", None)


@given(
    st.lists(st.booleans(), min_size=len(T), max_size=len(T)),
    st.lists(st.integers(-100, 1100), max_size=30),
    st.sampled_from([0, 20, 100]),
    st.sampled_from([0, 30]),
)
def test_every_event_and_every_episode_is_accounted_for(
    holds: list[bool], effects_ms: list[int], tolerance_ms: int, hold_ms: int
) -> None:
    made = episodes(T, np.array(holds), hold_ms * MS, tolerance_ms * MS)
    events = [Scored(t * MS, "fired", "", "") for t in effects_ms]
    missed = match(made, events, tolerance_ms * MS)
    verdict = [e.verdict for e in events]
    assert set(verdict) <= {"hit", "repeat", "false alarm"}
    assert verdict.count("hit") + len(missed) == len(made)
    for one, next_one in pairwise(made):
        assert next_one.start_ns - one.end_ns > tolerance_ms * MS


class Pendulum(DrawnKeypoints):
    """Every keypoint swings through the middle of the frame once in 100 frames, seen with 0.5 px of noise."""

    frame = 0

    def decode(self, heatmaps: Any, frame_size: Any, offset_xy: Any = (0, 0)) -> Keypoints[Any]:
        self.frame += 1
        phase = 2 * np.pi * self.frame / 100
        self.truth = np.tile([160 + 90 * np.sin(phase), 128.0], (len(KEYPOINTS), 1))
        xy = self.truth + self._random.normal(0, 0.5, self.truth.shape)
        k = len(KEYPOINTS)
        return Keypoints(xy[None], 0.25 * np.tile(np.eye(2), (1, k, 1, 1)), np.full((1, k), 0.9))


@pytest.fixture(scope="module")
def swinging(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """20 s: the nose is inside the zone on the right once a second; one rule says so, another is deaf."""
    action = ActionConfig("laser", "5 ms")
    config = RunConfig(
        cameras={"top": CameraConfig("simulated")},
        outputs={"laser": OutputConfig("simulated", {"delay_ms": 2.0})},
        zones={"right": ZoneConfig([240.0, 128.0, 40.0]), "nowhere": ZoneConfig([10.0, 10.0, 5.0])},
        rules=[
            RuleConfig("right", "inside(nose, right)", action),
            RuleConfig("deaf", "inside(nose, right) and inside(paw, nowhere)", action),
        ],
        publish=PublishConfig("tcp://127.0.0.1:*", "tcp://127.0.0.1:*"),
        budget_ms=500.0,
        armed_at_start=True,
    )
    path = tmp_path_factory.mktemp("swinging") / "session"
    write_random_session(path, 1, frames=2000, config=config, keypoints=Pendulum(1), calm=True)
    return Session.read(path)


def test_a_rule_that_works_hits_every_onset(swinging: Session) -> None:
    (right, blocked) = score(swinging, known_truth(swinging)).scores
    assert (right.onsets, right.count("hit"), right.misses, right.count("false alarm")) == (20, 20, 0, 0)
    assert right.outcomes("hit") == {"fired": 20}
    assert (blocked.onsets, blocked.count("hit"), blocked.count("false alarm")) == (0, 0, 0)
    # The filter predicts to the time of effect: what is left is the frame's grid and the noise.
    assert np.abs(right.delays_ms).max() < 25
    assert np.abs(np.median(right.delays_ms)) < 12


def test_what_a_rule_did_not_say_is_a_miss_and_what_it_made_up_a_false_alarm(swinging: Session) -> None:
    session = dataclasses.replace(swinging, events=swinging.events[1:])
    first = swinging.events[0]
    scored = score(session, known_truth(swinging)).scores[0]
    assert (scored.count("hit"), scored.misses, scored.count("false alarm")) == (19, 1, 0)
    wrong = type(first)(t_ns=first.t_ns, seq=first.seq + 50, event=first.event)
    session = dataclasses.replace(swinging, events=[*swinging.events, wrong])
    scored = score(session, known_truth(swinging)).scores[0]
    assert (scored.count("hit"), scored.misses, scored.count("false alarm")) == (20, 0, 1)


def test_the_smoothed_session_says_nearly_the_same_as_the_truth(swinging: Session) -> None:
    tracking = ReplaySetup.of(swinging).tracking
    smoothed = score(swinging, smoothed_truth(swinging, lambda _: tracking, smooth_observations)).scores[0]
    known = score(swinging, known_truth(swinging)).scores[0]
    assert (smoothed.onsets, smoothed.count("hit"), smoothed.misses) == (20, 20, 0)
    assert np.median(smoothed.delays_ms) == pytest.approx(np.median(known.delays_ms), abs=10)


def test_a_table_counts_frames_that_were_lost(swinging: Session) -> None:
    frames = [f for i, f in enumerate(swinging.frames) if i % 7 or i == 0]
    session = dataclasses.replace(swinging, frames=frames)
    xy = np.stack([t.xy.array()[0] for t in swinging.truths])
    table = np.concatenate([np.full((1, *xy.shape[1:]), np.nan), xy])  # the camera counts from 1
    (series,) = table_truth(session, table)
    (known,) = known_truth(swinging)
    np.testing.assert_array_equal(series.index, known.index)
    np.testing.assert_array_equal(series.t_ns, known.t_ns)
    np.testing.assert_allclose(series.velocity, known.velocity)


def test_the_page_and_its_figures(swinging: Session, tmp_path: Path) -> None:
    found = [score(swinging, known_truth(swinging))]
    plain = write(tmp_path, found)
    assert json.loads((tmp_path / "hindsight.json").read_text()) == plain
    right = plain["scores"][0]["rules"]["right"]
    assert (right["onsets"], right["hits"], right["misses"], right["false_alarms"]) == (20, 20, 0, 0)
    assert right["delay_ms"]["n"] == 20
    text = (tmp_path / "hindsight.html").read_text()
    assert text.count("<svg") >= 2
    assert "fill-opacity" in text, "episodes are shown"
    check_page(text)
    assert any("right" in line and " 20 fired" in line for line in format_hindsight(found[0]))


def test_names_on_the_page_are_escaped_and_a_rule_without_hits_is_shown(swinging: Session) -> None:
    whole = score(dataclasses.replace(swinging, events=[]), known_truth(swinging))
    scores = [dataclasses.replace(s, rule=NASTY, curves=[]) for s in whole.scores]
    text = page([dataclasses.replace(whole, source=NASTY, scores=scores)], NASTY)
    check_escaped(text)
    assert "<svg" not in text
    check_page(page([], "none"))


@given(st.integers(0, 2**16))
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_session_can_be_scored(tmp_path: Path, seed: int) -> None:
    path = tmp_path / uuid7(HostClock())
    write_random_session(path, seed, frames=120)
    session = Session.read(path)
    for truth in (
        known_truth(session),
        smoothed_truth(session, ReplaySetup.of(session).tracking_of, smooth_observations),
    ):
        scored = score(session, truth)
        assert sum(len(s.events) for s in scored.scores) == len(session.events)
        list(format_hindsight(scored))


def test_hits_that_became_no_stimulus_are_told(swinging: Session, tmp_path: Path) -> None:
    fired = [record.event for record in swinging.events]
    commands = [
        CommandRecord(t_ns=n, seq=n, command=Command(event.id, event.id, "laser", 0, "pulse"), accepted=True)
        for n, event in enumerate(fired)
    ]
    acks = [
        AckRecord(t_ns=n, ack=Ack(event.id, "laser", 1, 2, None, ok=n > 1, detail="interlock open"))
        for n, event in enumerate(fired[:-1])
    ]
    session = dataclasses.replace(swinging, commands=commands, acks=acks)
    found = score(session, known_truth(session))
    right = write(tmp_path, [found])["scores"][0]["rules"]["right"]
    assert right["hits_became"] == {"fired": 20}
    assert right["hits_delivered"] == {"acknowledged": 17, "refused": 2, "unknown": 1}
    assert any("20 fired (of those fired 2 refused, 1 unknown)" in line for line in format_hindsight(found))
