"""Made trains of pulses, recorded on another clock with losses, extra pulses and gaps."""

from __future__ import annotations

import numpy as np
import pytest

from rt_pose.offline.pulse_match import AmbiguousMatch, Match, NoMatch, match_near, match_pulses

DRIFT = 50e-6


def frames(count: int = 6000, rate_hz: float = 60.0, jitter_s: float = 4e-4, seed: int = 0) -> np.ndarray:
    """When the pulses of frames go out: at the camera's pace, after a network whose time varies a little."""
    rng = np.random.default_rng(seed)
    return 100.0 + np.arange(count) / rate_hz + rng.gamma(4.0, jitter_s / 2, count)


def recorded(
    sent: np.ndarray,
    offset_s: float = 1234.5,
    drift: float = DRIFT,
    noise_s: float = 5e-5,
    lost: float = 0.0,
    extra: int = 0,
    seed: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Times on the other clock, and the index of the sent pulse of each (-1 for one that is extra)."""
    rng = np.random.default_rng(seed)
    times = offset_s + (sent - sent[0]) * (1 + drift) + rng.normal(0, noise_s, len(sent))
    keep = rng.random(len(sent)) >= lost
    which = np.concatenate([np.flatnonzero(keep), np.full(extra, -1)])
    times = np.concatenate([times[keep], rng.uniform(times[0], times[-1], extra)])
    order = np.argsort(times)
    return times[order], which[order]


def share_right(match: Match, which: np.ndarray) -> float:
    """Share of the pairs that belong together."""
    return float((which[match.recorded] == match.sent).mean())


def test_all_pulses_find_each_other() -> None:
    sent = frames()
    times, which = recorded(sent)
    match = match_pulses(sent, times)
    assert len(match.sent) == len(sent)
    assert share_right(match, which) == 1.0


@pytest.mark.parametrize("drift", [-300e-6, -50e-6, 0.0, 50e-6, 300e-6])
def test_with_drift_losses_and_extra_pulses(drift: float) -> None:
    sent = frames(8_000)
    times, which = recorded(sent, drift=drift, lost=0.05, extra=160)
    match = match_pulses(sent, times)
    assert len(match.sent) > 0.99 * (which >= 0).sum()
    assert share_right(match, which) > 0.995


def test_a_recording_that_begins_in_the_middle_and_ends_early() -> None:
    sent = frames()
    times, which = recorded(sent)
    part = slice(2500, 4000)
    match = match_pulses(sent, times[part])
    assert len(match.sent) == 1500
    assert share_right(match, which[part]) == 1.0


def test_a_recording_of_several_hours_around_a_session() -> None:
    sent = frames(3000)
    times, _ = recorded(sent, offset_s=5000.0)
    rng = np.random.default_rng(3)
    before = np.sort(rng.uniform(0, 4900.0, 3000))
    match = match_pulses(sent, np.concatenate([before, times]))
    assert len(match.sent) == 3000
    assert (match.recorded - 3000 == match.sent).all()


def test_a_pulse_a_second_with_drift() -> None:
    sent = frames(3600, rate_hz=1.0, jitter_s=1e-3)
    times, which = recorded(sent, drift=100e-6, lost=0.02, extra=20)
    match = match_pulses(sent, times)
    assert share_right(match, which) > 0.999
    assert len(match.sent) > 0.97 * len(sent)


def test_a_recorder_that_paused_is_matched_on_both_sides() -> None:
    sent = frames(12_000)
    times, which = recorded(sent)
    keep = (which < 4000) | (which > 7000)
    match = match_pulses(sent, times[keep])
    assert len(match.sent) == keep.sum()
    assert share_right(match, which[keep]) == 1.0


@pytest.mark.parametrize("part", [slice(None), slice(100, 400)])
def test_a_regular_train_is_refused(part: slice) -> None:
    sent = frames(600, jitter_s=0.0)
    times, _ = recorded(sent)
    with pytest.raises(AmbiguousMatch, match="places fit alike"):
        match_pulses(sent, times[part])


def test_a_regular_train_with_pauses_is_matched() -> None:
    sent = frames(jitter_s=0.0)
    sent = sent[np.random.default_rng(4).random(len(sent)) > 0.1]
    times, which = recorded(sent, lost=0.01, extra=20)
    match = match_pulses(sent, times)
    assert share_right(match, which) > 0.995


def test_a_regular_train_is_matched_where_something_says_about_when() -> None:
    sent = frames(jitter_s=0.0)
    times, which = recorded(sent)
    offset = times[0] - sent[0]
    match = match_pulses(sent, times, (offset - 0.005, offset + 0.005))
    assert share_right(match, which) == 1.0
    with pytest.raises(AmbiguousMatch):
        match_pulses(sent, times, (offset - 0.05, offset + 0.05))


def test_another_session_is_not_taken_for_this_one() -> None:
    with pytest.raises((NoMatch, AmbiguousMatch)):
        match_pulses(frames(600, seed=0), recorded(frames(600, seed=9))[0])
    with pytest.raises(NoMatch):
        match_pulses(frames(600), np.sort(np.random.default_rng(0).uniform(0, 5e3, 1000)))


def test_each_is_paired_at_most_once() -> None:
    match = match_near(np.array([1.0, 1.001, 2.0]), np.array([1.0005, 2.1]), 0.01)
    assert (len(match.sent), match.recorded.tolist()) == (1, [0])
    assert len(match_near(np.empty(0), np.array([1.0]), 1.0).sent) == 0
