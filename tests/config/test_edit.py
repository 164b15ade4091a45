"""A value set in a YAML file: what else stands there stays as it was written."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from rt_pose.config.edit import set_value
from rt_pose.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
VALUE = {"mm_per_px": 0.25}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "geometry:\n  top: {mm_per_px: 0.25}\n"),
        ("# only a comment\n", "# only a comment\ngeometry:\n  top: {mm_per_px: 0.25}\n"),
        ("seed: 3  # mine", "seed: 3  # mine\ngeometry:\n  top: {mm_per_px: 0.25}\n"),
        (
            "geometry:  # a\n  side: {mm_per_px: 1}  # old\n\n# rules\nrules: []\n",
            "geometry:  # a\n  side: {mm_per_px: 1}  # old\n  top: {mm_per_px: 0.25}\n\n# rules\nrules: []\n",
        ),
        ("geometry:\n    top: {mm_per_px: 1}  # old\n", "geometry:\n    top: {mm_per_px: 0.25}  # old\n"),
        (
            "geometry:\n  top:\n    mm_per_px: 1  # old\n  # of the side\n  side: {mm_per_px: 2}\n",
            "geometry:\n  top:\n    {mm_per_px: 0.25}  # old\n  # of the side\n  side: {mm_per_px: 2}\n",
        ),
        (
            "geometry: {side: {mm_per_px: 1}}  # x\n",
            "geometry: {side: {mm_per_px: 1}, top: {mm_per_px: 0.25}}  # x\n",
        ),
        ("geometry: {}\nseed: 1\n", "geometry: {top: {mm_per_px: 0.25}}\nseed: 1\n"),
        ("geometry:\nseed: 1\n", "geometry: {top: {mm_per_px: 0.25}}\nseed: 1\n"),
    ],
)
def test_only_the_value_changes(before: str, after: str) -> None:
    assert set_value(before, ["geometry", "top"], VALUE, "rig.yaml") == after


@pytest.mark.parametrize("path", sorted((ROOT / "configs" / "rigs").glob("*.yaml")), ids=lambda p: p.name)
def test_every_rig_that_comes_along_can_be_written_into(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    output = next(iter(yaml.safe_load(text).get("outputs", {"laser": None})))
    value = {"unit": "V", "homography": [[1e-05, 0.0, -3.5], [0.0, 2.0, 1e17], [0.0, 0.0, 1.0]]}
    edited = set_value(text, ["outputs", output, "aim", "top"], value, str(path))
    assert yaml.safe_load(edited)["outputs"][output]["aim"]["top"]["unit"] == "V"
    kept = [line for line in text.splitlines() if "#" in line]
    assert all(line.split("#", 1)[1] in edited for line in kept), "comments stay"
    again = set_value(edited, ["outputs", output, "aim", "top"], VALUE, str(path))
    assert yaml.safe_load(again)["outputs"][output]["aim"]["top"] == VALUE


@pytest.mark.parametrize(
    "text",
    [
        "a: &one {top: {mm_per_px: 1}}\ngeometry: *one\n",
        "geometry: [1, 2]\n",
        "geometry: 5\n",
        "geometry: {top: 1\n",
        "- a\n- b\n",
    ],
)
def test_what_cannot_be_changed_is_left_to_the_user(text: str) -> None:
    with pytest.raises(UserError) as caught:
        set_value(text, ["geometry", "top"], VALUE, "rig.yaml")
    assert "rig.yaml: write this by hand:\ngeometry:\n  top: {mm_per_px: 0.25}\n" in str(caught.value)
