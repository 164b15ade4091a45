"""Each stage alone: its time over frame sizes and keypoint counts, and how far that is from its floor.

    python -m bench.stages [--packages DIR] [--out bench/results/NAME]

A stage is called again and again on changing input, in one thread, with nothing else running here. The
floor is the time that the stage's bytes take to copy (each byte read or written once, at the bandwidth
measured for that size) or its arithmetic takes at this machine's measured peak in that precision,
whichever is longer. The distance, P50 over floor, is what better code could gain at most; for stages of a
few kilobytes it only says that their time is the interpreter's and not the memory's.

Networks are EfficientNet-Lite0 packages with a random head (`bench.random_package`); they are made in
--packages where they are not there yet, half a minute each.
"""

from __future__ import annotations

import itertools
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from bench.latency.measured_run import latency_rules
from bench.machine_peak import Peak, copy_bytes_per_s, peaks
from bench.operations import operations_of
from bench.output import conditions, machine_line, markdown_table
from bench.program import Out, run, say
from bench.random_package import random_package
from bench.synthetic_heatmaps import random_frames
from bench.timing import timed
from rt_pose.clock import NS_PER_MS, HostClock
from rt_pose.console import warnings_only
from rt_pose.decisions.decide import Decider, make_rules
from rt_pose.inference.device import physical_cores
from rt_pose.inference.engine import Engine, engines, open_engine
from rt_pose.inference.estimator import CpuEstimator
from rt_pose.loop.latency import FrameLatency
from rt_pose.loop.publish import Publisher
from rt_pose.package import NETWORK, Package, read_package
from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.types import FrameStamps, Pose
from rt_pose.video import Channels

SIZES = ((320, 240), (396, 406), (640, 480), (1280, 1024))
PREPROCESSORS = ("dali", "compiled")
"""Names of `engine.preprocess`."""
KEYPOINTS = (4, 17, 50)
DEFAULT_KEYPOINTS = 17
NETWORKS: tuple[tuple[Channels, int], ...] = ((1, 17), (3, 17), (3, 4), (3, 50))
FRAMES = 4
"""Number of different inputs, used in turn."""
PERIOD_NS = 10 * NS_PER_MS
FLOAT64, FLOAT32 = 8, 4


@dataclass
class Row:
    """One stage at one size."""

    stage: str
    what: str
    ms: dict[str, Any] | None
    floor_ms: float
    floor: str
    """How the floor was computed."""

    @property
    def distance(self) -> float | None:
        """P50 over floor; None where nothing was timed."""
        return None if self.ms is None else self.ms["p50"] / self.floor_ms


def bytes_floor(size: int) -> tuple[float, str]:
    """Compute the floor of moving bytes.

    Parameters
    ----------
    size
        Bytes.

    Returns
    -------
    tuple[float, str]
        ms, and how it was computed.
    """
    per_s = copy_bytes_per_s(size)
    return size / per_s * 1e3, f"{size / 1e3:,.0f} kB at {per_s / 1e9:.0f} GB/s"


def preprocess_rows(package: Package, engine: Engine) -> list[Row]:
    """Time every preprocessing that exists, on frames of every size in the network's own colour.

    Parameters
    ----------
    package
        A model package.
    engine
        Its engine.

    Returns
    -------
    list[Row]
        A row each.
    """
    spec = package.manifest.input
    rows = []
    for name, (width, height) in itertools.product(PREPROCESSORS, SIZES):
        images = random_frames(FRAMES, width, height, spec.channels)
        estimator = CpuEstimator(engine, package.manifest.decode, name)
        moved = images[0].nbytes + FLOAT32 * spec.channels * spec.width * spec.height
        found = timed(lambda i, e=estimator, m=images: e.preprocess(m[i % FRAMES]))  # type: ignore[misc]
        colour = "gray" if spec.channels == 1 else "RGB"
        rows.append(Row("preprocess", f"{name}, {width}x{height} {colour}", found, *bytes_floor(moved)))
    return rows


def infer_row(package: Package, precision: str, peak: Peak) -> Row:
    """Time the bare network, back to back.

    Parameters
    ----------
    package
        A model package.
    precision
        Precision of the engine.
    peak
        The machine's peak in that precision.

    Returns
    -------
    Row
        Its floor is the longer of arithmetic and weights.
    """
    spec = package.manifest.input
    engine = open_engine("openvino", package.path, spec, precision, physical_cores())
    random = np.random.default_rng(0)
    shape = (1, spec.channels, spec.height, spec.width)
    batches = [random.standard_normal(shape, np.float32) for _ in range(FRAMES)]
    operations = operations_of(package)
    arithmetic = operations / peak.per_s * 1e3
    weights, _ = bytes_floor((package.path / NETWORK).stat().st_size)
    floor = f"{operations / 1e9:.2f} GFLOP at {peak.per_s / 1e9:.0f} GFLOP/s ({peak.kernel})"
    colour = "gray" if spec.channels == 1 else "RGB"
    what = (
        f"Lite0 {spec.width}x{spec.height} {colour}, {len(package.manifest.keypoints)} keypoints, {precision}"
    )
    found = timed(lambda i: engine.infer(batches[i % FRAMES]))
    return Row("infer", what, found, max(arithmetic, weights), floor)


def decode_row(package: Package, engine: Engine, keypoints: int) -> Row:
    """Time the way from heatmaps of peaks on noise to keypoints with covariance, in frame pixels.

    Parameters
    ----------
    package
        A model package.
    engine
        Its engine.
    keypoints
        Number of maps.

    Returns
    -------
    Row
        The row.
    """
    spec, decode = package.manifest.input, package.manifest.decode
    height, width = spec.height // decode.stride, spec.width // decode.stride
    random = np.random.default_rng(0)
    maps = [peaked_maps(random, keypoints, height, width) for _ in range(FRAMES)]
    estimator = CpuEstimator(engine, decode)
    found = timed(lambda i: estimator.decode(maps[i % FRAMES], (640, 480)))
    moved = maps[0].nbytes + 7 * FLOAT64 * keypoints
    return Row("decode", f"{keypoints} maps of {width}x{height}", found, *bytes_floor(moved))


def track_rows(package: Package, keypoints: int) -> list[Row]:
    """Time the filter's step, and three rules on it with their prediction, for a walk of all keypoints.

    Parameters
    ----------
    package
        A model package.
    keypoints
        Number of keypoints.

    Returns
    -------
    list[Row]
        `track` and `decide`.
    """
    manifest = package.manifest
    tracker = CausalFilter(tracking_for(manifest.tracking, keypoints), 1, keypoints)
    poses = Walk(keypoints)
    # Read: xy, covariance, confidence, state, covariance of the state; written: the last two and the track's.
    moved = FLOAT64 * keypoints * (2 + 4 + 1 + 3 * (4 + 16))
    rows = [
        Row("track", f"{keypoints} keypoints", timed(lambda _: tracker.step(poses())), *bytes_floor(moved))
    ]
    names = [f"k{i}" for i in range(keypoints)]
    decider = Decider(make_rules(latency_rules(names, (640, 480)), names, {"stimulus": 1.0}), seed=0)
    clock = HostClock()

    def decide(_: int) -> object:
        return decider.decide(tracker, "video", poses.stamps, clock.now_ns(), True)

    moved = FLOAT64 * keypoints * 2 * (4 + 16)  # the state predicted: read and written
    rows.append(Row("decide", f"3 rules, {keypoints} keypoints", timed(decide), *bytes_floor(moved)))
    return rows


def publish_row(keypoints: int, package: Package) -> Row:
    """Time the publication of one pose without a subscriber: header and buffer made, handed to the socket.

    Parameters
    ----------
    keypoints
        Number of keypoints.
    package
        A model package.

    Returns
    -------
    Row
        The row.
    """
    tracker = CausalFilter(tracking_for(package.manifest.tracking, keypoints), 1, keypoints)
    poses = Walk(keypoints)
    publisher = Publisher("tcp://127.0.0.1:*", "bench", HostClock())
    latency = FrameLatency(5.0, 5.0, 3.0, 5.0)
    pose = poses()
    track = tracker.step(pose)
    try:
        found = timed(lambda _: publisher.pose(pose, track, latency, True, 0))
    finally:
        publisher.close()
    moved = keypoints * (8 * FLOAT64 + 2 * 8 * FLOAT32)  # the fields read, the buffer written and handed on
    return Row("publish", f"a pose of {keypoints} keypoints", found, *bytes_floor(moved))


class Walk:
    """Makes poses of keypoints that wander, 10 ms apart."""

    def __init__(self, keypoints: int) -> None:
        """Place the keypoints at random.

        Parameters
        ----------
        keypoints
            K.
        """
        self._random = np.random.default_rng(0)
        self._xy = self._random.uniform(100.0, 400.0, (1, keypoints, 2))
        self._cov = np.broadcast_to(4.0 * np.eye(2), (1, keypoints, 2, 2)).copy()
        self._confidence = np.full((1, keypoints), 0.9)
        self.stamps = FrameStamps(0, 0, 0, 0)

    def __call__(self) -> Pose:
        """Make the next pose.

        Returns
        -------
        Pose
            Of one individual and K keypoints.
        """
        self._xy = self._xy + self._random.normal(0.0, 2.0, self._xy.shape)
        index = self.stamps.index + 1
        self.stamps = FrameStamps(index, index * PERIOD_NS, index * PERIOD_NS, index * PERIOD_NS)
        return Pose("video", self.stamps, self._xy, self._cov, self._confidence)


def peaked_maps(random: np.random.Generator, keypoints: int, height: int, width: int) -> NDArray[np.float32]:
    """Make heatmaps with a peak on noise in each, as a trained network gives.

    Parameters
    ----------
    random
        Source of randomness.
    keypoints
        K.
    height, width
        Size of a map.

    Returns
    -------
    NDArray[np.float32]
        Logits (1, K, height, width).
    """
    y, x = np.mgrid[:height, :width]
    cx, cy = random.uniform(8, width - 8, keypoints), random.uniform(8, height - 8, keypoints)
    square = (x - cx[:, None, None]) ** 2 + (y - cy[:, None, None]) ** 2
    noise = random.normal(0.0, 0.5, (keypoints, height, width))
    return (12.0 * np.exp(-square / 8.0) + noise).astype(np.float32)[None]


def tracking_for(spec: Any, keypoints: int) -> Any:
    """Get filter parameters for a number of keypoints.

    Parameters
    ----------
    spec
        The package's parameters.
    keypoints
        K.

    Returns
    -------
    TrackingSpec
        The package's, or default ones where it has another number of keypoints.
    """
    from train.export import default_tracking

    return spec if len(spec.tau_s) == keypoints else default_tracking(keypoints, (640, 480))


def packages(folder: Path) -> dict[tuple[int, int], Package]:
    """Get the packages with random heads, made where they do not exist.

    Parameters
    ----------
    folder
        Where they are kept.

    Returns
    -------
    dict[tuple[int, int], Package]
        By channels and keypoints.
    """
    found: dict[tuple[int, int], Package] = {}
    for channels, keypoints in NETWORKS:
        path = folder / f"lite0-{channels}x{keypoints}"
        if not path.is_dir():
            say(f"making {path} ...")
            with warnings_only():
                random_package(path, keypoints, channels)
        found[channels, keypoints] = read_package(path)
    return found


@dataclass(kw_only=True)
class Options:
    """Options of the command line."""

    packages: Annotated[Path, "where the networks are, or are to be made"] = Path("runs/bench/packages")
    out: Out = None


def measure(options: Options) -> dict[str, Any]:
    """Measure every row.

    Parameters
    ----------
    options
        The command line.

    Returns
    -------
    dict[str, Any]
        The figures, for JSON.
    """
    made = packages(options.packages)
    say("the machine's peak ...")
    peak = peaks()
    rows: list[Row] = []
    for channels in (1, 3):
        package = made[channels, DEFAULT_KEYPOINTS]
        engine = open_engine("openvino", package.path, package.manifest.input, "float32", physical_cores())
        say(f"preprocess, {channels} channels ...")
        rows += preprocess_rows(package, engine)
    for (channels, keypoints), package in made.items():
        say(f"infer, {channels} channels, {keypoints} keypoints ...")
        rows += [infer_row(package, p, peak[p]) for p in engines()["openvino"].precisions() if p in peak]
    for keypoints in KEYPOINTS:
        say(f"decode, track, decide, publish, {keypoints} keypoints ...")
        rows.append(decode_row(package, engine, keypoints))
        rows += track_rows(package, keypoints)
        rows.append(publish_row(keypoints, package))
    order = ("preprocess", "infer", "decode", "track", "decide", "publish")
    rows.sort(key=lambda row: order.index(row.stage))
    return {
        "bench": "stages",
        **conditions(),
        "peak_gflops": {name: asdict(p) for name, p in peak.items()},
        "copy_gb_per_s": {str(size): copy_bytes_per_s(size) / 1e9 for size in (1 << 16, 1 << 20, 1 << 26)},
        "rows": [{**asdict(row), "distance": row.distance} for row in rows],
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
    head = ["stage", "what", "n", "P50, ms", "P99, ms", "floor, ms", "P50 / floor", "the floor is"]
    rows = []
    for r in figures["rows"]:
        ms = r["ms"]
        numbers = (str(ms["n"]), f"{ms['p50']:.4f}", f"{ms['p99']:.4f}", f"{r['floor_ms']:.5f}")
        rows.append([r["stage"], r["what"], *numbers, f"{r['distance']:.1f}", r["floor"]])
    peak = "; ".join(
        f"{name} {p['per_s'] / 1e9:.0f} GFLOP/s ({p['kernel']})" for name, p in figures["peak_gflops"].items()
    )
    copy = ", ".join(f"{int(s) >> 10:,} KiB {gb:.0f}" for s, gb in figures["copy_gb_per_s"].items())
    return "\n".join(
        [
            "# Each stage alone, and its floor\n",
            f"{machine_line(figures)}\n",
            f"Measured peak: {peak}. Copy, one core, GB/s read and written: {copy}.\n",
            markdown_table(head, rows),
        ]
    )


if __name__ == "__main__":
    sys.exit(run(Options, measure, table))
