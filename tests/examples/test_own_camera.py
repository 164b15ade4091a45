"""The example of an own camera: installed by pip, found by its entry point, and through the contract
suite."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rt_pose.drivers.registry import _CAMERAS

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "own_camera"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the example, as pip installs it."""
    target = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    build = target / "source"
    build.mkdir()
    for path in EXAMPLE.iterdir():
        if path.is_file():
            (build / path.name).write_bytes(path.read_bytes())
    done = subprocess.run(
        [*pip, "--target", str(target), str(build)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return target


def run(installed: Path, *argv: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(installed), *sys.path])}
    return subprocess.run(
        [sys.executable, *argv], capture_output=True, text=True, env=env, cwd=cwd, timeout=110, check=False
    )


def test_devices_lists_it(installed: Path, tmp_path: Path) -> None:
    done = run(installed, "-m", "rt_pose.cli", "devices", cwd=tmp_path)
    assert "a spot that circles" in done.stdout, done.stderr


def test_it_passes_the_suite_from_its_own_folder(installed: Path, tmp_path: Path) -> None:
    options = ["-q", "-p", "no:cacheprovider", "--import-mode=importlib", "--rootdir", str(EXAMPLE)]
    done = run(installed, "-m", "pytest", *options, "-c", os.devnull, str(EXAMPLE), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "passed" in done.stdout


def test_without_it_there_is_no_such_driver() -> None:
    assert "spot" not in _CAMERAS
