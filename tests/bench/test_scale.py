"""What `bench.scale` runs, and its tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.tiny_package import make_tiny_package

from bench.scale import clips, program
from bench.scale.latency import Cell, ScalePlan, cell_config
from bench.scale.replays import random_config
from rigs.simulated.animal import KEYPOINTS
from rt_pose.config.check import check_run
from rt_pose.decisions.rule_set import RuleSet
from rt_pose.errors import UserError
from rt_pose.package import Package
from rt_pose.views.calibration_file import read_calibration

TIMES = {"n": 1234, "p50": 5.25, "p99": 9.5}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return make_tiny_package(tmp_path_factory.mktemp("scale") / "package")


def test_every_number_of_animals_with_every_number_of_cameras(
    package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clips, "FRAMES", 2)
    monkeypatch.setattr(clips, "SIZE", (64, 48))
    plan = ScalePlan(str(package.path), "several", tmp_path, [1, 2], [1, 2], 50.0, 1.0, 2.0, 1)
    assert plan.cells == [Cell(1, 1), Cell(1, 2), Cell(1, 2, True), Cell(2, 1), Cell(2, 2)]
    plan.several = ""
    assert plan.cells == [Cell(1, 1), Cell(1, 2), Cell(1, 2, True)]
    config = cell_config(plan, Cell(1, 2, in_space=True), 30.0, every=True)
    check_run(config)
    assert [Path(camera.options["path"]).name for camera in config.cameras.values()] == [
        *("view0.avi", "view1.avi")
    ]
    (group,) = config.views.values()
    assert [camera.name for camera in read_calibration(Path(group.calibration))] == list(config.cameras)
    assert config.frames == "every"
    assert config.rules[-1].view


def test_random_runs_are_ones_and_the_same_for_a_seed() -> None:
    kinds = set()
    for number in range(30):
        config, again = (
            random_config(np.random.default_rng((0, number)), "one", "several", 5.0) for _ in "ab"
        )
        assert config == again
        check_run(config)
        RuleSet.of(config, KEYPOINTS, {"stimulus": 1.0, "tone": 25.0})
        kinds.add((bool(config.views), config.individual_count > 1, len(config.cameras)))
        assert config.model == ("one" if config.views else "several")
    assert {(True, False, 2), (True, False, 4), (False, True, 1), (False, True, 4)} <= kinds
    assert all(
        random_config(np.random.default_rng(number), "one", "", 5.0).individual_count == 1
        for number in range(5)
    )


def test_a_package_of_one_animal_does_for_no_several(package: Package) -> None:
    with pytest.raises(UserError, match=r"--several .* finds one animal; expected a package of several"):
        program.measure(program.Options(model=str(package.path), several=str(package.path)))
    with pytest.raises(UserError, match="--session-seconds: expected 2 to 600, got 1"):
        program.measure(program.Options(model="", session_seconds=1.0))


def test_the_tables() -> None:
    cell: dict[str, Any] = {"animals": 1, "cameras": 2, "in_space": True, "rate_hz": 41.24, "dropped": 0}
    cell |= {"throughput_hz": 60.0, "exposure_to_decision_ms": TIMES, "in_space_ms": TIMES | {"p99": 11.0}}
    none = {"animals": 4, "cameras": 4, "in_space": False, "rate_hz": None, "throughput_hz": 3.0}
    counts = {"observations": 900, "tracks": 900, "tracks_in_space": 880, "events": 7, "commands": 5}
    session = {"in_space": True, "animals": 1, "cameras": 3, "conclusion": "identical", "bit_for_bit": True}
    other = session | {"in_space": False, "animals": 2, "conclusion": "NOT identical", "bit_for_bit": False}
    figures: dict[str, Any] = {
        "machine": {"cpu": "a processor", "cores_usable": 2, "features": []},
        "settings": {"precision": "float32", "budget": 50.0, "trial": 5.0},
        "latency": [cell, none],
        "replays": [session | counts, other | counts],
    }
    assert "; float32. A rate holds" in program.text(figures)
    figures["settings"]["precision"], cell["precision"] = "auto", "bf16"
    assert "; bf16. A rate holds" in program.text(figures), "what was chosen"
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in program.text(figures).splitlines()]
    assert [
        "1",
        "2",
        "in space",
        "41.2",
        "60.0",
        "1,234",
        "5.25",
        "9.50",
        "0",
        "1,234",
        "5.25",
        "11.00",
    ] in rows
    assert ["4", "4", "in the plane", "-", "3.0", *"----", *"---"] in rows
    assert ["all", "", "", "2", "1", "1", "1,800", "1,800", "1,760", "14", "10"] in rows
    assert ["in space", "1", "3", "1", "1", "1", "900", "900", "880", "7", "5"] in rows
