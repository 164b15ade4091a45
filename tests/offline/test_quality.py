"""What counts against the frames of a video, on poses whose faults are known."""

from __future__ import annotations

import numpy as np
import pytest

from rt_pose.errors import UserError
from rt_pose.offline.prediction_files import Predictions
from rt_pose.offline.quality import (
    KINDS,
    Quality,
    check_quality_config,
    grade_of,
    measure_quality,
    shares_text,
)
from rt_pose.offline.quality_config import LimitsConfig, QualityConfig
from rt_pose.package import Subspace

FRAMES, NAMES = 1000, ["nose", "neck", "hip", "tail"]
SHAPE = np.array([[0.0, 0.0], [20.0, 5.0], [40.0, -5.0], [60.0, 0.0]])
CONFIG = QualityConfig(drift_frames=125)
MOVES = [np.tile([1.0, 0.0], 4) / 2.0, np.tile([0.0, 1.0], 4) / 2.0]
SPACE = Subspace("pose", [0, 1, 2, 3], SHAPE.ravel().tolist(), [m.tolist() for m in MOVES], [1.0] * 4)
"""A stiff body that is moved about."""


def poses(frames: int = FRAMES) -> Predictions:
    """Of a body that walks, with the noise of a camera."""
    random = np.random.default_rng(0)
    walk = np.cumsum(random.normal(0.0, 1.0, (frames, 1, 2)), axis=0) + 200.0
    xy = SHAPE + walk + random.normal(0.0, 0.2, (frames, 4, 2))
    likelihood = random.uniform(0.8, 0.95, (frames, 4))
    return Predictions(NAMES, [str(i) for i in range(frames)], xy, likelihood)


def measure(video: Predictions, config: QualityConfig = CONFIG) -> Quality:
    return measure_quality(video, 0.15, [SPACE], config)


def test_each_fault_is_found_where_it_is_and_nowhere_else() -> None:
    whole = measure(poses())
    assert (whole.lost, whole.implausible, whole.frozen, whole.drifted) == (0.0, 0.0, 0.0, 0.0)
    assert len(whole.worst) == CONFIG.worst
    assert all(worst.reason.startswith("confidence 0.8") for worst in whole.worst)
    assert (grade_of(whole, LimitsConfig()), shares_text(whole)) == ("good", "")

    video = poses()
    video.likelihood[100:150, :3] = 0.05
    video.xy[300:310, 2] += 40.0
    video.xy[500:560], video.likelihood[500:560] = video.xy[500], video.likelihood[500]
    video.likelihood[750:] *= 0.5
    found = measure(video)
    assert (found.lost, found.implausible, found.frozen, found.drifted) == (0.05, 0.01, 0.059, 0.25)
    assert found.confidence == pytest.approx(0.73, abs=0.02)
    places = {"lost": (100, 150), "implausible": (300, 310), "frozen": (501, 560), "drifted": (750, 1000)}
    assert {worst.reason.split(":")[0] for worst in found.worst} == set(KINDS)
    for worst in found.worst:
        start, stop = places[worst.reason.split(":")[0]]
        assert start <= worst.frame < stop, worst
    assert [worst.frame for worst in found.worst] == sorted(worst.frame for worst in found.worst)
    reasons = "; ".join(worst.reason for worst in found.worst)
    for text in ("1 of 4 seen", "hip 4", "59 frames alike", "% lower"):
        assert text in reasons
    assert shares_text(found) == "lost 5 %, implausible 1 %, frozen 5.9 %, drifted 25 %"


def test_poses_that_leave_the_space_for_long_have_drifted() -> None:
    video = poses()
    video.xy[500:, 3] += 4.5  # less than what makes a single frame implausible
    found = measure(video)
    assert (found.implausible, found.drifted) == (0.0, 0.5)
    assert any("drifted: tail 5 sd off" in worst.reason for worst in found.worst)


def test_what_stands_still_is_not_frozen_and_a_short_run_is_not() -> None:
    video = poses()
    video.xy[:] = np.rint(video.xy[0])  # a decoder that knows whole pixels only
    assert measure(video).frozen == 0.0
    video = poses()
    video.xy[5:14], video.likelihood[5:14] = video.xy[5], video.likelihood[5]
    assert measure(video).frozen == 0.0
    assert measure(video, QualityConfig(frozen_frames=8)).frozen == 0.008
    video.xy[:], video.likelihood[:] = np.nan, np.nan  # nothing is seen: that is lost, not frozen
    blank = measure(video)
    assert (blank.lost, blank.frozen, blank.drifted, blank.confidence) == (1.0, 0.0, 0.0, 0.0)


def test_without_a_space_of_poses_nothing_is_said_of_them_and_one_frame_is_enough() -> None:
    video = poses(1)
    video.xy[0, 2] += 300.0
    found = measure_quality(video, 0.15, [], QualityConfig())
    assert found.implausible is None
    assert (found.lost, found.frozen, found.drifted) == (0.0, 0.0, 0.0)
    assert [worst.frame for worst in found.worst] == [0]
    assert measure(video).implausible == 1.0
    assert measure(video, QualityConfig(worst=0)).worst == []


def test_the_worst_share_grades() -> None:
    def graded(**shares: float) -> str:
        values = {"lost": 0.0, "implausible": None, "frozen": 0.0, "drifted": 0.0} | shares
        return grade_of(Quality(**values, confidence=1.0, worst=[], options=CONFIG), LimitsConfig())  # type: ignore[arg-type]

    assert graded() == graded(lost=0.049, implausible=0.029) == "good"
    assert graded(lost=0.05) == graded(implausible=0.1, drifted=0.39) == "check"
    assert graded(lost=0.1, frozen=0.15) == graded(lost=1.0) == "bad"


def test_all_options_that_mean_nothing_are_named() -> None:
    check_quality_config(QualityConfig(), LimitsConfig())
    wrong = QualityConfig(seen_share=0.0, frozen_frames=1, worst=-1)
    with pytest.raises(UserError) as caught:
        check_quality_config(wrong, LimitsConfig(lost=[0.5, 0.1], drifted=[0.1]))
    lines = str(caught.value).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        *("quality.seen_share", "quality.frozen_frames", "quality.worst", "limits.lost", "limits.drifted")
    ]
