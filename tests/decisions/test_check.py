"""`rt-pose rules check`: sentences, and a picture."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from rt_pose.cli.main import main
from rt_pose.config.build import load
from rt_pose.config.schema import RunConfig
from rt_pose.decisions.check import check
from rt_pose.errors import UserError
from rt_pose.rules import vocabulary as words_module
from rt_pose.rules.draw import ZONE
from rt_pose.rules.quantities import quantity_names
from rt_pose.rules.vocabulary import vocabulary

EXAMPLE = Path(__file__).parents[2] / "configs" / "experiments" / "reach-by-probability.yaml"


def test_every_rule_is_explained() -> None:
    reach, swing, edge, *meetings, baseline, stimulation, washout, names = check(load(RunConfig, EXAMPLE))
    assert all("may meet on laser line 0" in sentence for sentence in meetings)
    assert baseline == "block 1, baseline: no rule may fire; ends after 5 s."
    assert stimulation == (
        "block 2, stimulation: reach, swing may fire; ends after 20 trials; a trial without an event ends "
        "after 10 s; 500 ms between trials."
    )
    assert washout.endswith("over_the_edge may fire; ends by the order `block` or with the run.")
    assert reach == (
        "reach: when paw2LF_top is inside lever and the speed of paw2LF_top is below 60 cm/s with a "
        "probability of at least 90 % (until it falls below 60 %), for 10 ms without a break, laser line 0 "
        "gives a pulse of 5 ms; not again for 300 ms; 20 % of it withheld as controls, "
        "unseen while it runs; later than 25 ms after the exposure not at all; only in block stimulation."
    )
    assert "the phase of the rhythm of the x of paw1LH_top near 4 Hz" in swing
    assert "paw2LF_top has crossed edge to its left" in edge
    assert "paw2LF_top, paw1LH_top, paw3RF_top" in names


def test_the_example_s_keypoints_are_those_of_the_mouse() -> None:
    mouse = yaml.safe_load((EXAMPLE.parents[1] / "train" / "mirror-mouse.yaml").read_text())["keypoints"]
    *_, names = check(load(RunConfig, EXAMPLE))
    used = names.removesuffix(".").rpartition(": ")[2].split(", ")
    assert len(used) == 3
    assert set(used) <= set(mouse)


def test_every_word_is_told() -> None:
    expected = "\n".join(vocabulary())
    for name in quantity_names():
        assert f"  {name}(" in expected
    assert "velocity(keypoint, angle)" in expected
    assert f"example    {words_module.EXAMPLE}" in expected
    config = load(RunConfig, EXAMPLE)
    config.rules[0].when = words_module.EXAMPLE.replace("paw", "paw2LF_top")
    assert "the time since paw2LF_top was seen" in check(config)[0]


def test_zones_are_drawn_on_the_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame, out = tmp_path / "frame.png", tmp_path / "out" / "rules.png"
    cv2.imwrite(str(frame), np.full((240, 500), 90, np.uint8))
    assert main(["rules", "check", str(EXAMPLE), "--image", str(frame), "--out", str(out)]) == 0
    assert f"picture: {out}" in capsys.readouterr().out
    drawn = cv2.imread(str(out))
    assert drawn.shape[1] == 500
    assert drawn.shape[0] > 240
    lever = drawn[100, 326:331].astype(int)  # 72 mm + 10 mm at 0.25 mm a px: its border is at x = 328
    assert np.abs(lever - ZONE).sum(axis=1).min() < 60
    assert np.abs(drawn[100, 380].astype(int) - 90).max() < 3


def test_without_a_frame_there_is_a_blank_one(tmp_path: Path) -> None:
    out = tmp_path / "rules.png"
    check(load(RunConfig, EXAMPLE), out=str(out))
    assert cv2.imread(str(out)).shape[1] >= 330


def test_what_cannot_be_drawn(tmp_path: Path) -> None:
    config = load(RunConfig, EXAMPLE)
    with pytest.raises(UserError, match="expected the name of a PNG"):
        check(config, out=str(tmp_path / "rules.txt"))
    with pytest.raises(UserError, match="cannot be read as a picture"):
        check(config, image=str(tmp_path / "none.png"), out=str(tmp_path / "rules.png"))


def test_a_line_is_called_by_its_name() -> None:
    config = load(RunConfig, EXAMPLE)
    config.outputs["laser"].lines = ["blue"]
    sentences = check(config, details=True)
    assert "laser line blue gives a pulse of 5 ms" in sentences[0]
    assert any("may meet on laser line blue" in sentence for sentence in sentences)
    assert not any("line 0" in sentence for sentence in sentences)
