"""How torch's threads wait in a training: as OpenMP itself says it was told when torch loaded it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from train import PASSIVE_THREADS

STOP = """
import sys
class Loaded:
    def find_spec(name, path=None, target=None):
        if name == "torch.nn":
            raise SystemExit
sys.meta_path.insert(0, Loaded)
"""
"""Ends a process as soon as torch has loaded its libraries, OpenMP among them: what follows takes seconds."""
STARTS = {
    "a distillation, and in it a training": "import train.distillation.distill",
    "a worker of the benchmark": "import bench.training.worker",
}


CLEAN = {name: value for name, value in os.environ.items() if name not in PASSIVE_THREADS}


def settings(code: str) -> str:
    """What OpenMP is told in a process that runs `code`."""
    done = subprocess.run(
        [sys.executable, "-c", STOP + code],
        env={**CLEAN, "OMP_DISPLAY_ENV": "VERBOSE"},
        capture_output=True,
        text=True,
        check=True,
    )
    if "GOMP_SPINCOUNT" not in done.stderr:
        pytest.skip("this torch brings another OpenMP than GNU's, which does not say")
    return done.stderr


@pytest.mark.parametrize("code", STARTS.values(), ids=STARTS)
def test_they_sleep(code: str) -> None:
    notes = settings(code)
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in notes
    assert "GOMP_SPINCOUNT = '0'" in notes


def test_an_environment_that_says_otherwise_is_obeyed() -> None:
    code = "import os, train; print(os.environ.get('GOMP_SPINCOUNT'), os.environ.get('OMP_WAIT_POLICY'))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**CLEAN, "GOMP_SPINCOUNT": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["7", "None"]
