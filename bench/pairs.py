"""Two builds of the program side by side: `rt-pose bench latency` in alternating pairs of runs.

    python -m bench.pairs --before TREE --after TREE --model PACKAGE --video VIDEO [--pairs 20] [--out STEM]

TREE is a checkout. Which of a pair runs first changes from pair to pair, so that a drift of the machine falls
on both. The number of pairs is fixed before the first. Ratios are after / before; the geometric mean and its
95 % interval come from the logarithms (Student's t, one value a pair). With --work, what has been measured is
kept there, and the same command goes on where it stopped. Nothing else may run on the machine.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bench.output import conditions, machine_line, markdown_table
from bench.program import Out, run, say
from rt_pose.errors import UserError

FIGURES = ("image_to_decision", "exposure_to_decision", "outside_network")
BOUNDS = {"p50": 1.05, "p99": 1.15}
"""Bounds of the upper end of the interval; the mean of a P99 ratio has `P99_MEAN` as its bound."""
P99_MEAN = 1.05
MIN_PAIRS = 2


@dataclass(kw_only=True)
class Options:
    """Options of the command line."""

    before: Annotated[Path, "checkout of the build to compare with"]
    after: Annotated[Path, "checkout of the build in question"]
    model: Annotated[Path, "model package, the same for both"]
    video: Annotated[Path, "the recording that is played"]
    pairs: Annotated[int, "fixed before the first is measured"] = 20
    seconds: Annotated[float, "length of a run"] = 60.0
    rate: Annotated[float, "frames a second"] = 60.0
    size: Annotated[str, "WIDTHxHEIGHT to which the recording is scaled"] = "640x480"
    work: Annotated[Path | None, "folder where each run's figures are kept"] = None
    out: Out = None


def main(argv: list[str] | None = None) -> int:
    """Measure the pairs that the command line asks for.

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
    """Measure the pairs, or read what was measured before.

    Parameters
    ----------
    options
        The command line.

    Returns
    -------
    dict[str, Any]
        What `summarise` returns.

    Raises
    ------
    UserError
        Where a checkout is none, there are too few pairs, or a run fails.
    """
    for name in ("before", "after"):
        check_checkout(name, getattr(options, name))
    if options.pairs < MIN_PAIRS:
        raise UserError(f"--pairs: expected at least {MIN_PAIRS}, got {options.pairs}")
    with tempfile.TemporaryDirectory(prefix="rt-pose-pairs-") as scratch:
        work = options.work or Path(scratch)
        work.mkdir(parents=True, exist_ok=True)
        return summarise(options, [measure_pair(options, number, work) for number in range(options.pairs)])


def check_checkout(option: str, tree: Path) -> None:
    """Check that a folder is a checkout of a build.

    Parameters
    ----------
    option
        The one that gives it, for messages.
    tree
        The folder.

    Raises
    ------
    UserError
        Where it is none.
    """
    if not (tree / "rt_pose").is_dir():
        raise UserError(f"--{option} {tree}: no checkout; it has no folder `rt_pose`")


def trees_of(before: Path | None) -> dict[str, Path]:
    """Collect the builds that take turns.

    Parameters
    ----------
    before
        Checkout of the build to compare with; None where this one runs alone.

    Returns
    -------
    dict[str, Path]
        Their checkouts, `after` this one.

    Raises
    ------
    UserError
        Where `before` is none.
    """
    trees = {"after": Path(__file__).resolve().parent.parent}
    if before is not None:
        check_checkout("before", before)
        trees["before"] = before.resolve()
    return trees


def measure_pair(options: Options, number: int, work: Path) -> dict[str, Any]:
    """Measure a pair, or read it where it was measured before.

    Parameters
    ----------
    options
        The command line.
    number
        Number of the pair, from 0; it decides which side runs first.
    work
        Folder where each run's figures are kept.

    Returns
    -------
    dict[str, Any]
        The content of latency.json, for `before` and `after`.

    Raises
    ------
    UserError
        Where a run fails.
    """
    order = ("before", "after") if number % 2 == 0 else ("after", "before")
    found = {}
    for side in order:
        file = work / f"{number:03d}-{side}.json"
        if not file.is_file():
            _run(options, getattr(options, side), file)
            say(f"pair {number + 1} of {options.pairs}, {side}: done")
        found[side] = json.loads(file.read_text(encoding="utf-8"))
    return found


def summarise(options: Options, pairs: list[dict[str, Any]]) -> dict[str, Any]:
    """Compute the result.

    Parameters
    ----------
    options
        What was measured.
    pairs
        What `measure_pair` returned.

    Returns
    -------
    dict[str, Any]
        Ratios of each figure with their intervals, and the verdicts by `BOUNDS`.
    """
    ratios = {
        name: {
            percentile: interval(np.array([_ratio(pair, name, percentile) for pair in pairs]))
            for percentile in BOUNDS
        }
        for name in FIGURES
    }
    return {
        "bench": "pairs",
        **conditions(),
        "pairs": len(pairs),
        "seconds": options.seconds,
        "rate_hz": options.rate,
        "size": options.size,
        "frames": {side: sum(p[side]["frames"]["processed"] for p in pairs) for side in ("before", "after")},
        "medians_ms": {
            side: {name: _medians(pairs, side, name) for name in FIGURES} for side in ("before", "after")
        },
        "ratios": ratios,
        "verdict": {name: compare_with_bounds(found) for name, found in ratios.items()},
    }


def interval(ratios: NDArray[np.float64]) -> dict[str, float]:
    """Compute the geometric mean of ratios with its 95 % interval.

    Parameters
    ----------
    ratios
        (P,) one for each pair.

    Returns
    -------
    dict[str, float]
        mean, low and high, by Student's t on the logarithms.
    """
    logs = np.log(ratios)
    low, high = stats.ttest_1samp(logs, 0.0).confidence_interval(0.95)
    return {"mean": float(np.exp(logs.mean())), "low": float(np.exp(low)), "high": float(np.exp(high))}


def compare_with_bounds(found: dict[str, dict[str, float]]) -> str:
    """Judge the ratios of a figure.

    Parameters
    ----------
    found
        Intervals by percentile.

    Returns
    -------
    str
        `no slower` where every bound holds, `slower` where an interval lies above 1, else `undecided`.
    """
    within = all(found[key]["high"] <= bound for key, bound in BOUNDS.items())
    if within and found["p99"]["mean"] <= P99_MEAN:
        return "no slower"
    return "slower" if any(found[key]["low"] > 1.0 for key in BOUNDS) else "undecided"


def format_table(figures: dict[str, Any]) -> str:
    """Format the result for people.

    Parameters
    ----------
    figures
        What `summarise` returned.

    Returns
    -------
    str
        Markdown.
    """
    rows = []
    for name in FIGURES:
        before, after = (figures["medians_ms"][side][name] for side in ("before", "after"))
        for key in BOUNDS:
            ratio = figures["ratios"][name][key]
            rows.append(
                [
                    f"{name.replace('_', ' ')}, {key.upper()}",
                    f"{before[key]:.2f}",
                    f"{after[key]:.2f}",
                    f"{ratio['mean']:.3f}",
                    f"{ratio['low']:.3f} to {ratio['high']:.3f}",
                    figures["verdict"][name],
                ]
            )
    head = ["figure", "before, ms", "after, ms", "ratio", "95 %", "verdict"]
    intro = (
        f"{figures['pairs']} alternating pairs of {figures['seconds']:g} s, {figures['rate_hz']:g} frames a "
        f"second, {figures['size']}; {machine_line(figures)}; float32. Medians over runs; ratios are after / "
        "before."
    )
    return f"{intro}\n\n{markdown_table(head, rows)}"


def _run(options: Options, tree: Path, file: Path) -> None:
    """One run of a build's `bench latency`, in its own process; its figures go to `file`."""
    with tempfile.TemporaryDirectory(prefix="rt-pose-pair-") as folder:
        result = Path(folder) / "result.json"
        command = [sys.executable, "-m", "rt_pose.cli", "bench", "latency"]
        command += ["--model", str(options.model.absolute()), "--reference", "ends"]
        command += ["--video", str(options.video.absolute())]
        command += ["--seconds", str(options.seconds), "--rate", str(options.rate), "--size", options.size]
        command += ["--engine.precision", "float32", "--out", folder, "--json", str(result)]
        done = subprocess.run(
            command,
            cwd=tree,
            env=os.environ | {"PYTHONPATH": str(tree.absolute())},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0 or not result.is_file():
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise UserError(f"{tree}: `bench latency` ended with {done.returncode}: {last}")
        part = file.with_name(file.name + ".part")
        part.write_bytes(result.read_bytes())
        part.replace(file)


def _ratio(pair: dict[str, Any], name: str, percentile: str) -> float:
    after, before = (pair[side]["latency_ms"][name][percentile] for side in ("after", "before"))
    return float(after) / float(before)


def _medians(pairs: list[dict[str, Any]], side: str, name: str) -> dict[str, float]:
    return {key: float(np.median([pair[side]["latency_ms"][name][key] for pair in pairs])) for key in BOUNDS}


if __name__ == "__main__":
    sys.exit(main())
