"""Steps that take minutes to hours: each is done once, alone on the machine, and kept with its settings."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.program import say
from rt_pose.clock import NS_PER_S, HostClock
from rt_pose.errors import UserError
from rt_pose.files import write_atomic
from train import PASSIVE_THREADS

RESULT, LOCK = "result.json", "lock"


@contextmanager
def alone(work: Path) -> Iterator[None]:
    """Keep every other part of the same folder from running within it.

    Parameters
    ----------
    work
        The folder of all parts; it is made where it does not exist.

    Yields
    ------
    None

    Raises
    ------
    UserError
        Where another part is running.
    """
    work.mkdir(parents=True, exist_ok=True)
    with (work / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"--work {work}: another part is running in it; wait for its end") from None
        yield


def once(
    folder: Path, settings: dict[str, Any], do: Callable[[], dict[str, Any]], *, redo: bool = False
) -> dict[str, Any]:
    """Do a step that has not been done; what it found is kept in its folder.

    Parameters
    ----------
    folder
        The step's folder.
    settings
        What the result depends on, for JSON.
    do
        Does it; returns figures, for JSON.
    redo
        Whether it is done again even so.

    Returns
    -------
    dict[str, Any]
        The figures, with `settings` and the seconds that it took, `step_s`.

    Raises
    ------
    UserError
        Where it was done under other settings.
    """
    found = result_of(folder)
    if found is not None and not redo:
        check_settings(folder, found["settings"], settings)
        say(f"{folder.name}: done before")
        return found
    folder.mkdir(parents=True, exist_ok=True)
    clock = HostClock()
    start = clock.now_ns()
    figures = do()
    figures |= {"settings": settings, "step_s": round((clock.now_ns() - start) / NS_PER_S, 1)}
    write_atomic(folder / RESULT, json.dumps(figures, indent=1) + "\n")
    say(f"{folder.name}: done, {figures['step_s']:.0f} s")
    return figures


def result_of(folder: Path) -> dict[str, Any] | None:
    """Read what a step found.

    Parameters
    ----------
    folder
        The step's folder.

    Returns
    -------
    dict[str, Any] or None
        None where it has not been done.
    """
    path = folder / RESULT
    return dict(json.loads(path.read_bytes())) if path.is_file() else None


def check_settings(folder: Path, there: dict[str, Any], here: dict[str, Any]) -> None:
    """Check that a step was done under the settings that are asked for now.

    Parameters
    ----------
    folder
        The step's folder.
    there, here
        Settings of the result, and those of now.

    Raises
    ------
    UserError
        Where they differ.
    """
    differ = [key for key in sorted({*there, *here}) if there.get(key) != here.get(key)]
    if differ:
        changes = "; ".join(f"{key}: {there.get(key)} -> {here.get(key)}" for key in differ)
        raise UserError(
            f"{folder}: done under other settings ({changes}); ask for those, give another --work, or delete "
            "the folder"
        )


def worker_command(python: Path, worker: Path, words: Sequence[Any]) -> list[str]:
    """Make the command that starts a worker in another program's Python.

    Parameters
    ----------
    python
        That Python.
    worker
        The worker's file.
    words
        Its words; paths become absolute.

    Returns
    -------
    list[str]
        The command.
    """
    absolute = [str(word.absolute()) if isinstance(word, Path) else str(word) for word in words]
    return [str(python), str(worker), *absolute]


def call(command: Sequence[str], log: Path, environment: dict[str, str] | None = None) -> None:
    """Run a program of another environment, its output in a file.

    Parameters
    ----------
    command
        Its Python, and the arguments.
    log
        The file.
    environment
        Variables beside those that it inherits.

    Raises
    ------
    UserError
        Where its Python is not there, or it fails; with its last line.
    """
    if not Path(command[0]).is_file():
        raise UserError(f"{command[0]}: no such Python; make it with `--part setup`")
    ours = PASSIVE_THREADS.items()  # it waits as it does by itself
    inherited = {name: value for name, value in os.environ.items() if (name, value) not in ours}
    with log.open("wb") as out:
        code = subprocess.run(
            list(command),
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=inherited | (environment or {}),
            check=False,
        ).returncode
    if code:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        raise UserError(f"{log}: the program ended with {code}: {lines[-1].strip() if lines else 'no word'}")
