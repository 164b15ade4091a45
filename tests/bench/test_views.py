"""What `bench.views` compares with, and its tables on small recordings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.two_views import write_files

from bench.calibration import make_animal, make_rig
from bench.views import live, loss, program, recorded, simulated
from bench.views.linear import triangulate_linear
from rigs.simulated.options import SimulatedOptions
from rigs.simulated.viewpoint import VIEWS, simulated_calibration
from rt_pose.config.check import check_run
from rt_pose.errors import UserError
from rt_pose.offline import pattern_search
from rt_pose.views.calibration_file import write_calibration
from rt_pose.views.triangulation import triangulate
from train.fitting.check import check


def test_the_linear_solution_is_exact_without_noise() -> None:
    random = np.random.default_rng(2)
    cameras = make_rig(random, 4)
    places = make_animal(random, 6)
    xy = np.stack([camera.project(places) for camera in cameras])
    xy[0, :3] = np.nan
    xy[1:, 0] = np.nan
    found = triangulate_linear(cameras, xy)
    assert np.isnan(found[0]).all()
    np.testing.assert_allclose(found[1:], places[1:], atol=1e-3)
    noisy = xy + random.normal(0, 2, xy.shape)
    ours = triangulate(cameras, noisy.reshape(4, -1, 2)).xyz.reshape(places.shape)
    apart = np.linalg.norm(triangulate_linear(cameras, noisy) - ours, axis=-1)[1:]
    assert 0 < np.median(apart) < 1.0, "mm; they weigh the views differently"


def test_the_tables_of_small_recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pattern_search, "MOST_ROUNDS", 1)
    monkeypatch.setattr(simulated, "FIT_SECONDS", 0.2)
    monkeypatch.setattr(simulated, "MOTIONS", {"walking": simulated.walk})
    monkeypatch.setattr(recorded, "DRAWS", 10)
    random = np.random.default_rng(4)
    cameras = make_rig(random, 3)
    places = simulated.walk(random, 12)
    xy = np.stack([camera.project(places) for camera in cameras])
    poses = write_files(tmp_path, cameras, xy + random.normal(0, 1, xy.shape))
    write_calibration(tmp_path / "rig.toml", cameras, 0.0)
    options = program.Options(poses=poses, calibration=tmp_path / "rig.toml", fps=100.0, seeds=1, seconds=0.6)
    figures = program.measure(options)
    assert [row["views"] for row in figures["simulated"]] == [4, 3, 2]
    assert [(row["views"], row["choices"]) for row in figures["recorded"][:2]] == [(3, 1), (2, 3)]
    assert figures["recorded"][0]["weighted"]["median"]["value"] == 0.0, "the reference itself"
    assert figures["recorded"][2]["smooth"]["median"]["value"] > 0
    for row in figures["simulated"]:
        assert 0 <= row["filtered, 50 %"]["mean"] <= row["filtered, 99 %"]["mean"] <= 1
    text = program.text(figures)
    assert text.count("\n| walking") == 3 * 3 + 3
    assert text.count("\n| as proofread") == text.count("\n| with a network's errors") == 2 * 4
    with pytest.raises(UserError, match="give both --poses and --calibration"):
        program.measure(program.Options(poses=poses))


def test_the_live_runs_are_ones_and_have_tables() -> None:
    for case in live.CASES:
        config = live.live_config(case, "package", 2000, 5.0)
        check_run(config)
        assert len(config.cameras) == len(config.views[live.GROUP].cameras) == case.views
        faults = [
            camera.options["faults"] for camera in config.cameras.values() if "faults" in camera.options
        ]
        assert faults == [case.faults]
    names = [*(f"{name}, mm" for name in ("triangulated", "filtered", *program.PREDICTIONS)), "tracked", "n"]
    names += [f"{region}, {level}" for region in ("filtered", "50 ms ahead") for level in simulated.LEVELS]
    row = {"case": "3 views", "sessions": 2, "counts": {"frames": 1200, "used": 1100, "late": 40}}
    row |= {name: {"mean": 0.5, "half": 0.01} for name in names}
    figures = {"machine": {"cpu": "a processor", "cores_usable": 2, "features": []}, "simulated": []}
    figures |= {"time": {"keypoints": 9, "views": 3, "p50_us": 90.0, "p99_us": 200.0, "n": 100}}
    text = program.text(figures | {"recorded": [], "live": [row], "loss": []})
    assert text.count("| 3 views |") == 3
    assert "reprojection" not in text
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert [cells_of[:4] for cells_of in cells].count(["3 views", "1,200", "1,100", "40"]) == 2


def test_trainings_of_a_round_differ_in_the_loss_alone_and_have_a_table() -> None:
    plain, nothing, ours = (loss.training(20, 3, kind) for kind in (loss.ALONE, *loss.WEIGHTS))
    for config in (plain, nothing, ours):
        check(config)
    assert set(ours.losses) - set(plain.losses) == {"reprojection"}
    assert replace(ours, losses=nothing.losses) == nothing
    assert replace(ours, losses=plain.losses, videos=[], clip_length=plain.clip_length) == plain
    keys = ("median, px", "mean, px", "median, mm", "P90, mm", "placed")
    rows = [
        {"training": name, "rounds": 2, "steps": 20} | {key: {"mean": 0.5, "half": 0.25} for key in keys}
        for name in (loss.ALONE, *loss.WEIGHTS)
    ]
    figures = {"machine": {"cpu": "a processor", "cores_usable": 2, "features": []}, "simulated": []}
    figures |= {"time": {"keypoints": 9, "views": 3, "p50_us": 90.0, "p99_us": 200.0, "n": 100}}
    text = program.text(figures | {"recorded": [], "live": [], "loss": rows})
    assert text.count("0.50 +- 0.25") == 4 * 3
    assert "2 rounds of 20 steps" in text


def test_a_network_is_judged_on_frames_whose_places_are_those_of_all_cameras() -> None:
    seen, truth, places = loss._tested(0, SimulatedOptions(rate_hz=loss.RATE_HZ), animals=1, times=3)
    assert [len(frames) for frames in seen] == [3] * 4
    cameras = simulated_calibration(VIEWS, 320, 256)
    placed = loss._placed(cameras, truth)
    both = np.isfinite(truth).all(axis=-1).sum(axis=0) >= 2
    assert both.mean() > 0.5
    np.testing.assert_allclose(placed[both], places[both], atol=0.01)
