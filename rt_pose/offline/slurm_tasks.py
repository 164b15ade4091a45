"""Tasks of SLURM that were submitted: which videos each has, and which are not over.

What is over is asked of the queue, not of the accounting, which many small clusters have not set up: there a
task that was killed would seem to run for ever.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from rt_pose.errors import UserError
from rt_pose.files import write_atomic

FILE = "submitted.json"
ANSWER_S = 60.0
"""So long is waited for an answer of the queue."""


@dataclass
class SubmittedTasks:
    """The file .jobs/submitted.json."""

    package: str
    """sha256 of the model package."""
    tables: dict[str, list[str]] = field(default_factory=dict)
    """Paths of the tables that each task writes, by the task's id."""


def queue_states() -> dict[str, str] | None:
    """Ask SLURM for the states of this user's tasks that are not over.

    Returns
    -------
    dict[str, str] or None
        PENDING, RUNNING, COMPLETING and so on, by the task's id; None where it does not answer.
    """
    command = ["squeue", "--noheader", "--array", f"--user={os.getuid()}", "--format=%i %T"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_S, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    lines = (line.split() for line in done.stdout.splitlines())
    return {words[0]: words[1] for words in lines if len(words) == 2}


def write_submitted(folder: Path, tasks: SubmittedTasks) -> None:
    """Note which tasks were submitted.

    Parameters
    ----------
    folder
        Folder of the tasks' logs.
    tasks
        The tasks.
    """
    write_atomic(folder / FILE, msgspec.json.encode(tasks).decode() + "\n")


def tasks_under_way(folder: Path, package: str) -> dict[str, list[str]]:
    """Find tasks that an earlier run has submitted and that are not over.

    Parameters
    ----------
    folder
        Folder of the tasks' logs.
    package
        sha256 of the model package.

    Returns
    -------
    dict[str, list[str]]
        Paths of the tables that each writes, by the task's id.

    Raises
    ------
    UserError
        Where the queue does not answer, or the tasks are of another package.
    """
    try:
        tasks = msgspec.json.decode((folder / FILE).read_bytes(), type=SubmittedTasks)
    except (OSError, msgspec.DecodeError):
        return {}
    states = queue_states()
    if states is None:
        raise UserError("cluster.where: slurm: `squeue` does not answer; try again when the cluster is up")
    left = {task: tables for task, tables in tasks.tables.items() if task in states}
    if left and tasks.package != package:
        arrays = " ".join(sorted({task.partition("_")[0] for task in left}))
        raise UserError(
            f"cluster.where: slurm: {len(left)} tasks of another package are queued or running for this "
            f"--out; wait for them, or end them with `scancel {arrays}`"
        )
    return left
