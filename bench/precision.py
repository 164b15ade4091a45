"""What each precision of a package costs in time and in pixels, in one table: `python -m bench.precision`.

Time is the bare forward on a ready tensor, in alternating blocks: each round runs every precision once, in an
order drawn anew, so that a machine that slows down slows all of them. Pixels are: the error to labels kept
back from training; the distance from where float32 puts a keypoint, on every frame of a recording; and the
movement of a keypoint when its frame gets noise of one grey level, the jitter that a precision adds or not.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_MS, HostClock
from rt_pose.errors import UserError
from rt_pose.inference.choose_engine import AUTO_ERROR_FACTOR, BY_NAME_ONLY, warm_up
from rt_pose.inference.estimator import Estimator
from rt_pose.package import GOLDEN_CONFIDENCE, Package, PrecisionReport, read_package
from rt_pose.session.describe import machine
from rt_pose.video import read_frames
from train.quantisation.frames import labeled_frames
from train.quantisation.precisions import PrecisionReference, displacement, estimator, measure, precisions_of

NOISE_GREY = 1.0
NOISE_FRAMES = 100
MIXED_TIME_FACTOR = 1.15
"""So much of bf16's time `mixed` may take to be recommended in its place."""


@dataclass
class Row:
    """One precision's figures."""

    precision: str
    p50_ms: float
    p99_ms: float
    forwards: int
    ratio: float
    """Of P50 to float32's in the same run: the median over the rounds, which see the same machine."""
    report: PrecisionReport
    noise_median_px: float
    noise_p95_px: float
    noise_n: int


def measure_package(
    package: Package, data: Path, video: Path, rounds: int, forwards: int, seed: int
) -> tuple[list[Row], dict[str, Any]]:
    """A row for each precision that this processor has and the package holds, fastest first; and what on."""
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
    rows = []
    for precision, network in networks.items():
        p50, p99 = (float(q) for q in np.percentile(times[precision], [50, 99]))
        ratio = float(np.median(np.median(times[precision], axis=1) / np.median(times["float32"], axis=1)))
        moved = noise_movement(network, few, seed)
        median, p95 = (float(q) for q in np.percentile(moved, [50, 95]))
        report = measure(network, on)
        rows.append(Row(precision, p50, p99, rounds * forwards, ratio, report, median, p95, len(moved)))
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


def alternating_ms(
    networks: dict[str, Estimator], rounds: int, forwards: int, seed: int
) -> dict[str, NDArray[np.float64]]:
    """Forward times (rounds, forwards) of each network, a block of each a round in an order drawn anew."""
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


def noise_movement(network: Estimator, images: Sequence[NDArray[np.uint8]], seed: int) -> NDArray[np.float64]:
    """How far (px) confident keypoints move when frames get normal noise of `NOISE_GREY` grey levels."""
    random = np.random.default_rng(seed)
    noisy = [
        np.clip(image + random.normal(0, NOISE_GREY, image.shape).round(), 0, 255).astype(np.uint8)
        for image in images
    ]
    return displacement(network.estimate_all(noisy).xy, network.estimate_all(images))


def _error_px(row: Row) -> float:
    """Infinite where an imported network came without labels."""
    error = row.report.validation_error_px
    return math.inf if error is None else error


def recommendation(rows: Sequence[Row]) -> str:
    """The precision that the figures speak for, and why."""
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
    """The rows as a Markdown table, which people read as well as it is."""
    lines = [
        "| precision | P50 ms | P99 ms | to float32 | labels median | mean | P90 px | from float32 on video, "
        "median | P95 px | one grey level of noise, median | P95 px |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        report = row.report
        cells = [
            row.precision,
            f"{row.p50_ms:.2f}",
            f"{row.p99_ms:.2f}",
            f"{row.ratio:.2f}",
            f"{report.validation_median_px:.2f}",
            f"{report.validation_error_px:.2f}",
            f"{report.validation_p90_px:.2f}",
            f"{report.video_median_px:.3f}",
            f"{report.video_p95_px:.3f}",
            f"{row.noise_median_px:.3f}",
            f"{row.noise_p95_px:.3f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def page(rows: Sequence[Row], facts: dict[str, Any]) -> str:
    """The result for people."""
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


def main() -> None:
    """Measure the package on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True, help="model package (`rt-pose train quantise` adds int8)")
    parser.add_argument("--data", required=True, help="the labeled folder that it was trained on")
    parser.add_argument("--video", required=True, help="a recording without labels")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--forwards", type=int, default=50, help="forwards a block")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", help="write OUT.json and OUT.md")
    options = parser.parse_args()
    package = read_package(options.model)
    rows, facts = measure_package(
        package, Path(options.data), Path(options.video), options.rounds, options.forwards, options.seed
    )
    facts |= {key: machine()[key] for key in ("cpu", "cores_usable", "features")}
    facts |= {"recommendation": recommendation(rows), "package": package.sha256}
    text = page(rows, facts)
    result = facts | {"rows": msgspec.to_builtins(rows)}
    if options.out:
        Path(f"{options.out}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        Path(f"{options.out}.md").write_text(text, encoding="utf-8")
    print(text)
    print(json.dumps(result))


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        sys.exit(f"bench.precision: {error}")
