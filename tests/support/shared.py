"""What is made once a test run, by whichever worker needs it first: read only, or copied."""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

PLACE = "RT_POSE_TEST_SHARED"
"""The environment variable that names the folder to the workers."""


def shared_folder() -> Path:
    """The folder of this test run; it goes with the process that asked for it first."""
    if PLACE not in os.environ:
        os.environ[PLACE] = tempfile.mkdtemp(prefix="rt-pose-test-shared-")
        atexit.register(shutil.rmtree, os.environ[PLACE], ignore_errors=True)
    return Path(os.environ[PLACE])


def made_once(name: str, make: Callable[[Path], object]) -> Path:
    """The folder `name`, filled by `make` where nobody has filled it yet."""
    folder, done = shared_folder() / name, shared_folder() / f"{name}.done"
    with (shared_folder() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            make(folder)
            done.touch()
    return folder
