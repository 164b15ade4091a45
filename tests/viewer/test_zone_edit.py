"""Zones moved and drawn, in px and in mm, and written back with everything else in the file left alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rt_pose.config.edit import remove_value
from rt_pose.config.rules import ZoneConfig
from rt_pose.errors import UserError
from rt_pose.rules.geometry import Geometry
from rt_pose.viewer.zone_edit import Grip, ZoneEditor
from rt_pose.viewer.zone_file import ZoneFile, edit_zones

HALF_MM = Geometry(np.diag([0.5, 0.5, 1.0]))
ZONES = {
    "round": ZoneConfig(circle=[50.0, 60.0, 20.0]),
    "plate": ZoneConfig(box=[10.0, 20.0, 40.0, 30.0], unit="mm"),
    "gate": ZoneConfig(line=[[10.0, 100.0], [60.0, 100.0]]),
}
TEXT = """\
# A rig of ours.
cameras:
  top: {driver: simulated}   # the one above
geometry:
  top: {mm_per_px: 0.5}
zones:
  # where the water is
  round: {circle: [50, 60, 20]}   # by hand
  plate:
    box: [10, 20, 40, 30]   # measured twice
    unit: mm
  gate: {line: [[10, 100], [60, 100]]}
  # the last one
outputs:
  light: {driver: simulated}
rules:
  - name: drink
    when: inside(nose, round)
    do: {output: light, pulse: 5 ms}
"""


def test_handles_and_wholes_are_moved_where_the_mouse_goes() -> None:
    editor = ZoneEditor(ZONES, HALF_MM)
    assert editor.grip_at(71.0, 60.0, 5.0) == Grip("round", 1), "its border"
    editor.move(Grip("round", 1), (70.0, 60.0), (50.0, 90.0))
    assert editor.zones["round"].circle == [50.0, 60.0, 30.0]
    assert editor.grip_at(45.0, 70.0, 5.0) == Grip("round", None)
    editor.move(Grip("round", None), (45.0, 70.0), (55.0, 60.0))
    assert editor.zones["round"].circle == [60.0, 50.0, 30.0]
    assert editor.handles("plate")[0] == (20.0, 40.0), "of mm, in px"
    editor.move(Grip("plate", 0), (20.0, 40.0), (100.0, 80.0))  # over the opposite corner
    assert editor.zones["plate"] == ZoneConfig(box=[40.0, 30.0, 50.0, 40.0], unit="mm")
    editor.move(Grip("gate", 1), (60.0, 100.0), (10.0, 100.0))
    assert editor.zones["gate"].line == [[10.0, 100.0], [60.0, 100.0]], "a line to itself is none"
    assert ZoneEditor(ZONES).shown() == ["round", "gate"], "without a geometry mm have no place"


def test_zones_are_drawn_named_deleted_and_brought_back() -> None:
    editor = ZoneEditor(ZONES, HALF_MM, {"round": ["drink"]})
    name = editor.add("box", [(30.0, 40.0), (10.0, 20.0)], "mm")
    assert (name, editor.zones[name]) == ("box1", ZoneConfig(box=[5.0, 10.0, 15.0, 20.0], unit="mm"))
    assert editor.zones[editor.add("circle", [(10.0, 10.0), (13.0, 14.0)])].circle == [10.0, 10.0, 5.0]
    editor.add("polygon", [(0.0, 0.0), (9.0, 0.0), (9.0, 9.0)])
    with pytest.raises(UserError, match="at least three corners"):
        editor.add("polygon", [(0.0, 0.0), (9.0, 0.0)])
    editor.rename("box1", "feeder")
    assert list(editor.zones) == ["round", "plate", "gate", "feeder", "circle1", "polygon1"]
    for new, why in (("round", "another zone"), ("my zone", "letters, digits")):
        with pytest.raises(UserError, match=why):
            editor.rename("feeder", new)
    with pytest.raises(UserError, match="named by rule 'drink', so it is not deleted"):
        editor.delete("round")
    editor.delete("gate")
    assert "gate" not in editor.zones
    for _ in range(5):
        assert editor.undo()
    assert editor.zones == ZONES
    assert not editor.undo()


def test_only_what_differs_is_written_and_comments_stay() -> None:
    after = {
        "round": ZoneConfig(circle=[51.5, 60.0, 20.0]),
        "plate": ZoneConfig(box=[10.0, 20.0, 41.0, 30.0], unit="mm"),
        "spout": ZoneConfig(point=[1.0, 2.0]),
    }
    expected = (
        TEXT.replace("circle: [50, 60, 20]", "circle: [51.5, 60.0, 20.0]")
        .replace("box: [10, 20, 40, 30]", "box: [10.0, 20.0, 41.0, 30.0]")
        .replace("  gate: {line: [[10, 100], [60, 100]]}\n", "")
        .replace("    unit: mm\n", "    unit: mm\n  spout: {point: [1.0, 2.0]}\n")
    )
    assert edit_zones(TEXT, ZONES, after, "rig.yaml") == expected
    assert edit_zones(TEXT, ZONES, ZONES, "rig.yaml") == TEXT


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("zones:\n  a: {point: [1, 2]}  # one\n", "zones:\n  {}  # one\n"),
        ("zones: {a: 1, b: 2}  # x\n", "zones: {b: 2}  # x\n"),
        ("zones: {b: 2, a: 1}\n", "zones: {b: 2}\n"),
        ("zones:\n  a:\n    x: 1\n  # of b\n  b: 2", "zones:\n  # of b\n  b: 2"),
        ("zones:\n  b: 2\n  a: 1", "zones:\n  b: 2\n"),
    ],
)
def test_a_key_is_removed_and_nothing_else(before: str, after: str) -> None:
    assert remove_value(before, ["zones", "a"], "rig.yaml") == after


@pytest.mark.parametrize("text", ["zones: {b: 1}\n", "x: &a {a: 1, b: 2}\nzones: *a\n", "zones: [a]\n"])
def test_what_cannot_be_removed_is_said(text: str) -> None:
    with pytest.raises(UserError, match=r"rig.yaml: remove `zones.a` by hand"):
        remove_value(text, ["zones", "a"], "rig.yaml")


def test_the_file_is_copied_before_it_is_written_and_never_when_it_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "rig.yaml"
    path.write_bytes(TEXT.replace("\n", "\r\n").encode())
    file = ZoneFile.read(str(path))
    assert file.named_by() == {"round": ["drink"]}
    zones = dict(file.config.zones)
    assert file.save(zones) is None
    zones["round"] = ZoneConfig(circle=[1.0, 2.0, 3.0])
    backup = file.save(zones)
    assert backup is not None
    assert backup.name == "rig.yaml.bak"
    assert backup.read_bytes() == TEXT.replace("\n", "\r\n").encode()
    assert path.read_bytes().count(b"\r\n") == TEXT.count("\n"), "line ends stay"
    zones["round"] = ZoneConfig(circle=[1.0, 2.0, 4.0])
    second = file.save(zones)
    assert second is not None
    assert second.name == "rig.yaml.bak1"
    path.write_text(TEXT, encoding="utf-8")
    zones["round"] = ZoneConfig(circle=[1.0, 2.0, 5.0])
    with pytest.raises(UserError, match="was changed by another program since it was opened"):
        file.save(zones)
    assert path.read_text(encoding="utf-8") == TEXT
