"""From command to first decision, and every verb's `--help`: this build beside another, taking turns.

    python -m bench.start --model PACKAGE --video VIDEO [--before TREE] [--starts 10] [--out STEM]

A start is `rt-pose run` as a user types it, a process of its own, timed from just before it is begun to the
decision on its first frame, as the session's log has it. The first start finds an empty cache folder and so
measures whatever there is to measure; the second finds what the first has kept. With --installed, further
starts find nothing compiled either, as after an installation. TREE is the checkout of another build. Which
build begins changes from round to round. Nothing else may run on the machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import numpy as np

from bench.output import conditions, machine_line, markdown_table
from bench.pairs import trees_of
from bench.program import Out, run, say
from rt_pose.clock import NS_PER_S, HostClock
from rt_pose.errors import UserError
from rt_pose.loop.latency import summary
from rt_pose.session.read import Session

PROGRAM = ("-m", "rt_pose.cli")
KINDS = {"installed": "after an installation", "first": "first", "second": "second"}
GOALS_S = {"first": 15.0, "second": 5.0}
HELP_GOAL_S = 0.4


@dataclass(kw_only=True)
class Options:
    """Options of the command line."""

    model: Annotated[Path, "model package"]
    video: Annotated[Path, "the recording that is played"]
    before: Annotated[Path | None, "checkout of the build to compare with"] = None
    starts: Annotated[int, "first and second starts of each build"] = 10
    installed: Annotated[int, "starts of each build with nothing compiled yet"] = 0
    helps: Annotated[int, "`--help` of each verb and build"] = 3
    out: Out = None


def main(argv: list[str] | None = None) -> int:
    """Measure what the command line asks for.

    Parameters
    ----------
    argv
        The command line; that of the process where none is given.

    Returns
    -------
    int
        Exit status.
    """
    return run(Options, measure, format_table, argv)


def measure(options: Options) -> dict[str, Any]:
    """Start the builds in turn.

    Parameters
    ----------
    options
        The command line.

    Returns
    -------
    dict[str, Any]
        The figures, for JSON.

    Raises
    ------
    UserError
        Where a checkout is none, or a start fails.
    """
    trees = trees_of(options.before)
    starts: dict[str, dict[str, list[float]]] = {side: {kind: [] for kind in KINDS} for side in trees}
    helps: dict[str, dict[str, list[float]]] = {
        side: {verb: [] for verb in verbs_of(tree)} for side, tree in trees.items()
    }
    for number in range(max(options.starts, options.installed, options.helps)):
        for side in sorted(trees, reverse=number % 2 == 0):
            _round(options, number, trees[side], starts[side], helps[side])
        say(f"round {number + 1}: done")
    return {
        "bench": "start",
        **conditions(),
        "model": str(options.model),
        "video": str(options.video),
        "starts_s": starts,
        "helps_s": helps,
        "first_decision_s": {
            side: {kind: summary(np.array(values)) for kind, values in found.items() if values}
            for side, found in starts.items()
        },
        "help_s": {side: summary(np.array(_medians(found))) for side, found in helps.items()},
        "slowest_help": {side: _slowest(found) for side, found in helps.items()},
    }


def _round(
    options: Options,
    number: int,
    tree: Path,
    starts: dict[str, list[float]],
    helps: dict[str, list[float]],
) -> None:
    """One start of each kind of a build, and one `--help` of each verb."""
    with tempfile.TemporaryDirectory(prefix="rt-pose-start-") as name:
        place = Path(name)
        if number < options.installed:
            empty = {"XDG_CACHE_HOME": str(place / "none"), "NUMBA_CACHE_DIR": str(place / "compiled")}
            starts["installed"].append(_start_s(options, tree, empty))
        if number < options.starts:
            for kind in ("first", "second"):
                starts[kind].append(_start_s(options, tree, {"XDG_CACHE_HOME": str(place / "cache")}))
    if number < options.helps:
        for verb, found in helps.items():
            found.append(help_s(tree, verb))


def _start_s(options: Options, tree: Path, environment: Mapping[str, str]) -> float:
    """From command to first decision, s."""
    with tempfile.TemporaryDirectory(prefix="rt-pose-start-") as name:
        session = Path(name) / "session"
        command = [*PROGRAM, "run", str(tree / "rt_pose" / "configs" / "video.yaml")]
        command += ["--model", str(options.model.absolute()), "--camera", str(options.video.absolute())]
        command += ["--out", str(session), "--report", "false", "--seconds", "0.5"]
        for key in ("address", "control"):
            command += [f"--publish.{key}", "tcp://127.0.0.1:*"]
        begin_ns = HostClock().now_ns()
        _run(tree, command, environment)
        return (first_decision_ns(session) - begin_ns) / NS_PER_S


def first_decision_ns(session: Path) -> int:
    """Read when the first decision of a session was made.

    Parameters
    ----------
    session
        Its folder.

    Returns
    -------
    int
        Monotonic clock of the host, ns.
    """
    return min(observation.stages.t_decided_ns for observation in Session.read(session).observations)


def verbs_of(tree: Path) -> list[str]:
    """List the verbs of a build.

    Parameters
    ----------
    tree
        Its checkout.

    Returns
    -------
    list[str]
        Such as `train fit`.
    """
    return _run(tree, ["-c", "from rt_pose.cli.main import VERBS; print(*VERBS, sep='\\n')"]).splitlines()


def help_s(tree: Path, verb: str) -> float:
    """Time the `--help` of a verb.

    Parameters
    ----------
    tree
        Checkout of the build.
    verb
        The verb.

    Returns
    -------
    float
        From beginning to end of its process, s.

    Raises
    ------
    UserError
        Where it fails.
    """
    clock = HostClock()
    begin_ns = clock.now_ns()
    _run(tree, [*PROGRAM, *verb.split(), "--help"])
    return (clock.now_ns() - begin_ns) / NS_PER_S


def format_table(figures: dict[str, Any]) -> str:
    """Format the result for people.

    Parameters
    ----------
    figures
        What `measure` returned.

    Returns
    -------
    str
        Markdown.
    """
    sides = list(figures["first_decision_s"])
    rows = [
        [f"{label} start", side, *_cells(found), _goal(found["p50"], GOALS_S.get(kind))]
        for kind, label in KINDS.items()
        for side in sides
        if (found := figures["first_decision_s"][side].get(kind)) is not None
    ]
    for side in sides:
        if (found := figures["help_s"][side]) is not None:
            verb, slowest_s = figures["slowest_help"][side]
            label = f"`--help` of {found['n']} verbs, medians; slowest: {verb}"
            rows.append([label, side, *_cells(found), _goal(slowest_s, HELP_GOAL_S)])
    head = ["s", "build", "n", "P50", "P90", "max", "goal"]
    intro = f"From command to first decision, and `--help`; {machine_line(figures)}."
    return f"{intro}\n\n{markdown_table(head, rows)}"


def _cells(found: Mapping[str, Any]) -> list[str]:
    return [str(found["n"]), *(f"{found[key]:.2f}" for key in ("p50", "p90", "max"))]


def _goal(found_s: float, goal_s: float | None) -> str:
    if goal_s is None:
        return ""
    return f"{goal_s:g}: {'held' if found_s <= goal_s else 'not held'}"


def _medians(found: Mapping[str, Sequence[float]]) -> list[float]:
    return [float(np.median(values)) for values in found.values() if values]


def _slowest(found: Mapping[str, Sequence[float]]) -> tuple[str, float]:
    """The verb of the longest median, and that; no verb where none was timed."""
    medians = {verb: float(np.median(values)) for verb, values in found.items() if values}
    verb = max(medians, key=lambda verb: medians[verb], default="")
    return verb, medians.get(verb, 0.0)


def _run(tree: Path, command: Sequence[str], environment: Mapping[str, str] = MappingProxyType({})) -> str:
    """What a build's Python prints."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise UserError(f"{tree}: `{' '.join(command[:4])}` ended with {done.returncode}: {last}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
