"""A package of several animals: its engine, its golden frames, its manifest, and a predicted table."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from support.several_package import TWO, animals_frame, make_animals_video, make_several_package

from rt_pose.cli.main import main
from rt_pose.config.schema import EngineConfig
from rt_pose.errors import UserError
from rt_pose.inference.choose_engine import choose_engine
from rt_pose.inference.decode import Keypoints
from rt_pose.offline.animal_rows import AnimalRows
from rt_pose.offline.predict import predict_video
from rt_pose.offline.prediction_files import read_predictions
from rt_pose.package import MANIFEST, SCHEMA_SEVERAL, Package, golden_check, read_package
from rt_pose.package.manifest_check import manifest_faults
from rt_pose.types import FloatArray
from rt_pose.video import probe

FLOAT32 = EngineConfig(precision="float32", threads=1, preprocess="compiled")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return make_several_package(tmp_path_factory.mktemp("several"))


def test_its_schema_is_one_that_earlier_readers_refuse(package: Package) -> None:
    plain = json.loads((package.path / MANIFEST).read_text())
    assert (plain["schema"], plain["individuals"]) == (SCHEMA_SEVERAL, 2)
    assert package.golden.xy.shape == (2, 2, 2, 2)
    assert np.isnan(package.golden.xy[1, 1]).all()
    for change, fault in (
        ({"individuals": 1}, "individuals: expected 2 or more with the decoder centre_offsets, got 1"),
        ({"individuals": 17}, "individuals: expected 1 to 16, got 17"),
        ({"decode": plain["decode"] | {"offset_scale": 0.0}}, "decode.offset_scale: expected above 0"),
        ({"decode": plain["decode"] | {"activation": "none"}}, "decode.activation: expected softmax"),
        ({"decode": plain["decode"] | {"offset_px": 1.0}}, "decode.offset_px: expected none"),
        (
            {"decode": plain["decode"] | {"decoder": "argmax"}},
            "individuals: expected 1 with the decoder argmax",
        ),
    ):
        assert any(line.startswith(fault) for line in manifest_faults(plain | change)), fault
    assert not list(manifest_faults(plain))


def test_it_runs_only_where_several_are_asked_for(package: Package) -> None:
    with pytest.raises(UserError, match=r"finds several animals in a frame \(up to 2 in training\)"):
        choose_engine(package, FLOAT32)
    for detections in (1, 2, 4):
        choice = choose_engine(package, FLOAT32, detections)
        assert choice.golden_px < 0.05
        found = choice.estimator.estimate(animals_frame(TWO))
        assert found.xy.shape == (1, detections, 2, 2)
        assert found.cov.shape == (1, detections, 2, 2, 2)
        held = found.xy[0, : min(detections, 2)]
        nearest = [int(np.abs(TWO - own).max(axis=(1, 2)).argmin()) for own in held]
        assert len(set(nearest)) == len(held)
        np.testing.assert_allclose(held, TWO[nearest], atol=1.0)
        assert np.isnan(found.xy[0, 2:]).all()
        assert not found.confidence[0, 2:].any()
    assert found.confidence[0, :2].min() > 0.5


def test_the_golden_check_minds_no_order_but_every_animal(package: Package) -> None:
    xy, confidence = package.golden.xy, package.golden.confidence
    assert golden_check(package, "float32", lambda _: (xy[:, ::-1], confidence[:, ::-1])) == 0.0
    moved = xy.copy()
    moved[0, 0, 1] += 0.2
    with pytest.raises(UserError, match=r"moves the golden keypoints by 0\.283 px"):
        golden_check(package, "float32", lambda _: (moved, confidence))
    missed = xy.copy()
    missed[0, 0] = np.nan
    with pytest.raises(UserError, match="by inf px"):
        golden_check(package, "float32", lambda _: (missed, confidence))


def test_golden_keypoints_that_are_not_there_have_no_confidence(package: Package, tmp_path: Path) -> None:
    from rt_pose.package import GOLDEN, file_sha256, write_manifest

    folder = tmp_path / "package"
    folder.mkdir()
    for name in (MANIFEST, *package.manifest.files):
        (folder / name).write_bytes((package.path / name).read_bytes())
    golden = package.golden
    wrong = np.where(golden.confidence == 0, 0.9, golden.confidence)
    np.savez(folder / GOLDEN, frames=golden.frames, xy=golden.xy, confidence=wrong)
    manifest = read_package(package.path).manifest
    manifest.files[GOLDEN] = file_sha256(folder / GOLDEN)
    with pytest.raises(UserError, match="holds keypoints that are not finite"):
        write_manifest(folder, manifest)


def test_a_predicted_table_has_a_row_of_individuals_which_keep_their_columns(
    package: Package, tmp_path: Path
) -> None:
    steps = np.arange(4)[:, None, None, None] * 4.0
    tracks = np.broadcast_to(TWO, (4, 2, 2, 2)) + steps * np.array([1.0, 0.0])
    tracks[2, 0] = np.nan
    video = make_animals_video(tmp_path / "two.avi", tracks)
    out = tmp_path / "two.csv"
    predict_video(package, video, out, FLOAT32, tmp_path / "two_covariance.csv")
    rows = list(csv.reader(out.read_text().splitlines()))
    assert [row[0] for row in rows[:4]] == ["scorer", "individuals", "bodyparts", "coords"]
    assert rows[1][1:] == [*["individual0"] * 6, *["individual1"] * 6]
    assert rows[2][1:] == [*["k0"] * 3, *["k1"] * 3] * 2
    values = np.array([[float(cell or "nan") for cell in row[1:]] for row in rows[4:]]).reshape(4, 2, 2, 3)
    first = int(abs(values[0, 0, 0, 0] - TWO[0, 0, 0]) > 10)  # either may come first
    expected = tracks[:, ::-1] if first else tracks
    np.testing.assert_allclose(values[..., :2], expected, atol=1.5)
    assert np.isnan(values[2, first]).all()
    covariances = list(csv.reader((tmp_path / "two_covariance.csv").read_text().splitlines()))
    assert covariances[1] == ["individuals", *["individual0"] * 6, *["individual1"] * 6]
    assert len(covariances) == 8
    again = read_predictions(out, several=True)
    assert (again.individuals, again.keypoints) == (["individual0", "individual1"], ["k0", "k1"])
    np.testing.assert_allclose(again.xy, values[..., :2], atol=1e-6)
    np.testing.assert_allclose(again.likelihood, values[..., 2], atol=1e-6)
    with pytest.raises(UserError, match="row 2 names 2 individuals"):
        read_predictions(out)
    predict_video(package, video, out, FLOAT32, individuals=3)
    assert out.read_text().splitlines()[1].count("individual2") == 6
    with pytest.raises(UserError, match="--individuals: expected 1 to 16 animals, got 99"):
        predict_video(package, video, out, FLOAT32, individuals=99)


def test_rows_are_kept_by_nearness_and_a_newcomer_takes_a_row_of_nobody() -> None:
    def frame(*animals: float) -> Keypoints[FloatArray]:
        xy = np.full((3, 1, 2), np.nan)
        xy[: len(animals), 0] = np.array(animals)[:, None]
        return Keypoints(xy, np.zeros((3, 1, 2, 2)), np.isfinite(xy[..., 0]).astype(float))

    keep = AnimalRows(3, 1)
    told = [
        keep(frame(*animals)).xy[:, 0, 0]
        for animals in ((10.0, 50.0), (51.0, 11.0), (49.0,), (90.0, 48.0, 12.0))
    ]
    np.testing.assert_array_equal(
        told, [[10, 50, np.nan], [11, 51, np.nan], [np.nan, 49, np.nan], [12, 48, 90]]
    )


def test_animals_of_a_recording_are_calibrated_each_by_itself(package: Package, tmp_path: Path) -> None:
    from train.calibrate import _bias, _Labels, _predict_recording
    from train.data.labels import LabeledFrames

    tracks = np.broadcast_to(TWO, (3, 2, 2, 2)) + np.arange(3)[:, None, None, None] * [4.0, 0.0]
    video = make_animals_video(tmp_path / "two.avi", tracks)
    estimator = choose_engine(package, FLOAT32, 2).estimator
    recorded = _predict_recording(estimator, probe(video), package.manifest, 3)
    assert [own.xy.shape for own in recorded] == [(3, 2, 2)] * 2
    found = sorted((own.xy for own in recorded), key=lambda xy: xy[0, 0, 0])
    np.testing.assert_allclose(found, tracks.swapaxes(0, 1), atol=1.5)
    images = [animals_frame(animals) for animals in tracks]
    frames = LabeledFrames(
        ["a", "b", "c"], images, tracks[:, ::-1], np.full((3, 2, 2), 2, np.uint8), ["k0", "k1"]
    )
    bias, how, coverage = _bias(estimator, _Labels(frames, "labels", "all"), package.manifest.tracking)
    assert np.shape(bias) == (2, 2, 2)
    assert how.startswith("12 labels")
    assert coverage.n == 12


def test_many_videos_become_tables_alone_and_what_is_of_one_animal_is_refused(
    package: Package, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = make_animals_video(tmp_path / "two.avi", TWO[None].repeat(2, axis=0))
    out = tmp_path / "tables"
    words = ["predict", "--model", str(package.path), "--engine.precision", "float32", "--out", str(out)]
    assert main([*words, "--videos", str(video)]) == 0
    (table,) = out.glob("*.csv")
    assert table.read_text().splitlines()[1].startswith("individuals,individual0,")
    for more, told in (
        (["--videos", str(video), "--individuals", "3"], "--individuals with --videos"),
        (["--video", str(video), "--parquet"], "--parquet: not for a package that finds several animals"),
    ):
        assert main([*words, *more]) == 2
        assert told in capsys.readouterr().err
