"""Room on the disk: looked at before training, and what a full disk raises in its midst, told in words."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rt_pose.errors import UserError

MIB = 2**20
STATES = 3
"""What a checkpoint holds: each weight and Adam's two moments of it."""
CHECKPOINTS = 3
"""The best, the last, and one that is being written beside them."""
NETWORKS = 8
"""Times the weights are written to a package, and to the folder in which it is made."""
LOGS = 8 * MIB
"""Pictures and losses for TensorBoard, golden frames."""
_REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def make_folder(out: Path) -> None:
    """Make a training's folder; UserError where it cannot be made or written to."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise UserError(
            f"out: cannot write to the folder {out}: {error.strerror}; give another --out"
        ) from error


def check_disk(out: Path, weights: int) -> None:
    """UserError where checkpoints, package and logs of a network of so many bytes have no room in `out`."""
    need = (CHECKPOINTS * STATES + NETWORKS) * weights + LOGS
    replaced = sum(file.stat().st_size for file in out.glob("checkpoints/*.ckpt"))
    free = shutil.disk_usage(out).free
    if free + replaced < need:
        raise UserError(
            f"out: about {need / MIB:.0f} MiB are needed for checkpoints, package and logs in {out}, "
            f"{(free + replaced) / MIB:.0f} MiB are free there; make room or give another --out"
        )


@contextmanager
def explain_full_disk(out: Path, last: Path, resumable: Callable[[], bool]) -> Iterator[None]:
    """Within it a disk that refuses to take more raises a UserError that says how to go on.

    `resumable`: whether the training can, from the checkpoint `last`. Libraries that write in their own way
    raise a RuntimeError.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:
        full = isinstance(error, OSError) and error.errno in _REFUSALS
        if not full and shutil.disk_usage(out).free >= MIB:
            raise
        then = (
            f"{last} is intact: make room, then resume with `--resume true`" if resumable() else "make room"
        )
        raise UserError(f"out: the disk of {out} is full; {then}") from error
