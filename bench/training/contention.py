"""Two trainings side by side and one after the other, with threads that spin while they wait and that sleep.

    python -m bench.training.contention --data FOLDER [--case lite0] [--rounds 4] [--steps 4] [--threads 2]

A ratio of 1 means that two at a time take as long as one after the other; below it, side by side is worth it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from bench.background_load import BackgroundLoad
from bench.output import conditions, machine_line, markdown_table
from bench.program import Out, run
from bench.training.cases import CASES
from rt_pose.inference.device import physical_cores
from train import PASSIVE_THREADS
from train.importing.original_program import WorkerProcess

POLICIES = {"spinning": {"GOMP_SPINCOUNT": "300000"}, "passive": PASSIVE_THREADS}
"""How threads wait. Spinning is what libgomp does where the environment says nothing."""
WARM_UP = 2
"""Steps of every process before the first that counts."""


@dataclass(kw_only=True)
class Options:
    """Options of the command line."""

    data: Annotated[Path, "Lightning Pose's mirror-mouse"]
    case: Annotated[str, "which training", tuple(CASES)] = "lite0"
    rounds: int = 4
    steps: Annotated[int, "a round"] = 4
    threads: Annotated[int, "of each training; 0: the physical cores"] = 0
    out: Out = None


def measure(options: Options, policies: Mapping[str, Mapping[str, str]] = POLICIES) -> dict[str, Any]:
    """Time the trainings; the policies take turns within each round.

    Parameters
    ----------
    options
        The command line.
    policies
        Environment variables by policy.

    Returns
    -------
    dict[str, Any]
        The figures, for JSON.
    """
    threads = options.threads or physical_cores()
    command = [sys.executable, "-m", "bench.training.worker", options.case, str(options.data), str(threads)]
    with ExitStack() as ends:
        pairs = {
            policy: [ends.enter_context(WorkerProcess(command, policy, environment)) for _ in range(2)]
            for policy, environment in policies.items()
        }
        workers = [worker for pair in pairs.values() for worker in pair]
        for worker in workers:
            worker.answer()
            run_steps([worker], WARM_UP)
        rounds: dict[str, list[dict[str, float]]] = {policy: [] for policy in pairs}
        others, shares = BackgroundLoad([worker.pid for worker in workers]), []
        for number in range(options.rounds):
            others.start()
            for policy in list(pairs)[:: 1 if number % 2 == 0 else -1]:
                rounds[policy].append(_round(pairs[policy], options.steps))
            shares.append(others.share())
    return {
        "bench": "contention",
        **conditions(),
        "case": options.case,
        "threads": threads,
        "rounds": {"n": options.rounds, "steps": options.steps, "others_share": shares},
        "policies": {policy: {"rounds": found, **_ratios(found)} for policy, found in rounds.items()},
    }


def run_steps(workers: list[WorkerProcess], steps: int) -> tuple[float, float]:
    """Run training steps of each worker at the same time.

    Parameters
    ----------
    workers
        The workers.
    steps
        Steps of each.

    Returns
    -------
    tuple[float, float]
        Seconds of the slowest, and processor seconds of all.
    """
    for worker in workers:
        worker.order({"do": "steps", "n": steps})
    answers = [worker.answer() for worker in workers]
    return max(sum(a["s"]) for a in answers), sum(a["cpu_s"] for a in answers)


def table(figures: dict[str, Any]) -> str:
    """Format the figures for people.

    Parameters
    ----------
    figures
        What `measure` returned.

    Returns
    -------
    str
        Markdown.
    """
    rows = []
    for policy, found in figures["policies"].items():
        median = {key: np.median([one[key] for one in found["rounds"]]) for key in found["rounds"][0]}
        rows.append(
            [
                policy,
                *(f"{median[key]:.2f}" for key in ("apart_s", "beside_s", "apart_cpu_s", "beside_cpu_s")),
                *(f"{found[key]:.2f}" for key in ("wall_ratio", "cpu_ratio")),
            ]
        )
    head = ["threads wait", "apart s", "beside s", "apart CPU s", "beside CPU s", "ratio of s", "of CPU s"]
    shares = figures["rounds"]["others_share"]
    return "\n".join(
        [
            "# Two trainings on one machine\n",
            f"{machine_line(figures)}; {figures['case']}, {figures['threads']} threads each; "
            f"{figures['rounds']['n']} rounds of {figures['rounds']['steps']} steps; others had "
            f"{np.median(shares):.0%} of the machine (at most {max(shares):.0%}). Seconds a step of both "
            "trainings, medians of rounds; apart: one after the other.\n",
            markdown_table(head, rows),
        ]
    )


def _round(pair: list[WorkerProcess], steps: int) -> dict[str, float]:
    apart = [run_steps([worker], steps) for worker in pair]
    wall_s, cpu_s = run_steps(pair, steps)
    return {
        "apart_s": sum(s for s, _ in apart) / steps,
        "apart_cpu_s": sum(cpu for _, cpu in apart) / steps,
        "beside_s": wall_s / steps,
        "beside_cpu_s": cpu_s / steps,
    }


def _ratios(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Medians of the rounds' own ratios, beside over apart."""
    return {
        "wall_ratio": float(np.median([one["beside_s"] / one["apart_s"] for one in rounds])),
        "cpu_ratio": float(np.median([one["beside_cpu_s"] / one["apart_cpu_s"] for one in rounds])),
    }


def main() -> int:
    """Run the command line.

    Returns
    -------
    int
        Exit status.
    """
    return run(Options, measure, table)


if __name__ == "__main__":
    sys.exit(main())
