"""Disks of a test's own: full, read-only, or gone. Making them takes root, and the right to mount."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A disk in memory at `folder`, e.g. with `size=1m` or `ro`; the test is skipped where none can be."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        if os.path.ismount(folder):
            subprocess.run(["umount", str(folder)], check=True)


def pull(disk: Path) -> None:
    """Unmount a disk on which files are open: it is gone from its place at once."""
    subprocess.run(["umount", "--lazy", str(disk)], check=True)
