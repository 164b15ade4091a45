"""What a report says of several individuals, where it is known who they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support import recorded_session as recorded

from rt_pose.audit.matching import match_individuals
from rt_pose.reports.session_report import make_report
from rt_pose.reports.summary import format_summary


def test_each_individual_is_summed_up(tmp_path: Path) -> None:
    folder = recorded.write_recorded_session(tmp_path / "session")
    found = make_report(folder)
    frames, exchanged = 2 * recorded.FRAMES, len(recorded.EXCHANGED)
    tracked = frames - 2 * len(recorded.BO_EMPTY)
    ada, bo = found["individuals"]
    assert ada == {
        "name": "ada",
        "tracked": 1.0,
        "births": 2,
        "lowest_p": 0.99,
        "below_sure": 0.0,
        "exchanges": 1,
        "right": pytest.approx(1.0 - exchanged / frames),
    }
    assert (bo["births"], bo["lowest_p"], bo["exchanges"]) == (4, 0.8, 1)
    assert bo["tracked"] == pytest.approx(tracked / frames)
    assert bo["below_sure"] == pytest.approx(2 * len(recorded.BO_UNSURE) / tracked)
    assert bo["right"] == pytest.approx(1.0 - exchanged / tracked)
    # Two keypoints of both animals, wherever they stand among what was found.
    assert (found["accuracy"]["n"], found["accuracy"]["p90_px"]) == (4 * frames, 0.0)
    assert found["accuracy_tracks"]["n"] == 2 * (frames + tracked)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "visit of ada" in page
    assert "nose of each individual" in page
    assert "bo: nose" in page
    assert "individual bo: tracked in 91.7 % of the frames, began 4 times" in format_summary(found)


def test_the_nearest_pair_is_matched_first_and_what_is_far_to_nobody() -> None:
    truth = np.array([[[0.0, 0.0], [10.0, 0.0]], [[3.0, 0.0], [13.0, 0.0]], [[90.0, 0.0], [100.0, 0.0]]])
    visible = np.ones((3, 2), bool)
    found = np.array([truth[1] - 1.0, truth[2] + 30.0, truth[0] + 0.5, np.full((2, 2), np.nan)])
    assert match_individuals(found, truth, visible).tolist() == [2, 0, -1]
    visible[0] = False
    assert match_individuals(found, truth, visible).tolist() == [-1, 0, -1]
    assert match_individuals(found[:0], truth, visible).tolist() == [-1, -1, -1]
