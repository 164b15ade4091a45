from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rigs.simulated.behaviour import CRUISE, STARTLE_LENGTH, STARTLE_S, Gait, Reactions, Timing, smooth

TIMING = Timing(reaction_ms=120.0, freeze_ms=800.0)


def test_without_stimuli_the_phase_clock_is_the_scene_clock() -> None:
    assert Reactions(TIMING).phase(12.5) == (12.5, 0.0)


def test_nothing_changes_before_the_reaction_and_all_is_done_after_it() -> None:
    reactions = Reactions.to(TIMING, [2_000_000])
    assert reactions.phase(2.1199) == (2.1199, 0.0)
    phase, darted = reactions.phase(5.0)
    assert phase == pytest.approx(5.0 - 0.8)
    assert darted == pytest.approx(STARTLE_LENGTH)


def test_the_phase_clock_stands_still_in_the_freeze() -> None:
    reactions = Reactions.to(TIMING, [0])
    phases = [reactions.phase(t)[0] for t in np.linspace(0.12 + 0.061, 0.12 + 0.799, 50)]
    assert np.ptp(phases) < 1e-12


def test_the_phase_clock_never_jumps_nor_runs_back() -> None:
    reactions = Reactions.to(TIMING, [500_000, 3_000_000, 4_700_000])
    t = np.arange(0.0, 8.0, 1e-4)
    phase = np.array([reactions.phase(value)[0] for value in t])
    speed = np.diff(phase) / 1e-4
    assert speed.min() > -1e-6
    assert speed.max() < 1.0 + 1e-6
    assert np.abs(np.diff(speed)).max() < 0.01


def test_a_stimulus_during_the_reaction_to_another_is_ignored() -> None:
    first_end_us = 1_120_000 + 800_000 + round(STARTLE_S * 1e6)
    early = Reactions.to(TIMING, [1_000_000, 1_050_000, 1_500_000, first_end_us - 1])
    assert early.starts_us == [1_120_000]
    late = Reactions.to(TIMING, [1_000_000, first_end_us])
    assert late.starts_us == [1_120_000, first_end_us + 120_000]


@given(
    st.lists(st.integers(0, 60_000_000), max_size=40).map(sorted),
    st.floats(0.0, 60.0, allow_nan=False),
    st.integers(0, 40),
)
def test_later_stimuli_never_change_the_past(stimuli: list[int], t_s: float, keep: int) -> None:
    known = [stimulus for stimulus in stimuli if stimulus <= t_s * 1e6 - 120_000]
    assert Reactions.to(TIMING, stimuli).phase(t_s) == Reactions.to(TIMING, known).phase(t_s)


@pytest.mark.parametrize("seed", range(3))
def test_the_gait_goes_forward_smoothly_with_darts(seed: int) -> None:
    gait = Gait(seed, 0)
    t = np.arange(0.0, 60.0, 1e-3)
    distance = np.array([gait.distance(value) for value in t])
    speed = np.diff(distance) / 1e-3
    assert speed.min() > 0.0
    assert speed.max() > 4.0 * CRUISE
    assert np.abs(np.diff(speed)).max() < 0.06
    assert 0.05 < np.mean(speed > 2.5 * CRUISE) < 0.3


def test_smooth_is_a_step_between_zero_and_one() -> None:
    assert (smooth(-1.0), smooth(0.0), smooth(0.5), smooth(1.0), smooth(2.0)) == (0.0, 0.0, 0.5, 1.0, 1.0)
