"""The examples of an own camera and an own output: installed by pip, found by their entry points, and through
the contract suites."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rt_pose.drivers.registry import _CAMERAS, _OUTPUTS

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
OWN = [EXAMPLES / "own_camera", EXAMPLES / "own_output"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the examples, as pip installs them."""
    target = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    builds = [target / f"source of {example.name}" for example in OWN]
    for example, build in zip(OWN, builds, strict=True):
        build.mkdir()
        for path in example.iterdir():
            if path.is_file():
                (build / path.name).write_bytes(path.read_bytes())
    done = subprocess.run(
        [*pip, "--target", str(target), *map(str, builds)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return target


def run(installed: Path, *argv: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(installed), *sys.path])}
    return subprocess.run(
        [sys.executable, *argv], capture_output=True, text=True, env=env, cwd=cwd, timeout=110, check=False
    )


def test_devices_lists_them(installed: Path, tmp_path: Path) -> None:
    done = run(installed, "-m", "rt_pose.cli", "devices", cwd=tmp_path)
    assert "a spot that circles" in done.stdout, done.stderr
    assert "rows in a file" in done.stdout, done.stderr


def test_they_pass_the_suites_from_their_own_folders(installed: Path, tmp_path: Path) -> None:
    options = ["-q", "-p", "no:cacheprovider", "--import-mode=importlib", "--rootdir", str(EXAMPLES)]
    done = run(installed, "-m", "pytest", *options, "-c", os.devnull, *map(str, OWN), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout


def test_without_them_there_are_no_such_drivers() -> None:
    assert "spot" not in _CAMERAS
    assert "table" not in _OUTPUTS
