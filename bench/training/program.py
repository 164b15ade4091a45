"""Seconds and memory of a training step, beside Lightning Pose's with the same network; and the loader alone.

    python -m bench.training --data FOLDER [--python ENV/bin/python] [--rounds 4] [--steps 4] [--threads 2]
        [--out bench/results/NAME]

FOLDER is Lightning Pose's `mirror-mouse`; ENV as for `bench.peers.litpose`, without it ours runs alone. About
six minutes on two quiet cores. Every case (`bench.training.cases`) and program has a process of its own, with
the same number of threads; they take turns in blocks of steps, and one that is not in turn waits. A step is:
the next batch from the program's own loader, forward, losses, back, the optimiser; no log, no validation.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from bench.background_load import BackgroundLoad
from bench.output import conditions, machine_line, markdown_table
from bench.program import Out, run, say
from bench.training.cases import CASES, Case, peer_configuration
from rt_pose.errors import UserError
from rt_pose.inference.device import physical_cores
from train.data.labels import read_labels
from train.data.videos import find_videos
from train.importing.original_program import WorkerProcess

OURS = "rt-pose"
THEIRS = Path(__file__).with_name("litpose.py")
SIZE = 256
WARM_UP = 2
"""Steps of every process before the first that counts."""
BATCHES = 6
"""Batches of the loader alone, a round."""
GIB = 2**30
DIFFERENT = """What differs within a pair: the head (ours takes in all four maps of the backbone, theirs the
last alone: see GFLOP a frame); batch norm (ours holds to its running statistics once there are clips);
augmentation (ours: warp, light, sensor noise, by DALI; theirs: imgaug's `dlc`, in worker processes whose
memory is not counted); clips (ours are decoded and augmented within the step, theirs lie ready in memory, as
its own loader for them needs a GPU). The same: frames a step, their size, kinds of losses, Adam, float32,
threads."""


@dataclass
class TrainingRunner:
    """One case in one program."""

    process: WorkerProcess
    hello: dict[str, Any]
    steps_s: list[float] = field(default_factory=list)
    labeled_s: list[float] = field(default_factory=list)
    clips_s: list[float] = field(default_factory=list)
    peak_bytes: int = 0

    def run(self, what: str, count: int) -> list[float]:
        """Run steps, labeled batches or clips.

        Parameters
        ----------
        what
            `steps`, `labeled` or `clips`.
        count
            How many.

        Returns
        -------
        list[float]
            s of each.
        """
        self.process.order({"do": what, "n": count})
        found = self.process.answer()
        self.peak_bytes = found["peak_bytes"]
        return [float(value) for value in found["s"]]


@dataclass(kw_only=True)
class TrainingPlan:
    """Options of the command line."""

    data: Annotated[Path, "Lightning Pose's mirror-mouse"]
    python: Annotated[Path | None, "Python of Lightning Pose's environment"] = None
    rounds: int = 4
    steps: Annotated[int, "a round and program"] = 4
    threads: Annotated[int, "of each program; 0: the physical cores"] = 0
    out: Out = None


def measure(plan: TrainingPlan) -> dict[str, Any]:
    """Run the comparison.

    Parameters
    ----------
    plan
        The command line.

    Returns
    -------
    dict[str, Any]
        The figures, for JSON.
    """
    if min(plan.rounds, plan.steps) < 1 or plan.threads < 0:
        raise UserError("--rounds, --steps: expected 1 or more; --threads: 0 or more")
    plan.threads = plan.threads or physical_cores()
    found, shares = [], []
    for name, case in CASES.items():
        with _runners(plan, name, case) as runners:
            for runner in runners:
                runner.run("steps", WARM_UP)
            others = BackgroundLoad([runner.process.pid for runner in runners])
            for number in range(plan.rounds):
                others.start()
                _round(runners if number % 2 == 0 else runners[::-1], plan.steps)
                shares.append(others.share())
            for runner in runners:
                _loader(runner, case)
            found.append(_figures(name, case, runners, plan.steps))
        medians = [f"{one['program']} {one['step_s']['median']:.2f} s" for one in found[-1]["programs"]]
        say(f"{case.title}: {', '.join(medians)}")
    return {
        "bench": "training",
        **conditions(),
        "threads": plan.threads,
        "rounds": {"n": plan.rounds, "steps": plan.steps, "others_share": shares},
        "cases": found,
        "different": " ".join(DIFFERENT.split()),
    }


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
    rows, loads = [], []
    for case in figures["cases"]:
        for one in case["programs"]:
            step, ratio = one["step_s"], case.get("times_faster")
            faster = f"{ratio['median']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})" if ratio else ""
            rows.append(
                [
                    case["title"],
                    one["program"],
                    f"{case['batch']} + {case['clip']}",
                    str(step["n"]),
                    f"{step['median']:.2f}",
                    f"{step['p90']:.2f}",
                    f"{one['peak_bytes'] / GIB:.2f}",
                    f"{one['gflop_a_frame']:.1f}",
                    faster if one["program"] == OURS else "",
                ]
            )
            rates = (one["labeled_frames_per_s"], one["clip_frames_per_s"])
            loads.append([case["title"], one["program"], *(f"{r:.0f}" if r else "" for r in rates)])
    shares = figures["rounds"]["others_share"]
    head = ["case", "program", "frames", "n", "s a step", "P90", "peak GiB", "GFLOP a frame", "times faster"]
    return "\n".join(
        [
            "# A training step\n",
            f"{machine_line(figures)}; {figures['threads']} threads; {figures['rounds']['n']} rounds; "
            f"others had {np.median(shares):.0%} of the machine (at most {max(shares):.0%}). Frames a step: "
            "labeled + clip. GFLOP: of a forward pass. Times faster: of the medians; in brackets, the least "
            "and the most of a round.\n",
            markdown_table(head, rows),
            "\nThe loader alone, frames a second:\n",
            markdown_table(["case", "program", "labeled", "of clips"], loads),
            f"\n{figures['different']}",
        ]
    )


def times_faster(ours: list[float], theirs: list[float], block: int) -> dict[str, float]:
    """Compare step times.

    Parameters
    ----------
    ours, theirs
        s of each step.
    block
        Steps a round.

    Returns
    -------
    dict[str, float]
        Their median over ours, the smallest and largest of the rounds' own ratios, and n.
    """
    rounds = [
        float(np.median(theirs[i : i + block]) / np.median(ours[i : i + block]))
        for i in range(0, min(len(ours), len(theirs)), block)
    ]
    return {
        "median": float(np.median(theirs) / np.median(ours)),
        "low": min(rounds),
        "high": max(rounds),
        "n": len(rounds),
    }


def _round(runners: list[TrainingRunner], steps: int) -> None:
    for runner in runners:
        runner.steps_s += runner.run("steps", steps)


def _loader(runner: TrainingRunner, case: Case) -> None:
    """The loader's own pace, the network standing still; the first batches, made ahead, do not count."""
    runner.labeled_s = runner.run("labeled", 2 * BATCHES)[BATCHES:]
    if case.clip and runner.hello["name"] == OURS:
        runner.clips_s = runner.run("clips", BATCHES + 2)[2:]


def _figures(name: str, case: Case, runners: list[TrainingRunner], block: int) -> dict[str, Any]:
    found: dict[str, Any] = {"case": name, "title": case.title, "batch": case.batch, "clip": case.clip}
    found["programs"] = [_of(runner, case) for runner in runners]
    if len(runners) == 2:
        ours, theirs = runners
        found["times_faster"] = times_faster(ours.steps_s, theirs.steps_s, block)
    return found


def _of(runner: TrainingRunner, case: Case) -> dict[str, Any]:
    steps = runner.steps_s
    return {
        "program": runner.hello["name"],
        "losses": runner.hello["losses"],
        "threads": runner.hello["threads"],
        "gflop_a_frame": runner.hello["gflop_a_frame"],
        "step_s": {
            "n": len(steps),
            "median": float(np.median(steps)),
            "p90": float(np.percentile(steps, 90)),
            "all": steps,
        },
        "peak_bytes": runner.peak_bytes,
        "labeled_frames_per_s": _rate(runner.labeled_s, case.batch),
        "clip_frames_per_s": _rate(runner.clips_s, case.clip),
    }


def _rate(took_s: list[float], frames: int) -> float | None:
    return frames * len(took_s) / sum(took_s) if took_s else None


@contextmanager
def _runners(plan: TrainingPlan, name: str, case: Case) -> Iterator[list[TrainingRunner]]:
    """Ours, and the peer's where there is one; they end with the context."""
    ours = [sys.executable, "-m", "bench.training.worker", name, str(plan.data), str(plan.threads)]
    commands = {OURS: ours}
    with ExitStack() as ends:
        if plan.python is not None and case.theirs is not None:
            folder = Path(ends.enter_context(tempfile.TemporaryDirectory()))
            commands["Lightning Pose"] = _peer(plan, plan.python, case, folder)
        started = [ends.enter_context(WorkerProcess(words, what)) for what, words in commands.items()]
        yield [TrainingRunner(process, process.answer()) for process in started]


def _peer(plan: TrainingPlan, python: Path, case: Case, folder: Path) -> list[str]:
    settings = folder / "configuration.json"
    data = str(plan.data.absolute())
    keypoints = read_labels(plan.data, "").keypoints
    settings.write_text(json.dumps(peer_configuration(case, data, SIZE, keypoints)), encoding="utf-8")
    video = find_videos(plan.data)[0]
    return [str(python), str(THEIRS), str(settings), str(video), str(case.clip), str(plan.threads)]


def main() -> int:
    """Run the command line; print a table and, last, one JSON line.

    Returns
    -------
    int
        Exit status.
    """
    return run(TrainingPlan, measure, table)
