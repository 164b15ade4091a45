"""What each precision of a package costs in time and in pixels, in one table: `python -m bench.precision`.

Time is the bare forward on a ready tensor, in alternating blocks: each round runs every precision once, in a
random order, so that a machine that slows down slows all of them. Pixels are: the error to labels kept
back from training; the distance from where float32 puts a keypoint, on every frame of a recording; and the
movement of a keypoint when its frame gets noise of one grey level, the jitter that a precision adds or not.
"""

from __future__ import annotations

import importlib.metadata
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.output import markdown_table
from bench.program import Out, run
from rt_pose.clock import NS_PER_MS, HostClock
from rt_pose.errors import UserError
from rt_pose.inference.auto_precision import AUTO_ERROR_FACTOR, BY_NAME_ONLY
from rt_pose.inference.bare_forward import warm_up
from rt_pose.inference.estimator import Estimator
from rt_pose.package import GOLDEN_CONFIDENCE, Package, PrecisionReport, read_package
from rt_pose.session.describe import machine
from rt_pose.video import read_frames
from train.evaluation.jitter import NOISE_GREY, xy_in_noise
from train.quantisation.frames import labeled_frames
from train.quantisation.precisions import PrecisionReference, displacement, estimator, measure, precisions_of

NOISE_FRAMES = 100
MIXED_TIME_FACTOR = 1.15
"""Largest multiple of bf16's time at which `mixed` is recommended in its place."""


@dataclass
class Row:
    """One precision's figures."""

    precision: str
    p50_ms: float
    p99_ms: float
    forwards: int
    ratio: float
    """P50 over float32's in the same run: the median over the rounds, which see the same machine."""
    report: PrecisionReport
    noise_median_px: float
    noise_p95_px: float
    noise_n: int


def measure_package(
    package: Package, data: Path, video: Path, rounds: int, forwards: int, seed: int
) -> tuple[list[Row], dict[str, Any]]:
    """Measure each precision that this processor has and the package holds.

    Parameters
    ----------
    package
        The model package.
    data
        The labeled folder that it was trained on.
    video
        A recording without labels.
    rounds
        Number of rounds.
    forwards
        Forwards of each precision in a round.
    seed
        Seed of the order and of the noise.

    Returns
    -------
    tuple[list[Row], dict[str, Any]]
        A row a precision, the fastest first, and what was measured on.

    Raises
    ------
    UserError
        Where no labeled frame was kept back from training.
    """
    manifest = package.manifest
    _, kept_back = labeled_frames(manifest, data)
    if not len(kept_back):
        raise UserError(
            f"model package {package.path}: it was trained on every labeled frame of {data}, so none is left "
            "to measure errors on; give a package whose training kept some back"
        )
    networks = {
        precision: estimator(package.path, manifest.input, manifest.decode, precision)
        for precision in precisions_of(package.path)
    }
    times = alternating_ms(networks, rounds, forwards, seed)
    images = [frame.image for frame in read_frames(video, manifest.input.channels)]
    float32 = networks["float32"]
    found = float32.estimate_all(kept_back.images)
    on = PrecisionReference(kept_back.images, kept_back.xy, found, images, float32.estimate_all(images))
    few = images[:: max(len(images) // NOISE_FRAMES, 1)]
    rows = [_row(precision, network, times, on, few, seed) for precision, network in networks.items()]
    facts = {
        "network": f"{manifest.training['configuration']['network']['backbone']}, input "
        f"{manifest.input.width}x{manifest.input.height}x{manifest.input.channels}, "
        f"{len(manifest.keypoints)} keypoints, "
        f"{float32.engine.threads} threads, openvino {importlib.metadata.version('openvino')}",
        "dataset": manifest.training["dataset"],
        "rounds": rounds,
        "labeled_frames": len(kept_back),
        "video_frames": len(images),
    }
    return sorted(rows, key=lambda row: row.p50_ms), facts


def _row(
    precision: str,
    network: Estimator,
    times: dict[str, NDArray[np.float64]],
    on: PrecisionReference,
    few: Sequence[NDArray[np.uint8]],
    seed: int,
) -> Row:
    """One precision's figures; its jitter is measured on a few frames."""
    own, float32 = times[precision], times["float32"]
    p50, p99 = (float(q) for q in np.percentile(own, [50, 99]))
    ratio = float(np.median(np.median(own, axis=1) / np.median(float32, axis=1)))
    moved = displacement(xy_in_noise(network, few, seed), network.estimate_all(few))
    median, p95 = (float(q) for q in np.percentile(moved, [50, 95]))
    return Row(precision, p50, p99, own.size, ratio, measure(network, on), median, p95, len(moved))


def alternating_ms(
    networks: dict[str, Estimator], rounds: int, forwards: int, seed: int
) -> dict[str, NDArray[np.float64]]:
    """Time networks in turns: a block of each a round, in a random order.

    Parameters
    ----------
    networks
        By precision.
    rounds
        Number of rounds.
    forwards
        Forwards a block.
    seed
        Seed of the order.

    Returns
    -------
    dict[str, NDArray[np.float64]]
        (rounds, forwards) ms, by precision.
    """
    clock, random = HostClock(), np.random.default_rng(seed)
    spec = next(iter(networks.values())).engine.spec
    batch = random.standard_normal((1, spec.channels, spec.height, spec.width)).astype(np.float32)
    times = {precision: np.empty((rounds, forwards)) for precision in networks}
    for network in networks.values():
        warm_up(network.engine)
    for i in range(rounds):
        for precision in random.permutation(list(networks)):
            engine = networks[precision].engine
            warm_up(engine, 3)  # its weights are not in the caches: the block before was another network's
            for j in range(forwards):
                start_ns = clock.now_ns()
                engine.infer(batch)
                times[precision][i, j] = (clock.now_ns() - start_ns) / NS_PER_MS
    return times


def _error_px(row: Row) -> float:
    """Infinite where an imported network came without labels."""
    error = row.report.validation_error_px
    return math.inf if error is None else error


def recommendation(rows: Sequence[Row]) -> str:
    """Recommend a precision.

    Parameters
    ----------
    rows
        What was measured.

    Returns
    -------
    str
        The precision and why.
    """
    by_name = {row.precision: row for row in rows}
    limit = AUTO_ERROR_FACTOR * _error_px(by_name["float32"])
    good = [row for row in rows if _error_px(row) <= limit and row.precision not in BY_NAME_ONLY]
    best = min(good, key=lambda row: row.p50_ms)
    mixed = by_name.get("mixed")
    if (
        best.precision == "bf16"
        and mixed is not None
        and mixed in good
        and mixed.ratio <= MIXED_TIME_FACTOR * best.ratio
    ):
        saved = 1 - (mixed.report.video_median_px or 0.0) / (best.report.video_median_px or 1.0)
        return (
            f"mixed: {mixed.ratio / best.ratio:.2f} of bf16's time, without {saved:.0%} of the distance "
            "that bf16 puts between a keypoint and float32's; bf16 where every tenth of a millisecond counts"
        )
    text = f"{best.precision}: the fastest whose mean error to the labels is within 5 % of float32's"
    faster = [row for row in rows if row.precision in BY_NAME_ONLY and row.p50_ms < best.p50_ms]
    for row in faster:
        text += (
            f"; {row.precision}, which serves only where asked for, takes {row.ratio / best.ratio:.2f} of "
            f"its time at a mean error of {row.report.validation_error_px:.2f} px"
        )
    return text


def table(rows: Sequence[Row]) -> str:
    """Format the rows as a Markdown table.

    Parameters
    ----------
    rows
        What was measured.

    Returns
    -------
    str
        The table.
    """
    head = ["precision", "P50 ms", "P99 ms", "to float32", "labels median", "mean", "P90 px"]
    head += ["from float32 on video, median", "P95 px", "one grey level of noise, median", "P95 px"]
    lines = []
    for row in rows:
        on = row.report
        times = (row.p50_ms, row.p99_ms, row.ratio)
        errors = (on.validation_median_px, on.validation_error_px, on.validation_p90_px)
        moved = (on.video_median_px, on.video_p95_px, row.noise_median_px, row.noise_p95_px)
        numbers = [*(f"{v:.2f}" for v in (*times, *errors)), *(f"{v:.3f}" for v in moved)]
        lines.append([row.precision, *numbers])
    return markdown_table(head, lines)


def page(facts: dict[str, Any]) -> str:
    """Format the result for people.

    Parameters
    ----------
    facts
        What `measured` returned.

    Returns
    -------
    str
        Markdown.
    """
    rows = msgspec.convert(facts["rows"], list[Row])
    row = rows[0]
    return "\n".join(
        [
            "# Precisions: time and pixels\n",
            f"{facts['cpu']}, {facts['cores_usable']} cores, {', '.join(facts['features'])}; "
            f"{facts['network']}.\n",
            table(rows),
            "",
            f"Time: bare forward, {facts['rounds']} alternating blocks of each precision, n {row.forwards} "
            "forwards each; *to float32* is the median over the blocks of the ratio of medians. Labels: the "
            f"{facts['labeled_frames']} frames kept back from training. From float32 on video: "
            f"{facts['video_frames']} frames, n {row.report.video_n} keypoints of confidence >= "
            f"{GOLDEN_CONFIDENCE}. Noise: normal, standard deviation {NOISE_GREY:g} grey level, "
            f"n {row.noise_n} keypoints; how far the same precision's keypoint moves.\n",
            f"**Recommended: {facts['recommendation']}.**\n",
        ]
    )


@dataclass(kw_only=True)
class Options:
    """Options of the command line."""

    model: Annotated[str, "model package (`rt-pose train quantise` adds int8)"]
    data: Annotated[Path, "the labeled folder that it was trained on"]
    video: Annotated[Path, "a recording without labels"]
    rounds: int = 20
    forwards: Annotated[int, "forwards a block"] = 50
    seed: int = 0
    out: Out = None


def measured(options: Options) -> dict[str, Any]:
    """Measure the command line's package.

    Parameters
    ----------
    options
        The command line.

    Returns
    -------
    dict[str, Any]
        The figures, for JSON.
    """
    package = read_package(options.model)
    rows, facts = measure_package(
        package, options.data, options.video, options.rounds, options.forwards, options.seed
    )
    here = machine()
    facts |= {key: here[key] for key in ("cpu", "cores_usable", "features")}
    facts |= {"recommendation": recommendation(rows), "package": package.sha256}
    return facts | {"rows": msgspec.to_builtins(rows)}


if __name__ == "__main__":
    sys.exit(run(Options, measured, page))
