"""Whether a disk takes a session: its free space, and how fast it writes."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rt_pose.clock import NS_PER_S, Clock
from rt_pose.config.schema import RunConfig
from rt_pose.errors import UserError
from rt_pose.files import MIB

TRIAL_MIB, TRIAL_S = 8, 0.5
"""How much is written to measure the rate, and for how long at most."""
FILM_SHARE = 0.01
"""A film takes at least this share of its raw pixels; noisy scenes take ten times as much."""
LOG_BYTES_A_FRAME = 3000
TRIGGERED_HZ = 30.0
"""Taken for the rate of a camera that is triggered from outside."""


def write_rate_mib_s(folder: Path, clock: Clock) -> float:
    """Measure how fast a folder's disk takes data for good; nothing is left behind.

    Parameters
    ----------
    folder
        The folder; the nearest one above it where it is not made yet.
    clock
        Times the writing.

    Returns
    -------
    float
        MiB/s, each MiB forced to the disk.

    Raises
    ------
    UserError
        Where nothing can be written.
    """
    there = existing(folder)
    chunk, written, begin_ns = os.urandom(MIB), 0, clock.now_ns()
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            while written < TRIAL_MIB and clock.now_ns() - begin_ns < TRIAL_S * NS_PER_S:
                file.write(chunk)
                file.flush()
                os.fsync(file.fileno())
                written += 1
    except OSError as error:
        raise UserError(
            f"session {folder}: cannot write into {there}: {error.strerror}; give another --out"
        ) from error
    return written * NS_PER_S / max(1, clock.now_ns() - begin_ns)


def needed_mib_s(config: RunConfig, cameras: Mapping[str, Mapping[str, Any]]) -> float:
    """Estimate what a session writes at least.

    Parameters
    ----------
    config
        The run.
    cameras
        What each opened camera delivers, as in `session.json`.

    Returns
    -------
    float
        MiB/s.
    """
    total = 0.0
    for camera in cameras.values():
        raw = camera["width"] * camera["height"] * camera["channels"]
        film = raw * FILM_SHARE if config.record.video else 0.0
        total += (camera["rate_hz"] or TRIGGERED_HZ) * (film + LOG_BYTES_A_FRAME)
    return total / MIB


def check_disk(
    out: Path,
    config: RunConfig,
    cameras: Mapping[str, Mapping[str, Any]],
    clock: Clock,
    known_mib_s: float = 0.0,
) -> None:
    """Check that a disk keeps up with a session, and has room for it.

    Parameters
    ----------
    out
        The session's folder.
    config
        The run.
    cameras
        What each opened camera delivers, as in `session.json`.
    clock
        Times the writing.
    known_mib_s
        A rate that was measured while other things went on: where it is too low, it is measured again.

    Raises
    ------
    UserError
        Where it does not.
    """
    needed, there = needed_mib_s(config, cameras), existing(out)
    rate = known_mib_s if known_mib_s >= needed else write_rate_mib_s(out, clock)
    if rate < needed:
        raise UserError(
            f"session {out}: the disk of {there} takes {rate:.1f} MiB/s, and a session of these cameras "
            f"writes {needed:.1f} MiB/s or more; give an --out on another disk, or `--record.video false`"
        )
    free, wanted = shutil.disk_usage(there).free / MIB, needed * (config.seconds or 0.0)
    if free < wanted:
        raise UserError(
            f"session {out}: {config.seconds:g} s of these cameras take {wanted:.0f} MiB or more, "
            f"{free:.0f} MiB are free in {there}; make room, give an --out on another disk, or "
            "`--record.video false`"
        )


def existing(folder: Path) -> Path:
    """Find the folder that is there already, of one and those above it.

    Parameters
    ----------
    folder
        The folder.

    Returns
    -------
    Path
        The nearest that exists.
    """
    return next(place for place in (folder, *folder.absolute().parents) if place.exists())
