"""The dry run: rules on a recording with faults, scored against where the discs truly are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.discs import KEYPOINTS, write_discs, write_truth
from support.tiny_package import make_tiny_package

from bench.triggers import dry_config
from rigs.faults import FaultOptions, Faults
from rt_pose.cli.main import main
from rt_pose.config.build import load
from rt_pose.config.rules import GeometryConfig
from rt_pose.config.schema import RunConfig
from rt_pose.config.views import ViewsConfig
from rt_pose.decisions.decide import make_rules
from rt_pose.errors import UserError
from rt_pose.session.read import Session

FRAMES = 100
CONFIG = """
cameras: {top: {driver: video, options: {path: nowhere.mp4}}}
outputs: {laser: {driver: simulated, options: {delay_ms: 3}}}
zones: {right: {circle: [230, 128, 40]}}
rules:
  - {name: right, when: "inside(k0, right)", do: {output: laser, pulse: 5 ms}, deadline: 3000 ms}
budget_ms: 3000
engine: {precision: float32, threads: 1}
seed: 9
"""


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dry")
    make_tiny_package(folder / "package", keypoints=KEYPOINTS)
    write_discs(folder / "discs.mkv", FRAMES)
    write_truth(folder / "truth.csv", FRAMES)
    (folder / "config.yaml").write_text(CONFIG)
    return folder


def argv(rig: Path, **changes: str) -> list[str]:
    values = {
        "model": str(rig / "package"),
        "video": str(rig / "discs.mkv"),
        "truth": str(rig / "truth.csv"),
        "config": str(rig / "config.yaml"),
    }
    return ["bench", "triggers", *(word for k, v in (values | changes).items() for word in (f"--{k}", v))]


def test_faults_are_injected_counted_and_scored(
    rig: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "session"
    assert main([*argv(rig, out=str(out)), "--faults.drop", "0.1"]) == 0
    messages = capsys.readouterr().out.strip().splitlines()
    figures = json.loads(messages[-1])
    faults = Faults(FaultOptions(drop=0.1), 9, "recording", "")
    lost = [i for i in range(1, FRAMES - 1) if faults.drops(i)]
    assert lost
    frames = figures["frames"]
    assert frames["device_gaps"] >= len(lost), "more only where this machine could not keep up"
    assert frames["captured"] + frames["device_gaps"] == FRAMES
    seen = {f.stamps.index for f in Session.read(out).frames}
    assert not seen & set(lost)

    table, smoothed = figures["scores"]
    assert table["truth"] == "the table"
    right = table["rules"]["right"]
    assert right["onsets"] == 3
    assert (right["hits"], right["misses"], right["false_alarms"]) == (3, 0, 0)
    assert smoothed["rules"]["right"]["hits"] == 3
    assert any(line.startswith("right ") for line in messages)
    for name in ("hindsight.html", "hindsight.json", "report.html"):
        assert (out / name).is_file()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"truth": "none.csv"}, "predictions none.csv: no such file"),
        ({"faults.drop": "2"}, "faults: drop must be between 0 and 0.9"),
        ({"video": "none.mp4"}, "none.mp4: no such file"),
        ({"config": "none.yaml"}, "no such file"),
    ],
)
def test_what_cannot_be_tried(
    rig: Path, tmp_path: Path, changes: dict[str, str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv(rig, out=str(tmp_path / "out"), **changes)) == 2
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_table_without_a_keypoint_of_the_rules(
    rig: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (rig / "truth.csv").read_text().replace("k0", "nose")
    (tmp_path / "truth.csv").write_text(text)
    assert main(argv(rig, out=str(tmp_path / "out"), truth=str(tmp_path / "truth.csv"))) == 2
    assert "a rule looks at 'k0'" in capsys.readouterr().err


def test_rules_in_mm_can_be_tried(rig: Path) -> None:
    config = load(RunConfig, rig / "config.yaml")
    config.rules[0].when = "speed(k0) > 20 mm/s"
    config.geometry = {"top": GeometryConfig(mm_per_px=0.5)}
    dry = dry_config(config, str(rig / "package"), str(rig / "discs.mkv"), None, FaultOptions())
    assert (
        make_rules(dry, ["k0"], {"laser": 3.0})[0].geometries["recording"].to_mm([2.0, 0, 0, 0])[0][0] == 1.0
    )
    dry.geometry["side"] = GeometryConfig(mm_per_px=0.4)
    with pytest.raises(UserError, match="a geometry for each of recording, side; leave only that"):
        dry_config(dry, "", "", None, FaultOptions())


def test_rules_in_space_are_none_for_one_recording(rig: Path) -> None:
    config = load(RunConfig, rig / "config.yaml")
    config.views = {"arena": ViewsConfig("calibration.toml", ["top", "side"])}
    with pytest.raises(UserError, match=r"nothing in space; leave out `views`$"):
        dry_config(config, "", "", None, FaultOptions())
    config.rules[0].view = "arena"
    with pytest.raises(UserError, match="nothing in space; leave out rule 'right' and `views`"):
        dry_config(config, "", "", None, FaultOptions())
