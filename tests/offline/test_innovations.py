"""Parameters from innovations: found again where they are known."""

from __future__ import annotations

import numpy as np
from support.ornstein import discretised

from rt_pose.offline.innovations import LEAST, START, Recorded, fit_parameters
from rt_pose.types import FloatArray

DT_S = 0.01


def simulated(q: float, tau: float, noise: FloatArray, random: np.random.Generator) -> FloatArray:
    """(F, 2) px of the model's own movement, seen with standard deviations `noise` (F,)."""
    F, Q = discretised(DT_S, q, tau)
    root = np.linalg.cholesky(Q)
    state, seen = np.zeros((2, 2)), []
    for sd in noise:
        state = F @ state + root @ random.normal(0, 1, (2, 2))
        seen.append(200 + state[0] + sd * random.normal(0, 1, 2))
    return np.array(seen)


def recorded(xy: list[FloatArray], s: FloatArray) -> Recorded:
    """Keypoints (F, 2) each with reported variances `s` (F,)."""
    places = np.stack(xy, axis=1)
    cov = np.tile(np.eye(2), (*places.shape[:2], 1, 1)) * s[:, None, None, None]
    return Recorded(DT_S, places, cov, np.ones(places.shape[:2]))


def fit(*recordings: Recorded):
    return fit_parameters(recordings, gate_chi2=10.6, restart_frames=8, min_confidence=0.1)


def test_the_models_own_parameters_are_found_again() -> None:
    random = np.random.default_rng(0)
    s = random.uniform(1.0, 40.0, 3000)  # variances as reported: three times too large
    noise = np.sqrt(s / 3 + 0.5)
    truth = [(1e6, 0.1), (4e4, 0.3)]
    found = fit(recorded([simulated(q, tau, noise, random) for q, tau in truth], s))
    for k, (q, tau) in enumerate(truth):
        # What matters of q and tau is the speed at rest and the noise of the velocity over a frame.
        assert abs(np.log(found.q_px2_s3[k] / q)) < 0.5
        assert abs(np.log(found.tau_s[k] / tau)) < 1.0
        assert abs(np.log(found.gain[k] * 3)) < 0.25
        assert 0.1 <= found.floor_px2[k] < 1.5


def test_outliers_do_not_pass_for_movement() -> None:
    random = np.random.default_rng(1)
    s = np.full(2000, 1.0)
    clean = simulated(1e4, 0.1, np.ones(2000), random)
    wild = clean.copy()
    wild[random.random(2000) < 0.02] += 150.0
    found = fit(recorded([clean, wild], s))
    assert found.q_px2_s3[1] < 4 * found.q_px2_s3[0]


def test_recordings_of_other_rates_and_a_keypoint_never_seen() -> None:
    random = np.random.default_rng(2)
    a = recorded([simulated(1e5, 0.1, np.ones(600), random), np.full((600, 2), np.nan)], np.ones(600))
    b = recorded([simulated(1e5, 0.1, np.ones(100), random), np.full((100, 2), np.nan)], np.ones(100))
    found = fit(a, b)
    assert np.isfinite(found.q_px2_s3).all()
    np.testing.assert_allclose([found.q_px2_s3[1], found.tau_s[1]], START[:2])


def test_members_that_agree_exactly_leave_a_floor() -> None:
    still = np.tile([50.0, 60.0], (400, 1))
    found = fit(recorded([still], np.full(400, 1e-9)))
    np.testing.assert_allclose(found.floor_px2, LEAST[3])


def test_leaps_from_side_to_side_do_not_break_the_search() -> None:
    random = np.random.default_rng(4)
    leaps = np.where(random.random((200, 1)) < 0.5, 20.0, 900.0) + random.normal(0, 0.01, (200, 2))
    found = fit(recorded([leaps, simulated(1e5, 0.1, np.ones(200), random)], np.full(200, 1e-4)))
    assert np.isfinite(found.log_likelihood).all()
    alone = fit(recorded([simulated(1e5, 0.1, np.ones(200), np.random.default_rng(4))], np.full(200, 1e-4)))
    assert np.isfinite(alone.log_likelihood).all()
