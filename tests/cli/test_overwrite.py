"""No verb writes over what it reads, or over what rt-pose has not made, without `--overwrite`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest
from support.clip import write_clip
from support.tiny_package import make_tiny_package

from rt_pose.cli.main import VERBS, main, parser_of

TABLE = "scorer,someone,someone,someone\nbodyparts,nose,nose,nose\ncoords,x,y,likelihood\n0,1,2,0.9\n"
RUN = "cameras: {top: {driver: simulated}}\n"
WRITES = {
    "predict",
    "smooth",
    "rules check",
    "rig scale",
    "rig aim-calibrate",
    "rig calibrate-cameras",
    "triangulate",
    "report",
    "export",
    "align",
    "train show-augmented",
    "train evaluate",
    "bench latency",
    "bench triggers",
    "import onnx",
    "import dlc",
    "import sleap",
}
CAREFUL = {
    "run",
    "demo",
    "label",
    "improve",
    "configs",
    "rig check",
    "rig loopback",
    "keys",
    "train fit",
    "train distill",
    "train calibrate",
    "train quantise",
}
"""Verbs with an `--out` that never replace a file of others: they refuse it, or go on from it."""


def test_every_verb_that_writes_what_the_user_names_has_the_option() -> None:
    for verb in VERBS:
        options = parser_of(verb).options()
        assert ("--overwrite" in options) == (verb in WRITES), verb
        if options & {"--out", "--json", "--to"} and verb != "doctor":
            assert verb in WRITES | CAREFUL, verb


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command line that must not replace `kept`; what it said."""

    def run(kept: Path, *argv: str) -> str:
        before = kept.read_bytes()
        assert main(argv) == 2
        assert kept.read_bytes() == before
        return capsys.readouterr().err

    return run


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("package") / "package"
    make_tiny_package(path, keypoints=3)
    return path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "clip.avi", frames=5, rate_hz=50)


def test_predict(refused: Callable[..., str], package: Path, clip: Path, tmp_path: Path) -> None:
    words = ["predict", "--model", str(package), "--video", str(clip), "--out"]
    assert "is what the command reads" in refused(clip, *words, str(clip), "--overwrite")
    labels = tmp_path / "labels.csv"
    labels.write_text(TABLE)
    assert "not as a result of this command" in refused(labels, *words, str(labels))
    assert main([*words, str(labels), "--overwrite"]) == 0
    assert main([*words, str(labels)]) == 0, "its own earlier result"
    beside = clip.with_suffix(".csv")
    beside.write_text(TABLE)
    many = ["predict", "--model", str(package), "--videos", str(clip), "--out", str(tmp_path)]
    assert "not as a result" in refused(beside, *many)
    beside.unlink()
    notes = tmp_path / "failures.txt"
    notes.write_text("mine")
    assert "not as a result" in refused(notes, *many)


def test_smooth(refused: Callable[..., str], tmp_path: Path) -> None:
    tables = [tmp_path / f"{name}.csv" for name in "ab"]
    for table in tables:
        table.write_text(TABLE)
    words = ["smooth", *map(str, tables), "--out"]
    assert "is what the command reads" in refused(tables[1], *words, str(tables[1]), "--overwrite")
    notes = tmp_path / "notes.csv"
    notes.write_text("mine")
    assert "not as a result" in refused(notes, *words, str(notes))


def test_rules_check(refused: Callable[..., str], clip: Path, tmp_path: Path) -> None:
    config = tmp_path / "run.yaml"
    config.write_text(RUN)
    words = ["rules", "check", str(config), "--video", str(clip), "--out"]
    assert "is what the command reads" in refused(clip, *words, str(clip), "--overwrite")
    assert "is what the command reads" in refused(config, *words, str(config), "--overwrite")
    picture = tmp_path / "mine.png"
    picture.write_bytes(b"picture")
    assert "not as a result" in refused(picture, *words, str(picture))
    assert main([*words, str(picture), "--overwrite"]) == 0
    assert main([*words, str(picture)]) == 0, "its own earlier result"
    assert cv2.imread(str(picture)) is not None


def test_bench(refused: Callable[..., str], package: Path, clip: Path, tmp_path: Path) -> None:
    words = ["bench", "latency", "--model", str(package), "--video", str(clip)]
    assert "--json" in refused(clip, *words, "--json", str(clip), "--overwrite")
    page = tmp_path / "latency.html"
    page.write_text("mine")
    assert "not as a result" in refused(page, *words, "--out", str(tmp_path))


def test_import(refused: Callable[..., str], package: Path, clip: Path, tmp_path: Path) -> None:
    own = tmp_path / "mine"
    own.mkdir()
    network, spec = own / "network.onnx", tmp_path / "spec.yaml"
    shutil.copy(package / "network.onnx", network)
    spec.write_text("keypoints: [a]\n")
    words = ["import", "onnx", str(network), "--spec", str(spec), "--frames", str(clip), "--out", str(own)]
    assert "is what the command reads" in refused(network, *words, "--overwrite")


def test_train(refused: Callable[..., str], package: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    sheet.write_bytes(b"picture")
    words = ["train", "show-augmented", "--data", str(tmp_path), "--out", str(sheet)]
    assert "not as a result" in refused(sheet, *words)
    labels = tmp_path / "predictions.csv"
    labels.write_text(TABLE)
    words = ["train", "evaluate", "--model", str(package), "--data", str(tmp_path), "--out", str(tmp_path)]
    assert "not as a result" in refused(labels, *words)


def test_configs_copy(refused: Callable[..., str], tmp_path: Path) -> None:
    mine = tmp_path / "video.yaml"
    mine.write_text("mine")
    assert "exists already" in refused(mine, "configs", "copy", "video", "--out", str(mine))
