"""Evaluation of a package on drawn discs: labels, a film, the CSVs and the page."""

from __future__ import annotations

import csv
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from support.disc_videos import AT_FIRST, write_disc_video
from support.html_page import NASTY, check_escaped, check_page
from support.tiny_package import disc_frame, make_tiny_package

from rt_pose.errors import UserError
from rt_pose.package import read_package
from train.data.labels import read_labels
from train.evaluation.config import EvaluateConfig
from train.evaluation.evaluate import evaluate
from train.evaluation.labeled import sets_of
from train.evaluation.page import page

FRAMES = 16


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> EvaluateConfig:
    """Sixteen labeled frames of the discs, the last of them with a label 30 px off; four validate."""
    root = tmp_path_factory.mktemp("evaluate")
    make_tiny_package(root / "package")
    data = root / "data"
    data.mkdir()
    rows = [["scorer", *["me"] * 8], ["bodyparts", *[f"k{i}" for i in range(4) for _ in "xy"]]]
    rows.append(["coords", *["x", "y"] * 4])
    random = np.random.default_rng(5)
    for i in range(FRAMES):
        xy = AT_FIRST + random.uniform(-15, 15, (4, 2))
        cv2.imwrite(str(data / f"{i}.png"), disc_frame(xy, 320, 256, 1, radius=16.0))
        if i == FRAMES - 1:
            xy[1, 0] += 30
        rows.append([f"{i}.png", *map(str, xy.ravel())])
    split = [["image", "split"], *[[f"{i}.png", "train" if i < 12 else "val"] for i in range(FRAMES)]]
    for name, table in (("CollectedData.csv", rows), ("split.csv", split)):
        with (data / name).open("w", newline="") as file:
            csv.writer(file).writerows(table)
    write_disc_video(root / "films" / "discs.avi", frames=30)
    return EvaluateConfig(
        str(root / "package"),
        str(data),
        str(root / "out"),
        videos=str(root / "films"),
        views=["k0=k1", "k2=k3"],
        jitter_frames=5,
        worst=3,
    )


@pytest.fixture(scope="module")
def out(config: EvaluateConfig) -> Path:
    evaluate(config)
    return Path(config.out)


def _rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_errors_are_distances_to_the_labels_of_each_set(out: Path) -> None:
    labels = json.loads((out / "evaluation.json").read_text())["labels"]
    validation = labels["validation"]["pixel_error"]
    assert (labels["train"]["frames"], labels["validation"]["frames"], validation["n"]) == (12, 4, 16)
    assert validation["median_px"] < 3
    assert validation["pck"]["20"] == 15 / 16
    assert validation["per_keypoint"]["k1"]["pck"]["20"] == 3 / 4
    table = _rows(out / "predictions_pixel_error.csv")
    assert table[0] == ["", "k0", "k1", "k2", "k3", "set"]
    assert [row[-1] for row in table[1:]] == ["train"] * 12 + ["validation"] * 4
    assert float(table[-1][2]) == pytest.approx(30, abs=4)
    own = np.array([row[1:5] for row in table[13:]], float)
    assert validation["mean_px"] == pytest.approx(own.mean(), abs=1e-4)


def test_the_films_metrics_are_lightning_poses(out: Path) -> None:
    folder = out / "video_preds"
    predictions = np.array([row[1:] for row in _rows(folder / "discs.csv")[3:]], float).reshape(30, 4, 3)
    norm = _rows(folder / "discs_temporal_norm.csv")
    assert norm[0] == ["", "k0", "k1", "k2", "k3"]
    assert norm[1] == ["0", "", "", "", ""]
    expected = np.linalg.norm(np.diff(predictions[..., :2], axis=0), axis=-1)
    np.testing.assert_allclose(np.array([r[1:] for r in norm[2:]], float), expected, atol=2e-5)
    video = json.loads((out / "evaluation.json").read_text())["videos"]["discs.avi"]
    assert video["temporal_norm"]["all"]["n"] == 29 * 4
    assert video["temporal_norm"]["all"]["max_px"] == pytest.approx(38, abs=4)  # they jump back
    assert len(_rows(folder / "discs_pca_singleview_error.csv")) == 31
    assert len(_rows(folder / "discs_pca_multiview_error.csv")) == 31


def test_jitter_names_noise_and_every_other_precision(out: Path) -> None:
    jitter = json.loads((out / "evaluation.json").read_text())["labels"]["validation"]["jitter"]
    assert jitter["noise"]["n"] > 0
    assert 0 < jitter["noise"]["median_px"] <= jitter["noise"]["p95_px"]
    assert "float32" not in jitter


def test_the_confidences_curve_is_reported(out: Path) -> None:
    """A confidence near 1 whatever happens must be seen by who reads figures or page."""
    curve = json.loads((out / "evaluation.json").read_text())["labels"]["validation"]["confidence"]
    assert sum(curve["n"]) == 16
    assert len(curve["claimed"]) == len(curve["found"]) == len(curve["n"])
    assert np.average(curve["found"], weights=curve["n"]) == pytest.approx(15 / 16), "one label is 30 px off"
    assert 0 <= curve["error"] <= 1
    assert "calibration error" in (out / "evaluation.html").read_text()


def test_the_share_of_kept_back_labels_within_the_ellipses_is_told(out: Path) -> None:
    figures = json.loads((out / "evaluation.json").read_text())
    coverage = figures["coverage"]
    assert coverage["n"] == 16
    assert coverage["held"]["0.99"] == figures["labels"]["validation"]["covariance"]["filter"]["held"]["0.99"]
    assert coverage["held"]["0.99"] <= 15 / 16, "one label is 30 px off"
    assert (figures["model"]["calibrated"], figures["model"]["coverage"]) == (False, None)
    text = (out / "evaluation.html").read_text()
    assert "of labels in the 50, 90 and 99 % ellipses" in text
    assert "the package is not calibrated, so they are a guess" in text


def test_the_page_is_whole_and_shows_the_worst_first(out: Path) -> None:
    text = (out / "evaluation.html").read_text()
    check_page(text)
    assert len(re.findall(r'<image [^>]*href="data:image/png;base64,', text)) == 6
    assert text.index("k1, 15.png: ") < text.index("px, confidence")
    for drawn in text.split("<svg")[1:]:
        ET.fromstring("<svg" + drawn.split("</svg>")[0] + "</svg>")


def test_the_page_of_what_could_not_be_measured(out: Path) -> None:
    figures = json.loads((out / "evaluation.json").read_text())
    figures["data"]["folder"] = figures["engine"] = NASTY
    labels, videos = figures["labels"], figures["videos"]
    labels["train"]["pixel_error"]["per_keypoint"][NASTY] = {"n": 0}
    text = page(figures, {"labels": [], "discs.avi": []}, {"discs.avi": {}})
    check_escaped(text)
    for found in labels.values():
        found["pixel_error"] = {"n": 0}
        found["covariance"] = {"network": {"n": 0}}
        found["confidence"] |= {"claimed": [], "found": [], "n": []}
    steps = videos["discs.avi"]["temporal_norm"]
    steps["all"] = steps["sure"] = {"n": 0}
    text = page(figures, {"labels": [], "discs.avi": []}, {"discs.avi": {"temporal_norm": np.zeros((0, 4))}})
    check_escaped(text)
    assert "Temporal norm, sure</td><td>not measured" in text
    assert "median error" not in text


def test_what_cannot_be_evaluated_is_refused(config: EvaluateConfig, tmp_path: Path) -> None:
    fresh = replace(config, out=str(tmp_path / "out"))
    cases: list[tuple[dict[str, object], str]] = [
        ({"views": ["k0=k9"]}, "no keypoint 'k9'"),
        ({"videos": str(tmp_path / "none")}, "no such file or folder"),
        ({"within_px": [0.0]}, "within_px: expected distances of more than 0"),
        ({"worst": 0}, "worst: expected at least 1"),
        ({"views": ["k0=k1", "k1=k2=k3"]}, "same number of views"),
    ]
    for changes, expected in cases:
        with pytest.raises(UserError, match=expected):
            evaluate(replace(fresh, **changes))  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_the_split_of_a_training_names_no_file_that_is_not_there(
    config: EvaluateConfig, tmp_path: Path
) -> None:
    frames = read_labels(Path(config.data), "", "gray")
    manifest = read_package(config.model).manifest
    manifest.training |= {
        "trained_on": frames.names[:12], "kept_back": frames.names[12:], "split": "as split.csv says"
    }  # fmt: skip
    there = sets_of(frames, Path(config.data), manifest)
    assert there.how == "as split.csv says"
    elsewhere = sets_of(frames, tmp_path, manifest)
    assert elsewhere.names == there.names
    assert elsewhere.how.startswith("as in the training (")
    assert "this folder has no split.csv" in elsewhere.how


def test_a_training_of_several_folders_knows_its_frames_in_one_of_them(config: EvaluateConfig) -> None:
    frames = read_labels(Path(config.data), "", "gray")
    manifest = read_package(config.model).manifest
    manifest.training |= {
        "dataset": "data + other",
        "datasets": ["data", "other"],
        "trained_on": [f"data/{name}" for name in frames.names[:12]] + ["other/0.png"],
        "kept_back": [f"data/{name}" for name in frames.names[12:]],
        "split": "drawn",
    }
    sets = sets_of(frames, Path(config.data), manifest)
    assert sets.names == ["train"] * 12 + ["validation"] * 4
