"""Frames a second of `predict`, and how far its keypoints lie from the live chain's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.clip import write_clip
from support.tiny_package import make_tiny_package

from bench.prediction import format_table, largest_px, main


def test_distances_are_the_largest_and_infinite_where_only_one_sees() -> None:
    ours = np.zeros((2, 3, 2))
    theirs = ours.copy()
    theirs[1, 2] = (0.03, 0.04)
    assert largest_px(ours, theirs) == pytest.approx(0.05)
    ours[0, 0] = theirs[0, 0] = np.nan
    assert largest_px(ours, theirs) == pytest.approx(0.05)
    theirs[0, 1] = np.nan
    assert largest_px(ours, theirs) == np.inf
    assert largest_px(ours, theirs[:1]) == np.inf


def test_a_video_is_predicted_in_blocks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_tiny_package(tmp_path / "package")
    write_clip(tmp_path / "clip.avi", 5)
    command = ["--model", str(tmp_path / "package"), "--video", str(tmp_path / "clip.avi")]
    assert main([*command, "--rounds", "2", "--out", str(tmp_path / "result")]) == 0
    figures = json.loads((tmp_path / "result.json").read_text())
    assert (figures["frames"], figures["rate_hz"]["after"]["n"]) == (5, 2)
    assert figures["largest_px"]["live"] < 0.05
    assert "Largest distance of a keypoint from live" in format_table(figures)


def test_a_folder_that_is_no_checkout_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--before", str(tmp_path), "--model", "m", "--video", "v"]) == 2
    assert "no checkout" in capsys.readouterr().err
