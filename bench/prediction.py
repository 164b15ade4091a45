"""`rt-pose predict`: frames a second of this build beside another, and its keypoints beside the live chain's.

    python -m bench.prediction --model PACKAGE --video VIDEO [--before TREE] [--rounds 10] [--out STEM]

Each build has a process of its own, its network loaded and warm. They predict the same video in turns, a
block of the whole video each; which begins changes from round to round. The keypoints are compared with one
another, and with those that the loop's chain gives frame by frame with the engine that a run chooses.
TREE is the checkout of another build. Nothing else may run on the machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated, Any

import numpy as np

from bench.output import conditions, machine_line, markdown_table
from bench.pairs import interval, trees_of
from bench.program import Out, run, say
from rt_pose.clock import NS_PER_S, HostClock
from rt_pose.config.schema import EngineConfig
from rt_pose.errors import UserError
from rt_pose.inference.choose_engine import choose_engine
from rt_pose.loop.latency import summary
from rt_pose.offline.prediction_files import read_predictions
from rt_pose.package import read_package
from rt_pose.types import FloatArray
from rt_pose.video import read_frames

MOST_PX = 0.05
"""So far may a keypoint lie from the live chain's."""
PRECISIONS = ("auto", "int8", "bf16", "mixed", "float32")
WORKER = """
import sys
from pathlib import Path
from rt_pose.clock import HostClock
from rt_pose.config.schema import EngineConfig
from rt_pose.console import progress
from rt_pose.offline.predict import Predictor
from rt_pose.package import read_package
from rt_pose.video import probe

model, video, out, precision = sys.argv[1:]
predictor, clock = Predictor(read_package(model), EngineConfig(precision=precision)), HostClock()
frames = probe(video).frames
print(predictor.choice, flush=True)
for line in sys.stdin:
    begin_ns = clock.now_ns()
    with progress("predicted", frames) as report:
        done = predictor.write(Path(video), Path(out), report)
    print(done, clock.now_ns() - begin_ns, flush=True)
"""


@dataclass(kw_only=True)
class Options:
    """Options of the command line."""

    model: Annotated[Path, "model package"]
    video: Annotated[Path, "the recording that is predicted"]
    before: Annotated[Path | None, "checkout of the build to compare with"] = None
    rounds: Annotated[int, "blocks of each build"] = 10
    precision: Annotated[str, "of the engine, live and offline", PRECISIONS] = "auto"
    out: Out = None


@dataclass
class Build:
    """The process of a build that predicts."""

    engine: str
    """As it describes itself."""
    table: Path
    requests: IO[str]
    answers: IO[str]

    def block(self) -> tuple[int, float]:
        """Predict the video once.

        Returns
        -------
        tuple[int, float]
            Number of frames, and frames a second.

        Raises
        ------
        UserError
            Where the process ends instead.
        """
        self.requests.write("go\n")
        self.requests.flush()
        answer = self.answers.readline().split()
        if not answer:
            raise UserError("the build's process ended; what it printed above says why")
        frames, elapsed_ns = map(int, answer)
        return frames, frames * NS_PER_S / elapsed_ns


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
    """Let the builds predict in turns.

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
        Where a checkout is none, or a build fails.
    """
    trees = trees_of(options.before)
    rates: dict[str, list[float]] = {side: [] for side in trees}
    frames = 0
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rt-pose-prediction-")))
        builds = {
            side: stack.enter_context(_started(options, tree, place / f"{side}.csv"))
            for side, tree in trees.items()
        }
        for build in builds.values():
            frames, _ = build.block()  # warm: caches, and the disk's
        for number in range(options.rounds):
            for side in sorted(trees, reverse=number % 2 == 0):
                rates[side].append(builds[side].block()[1])
            say(f"round {number + 1} of {options.rounds}: done")
        tables = {side: read_predictions(build.table).xy for side, build in builds.items()}
        engines = {side: build.engine for side, build in builds.items()}
    live, engines["live"] = live_keypoints(options)
    distances = {"live": tables["after"], **({"before": tables["before"]} if "before" in tables else {})}
    found = {
        "bench": "prediction",
        **conditions(),
        "model": str(options.model),
        "video": str(options.video),
        "frames": frames,
        "engines": engines,
        "rates_hz": rates,
        "rate_hz": {side: summary(np.array(values)) for side, values in rates.items()},
        "largest_px": {
            name: largest_px(tables["after"], live if name == "live" else other)
            for name, other in distances.items()
        },
    }
    if "before" in rates and options.rounds > 1:
        found["ratio"] = interval(np.array(rates["after"]) / np.array(rates["before"]))
    return found


def largest_px(ours: FloatArray, theirs: FloatArray) -> float:
    """Compute how far two builds' keypoints lie apart at most.

    Parameters
    ----------
    ours, theirs
        (F, K, 2) px; NaN where a keypoint was not seen.

    Returns
    -------
    float
        The largest distance, px; infinite where one saw what the other did not, or their sizes differ.
    """
    if ours.shape != theirs.shape or (np.isnan(ours) != np.isnan(theirs)).any():
        return float("inf")
    return float(np.nanmax(np.linalg.norm(ours - theirs, axis=-1), initial=0.0))


def live_keypoints(options: Options) -> tuple[FloatArray, str]:
    """Find the keypoints as a run does: one frame after another, by the engine that a run chooses.

    Parameters
    ----------
    options
        The command line.

    Returns
    -------
    tuple[FloatArray, str]
        (F, K, 2) px; and the engine.
    """
    package = read_package(options.model)
    config = EngineConfig(precision=options.precision)  # type: ignore[arg-type]
    choice = choose_engine(package, config, tune=HostClock())
    images = (frame.image for frame in read_frames(options.video, package.manifest.input.channels))
    return choice.estimator.estimate_sequence(images).xy, str(choice)


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
    rows = [
        [side, str(found["n"]), *(f"{found[key]:.1f}" for key in ("p50", "p90", "max"))]
        for side, found in figures["rate_hz"].items()
    ]
    lines = [
        f"`rt-pose predict` on {figures['frames']} frames a block; {machine_line(figures)}.",
        markdown_table(["frames/s", "blocks", "P50", "P90", "max"], rows),
    ]
    if ratio := figures.get("ratio"):
        lines.append(
            f"after / before {ratio['mean']:.3f} (95 % {ratio['low']:.3f} to {ratio['high']:.3f}), blocks "
            "of one round against each other."
        )
    for name, px in figures["largest_px"].items():
        lines.append(f"Largest distance of a keypoint from {name}: {px:.4f} px (bound {MOST_PX}).")
    lines += [f"Engine, {side}: {engine}." for side, engine in figures["engines"].items()]
    return "\n\n".join(lines)


@contextmanager
def _started(options: Options, tree: Path, table: Path) -> Iterator[Build]:
    """A build's process, its network loaded."""
    arguments = [str(options.model.absolute()), str(options.video.absolute()), str(table), options.precision]
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER, *arguments],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        engine = process.stdout.readline().strip()
        if not engine:
            raise UserError(f"{tree}: its network cannot be loaded; what was printed above says why")
        yield Build(engine, table, process.stdin, process.stdout)
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


if __name__ == "__main__":
    sys.exit(main())
