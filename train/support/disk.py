"""Room on the disk: checked before training; a disk that fills up during one raises an error that says so."""

from __future__ import annotations

import errno
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rt_pose.errors import UserError
from rt_pose.files import check_folder

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
    """Make a training's folder.

    Parameters
    ----------
    out
        The folder.

    Raises
    ------
    UserError
        Where it cannot be made or written to.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise UserError(
            f"out: cannot write to the folder {out}: {error.strerror}; give another --out"
        ) from error


def check_start(out: Path) -> None:
    """Check that a training could be written, before anything is read or made.

    Parameters
    ----------
    out
        Its folder, which need not exist yet.

    Raises
    ------
    UserError
        Where it cannot be made or written to, or has too little room.
    """
    check_folder(out, LOGS / MIB)


def check_disk(out: Path, weights: int) -> None:
    """Check that checkpoints, package and logs have room.

    Parameters
    ----------
    out
        The training's folder; checkpoints that lie there will be replaced.
    weights
        Size of the network's weights, bytes.

    Raises
    ------
    UserError
        Where there is too little room.
    """
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
    """Turn a disk that fills up, within the context, into an error that says how to continue.

    Parameters
    ----------
    out
        The training's folder.
    last
        Its last checkpoint.
    resumable
        Returns whether the training can be resumed from `last`.

    Raises
    ------
    UserError
        Where the disk refuses to take more. Libraries that write in their own way raise a RuntimeError.
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
