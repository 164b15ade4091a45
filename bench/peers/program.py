"""Ours beside the programs that others use, on the same frames: alternating blocks, ratios, keypoints in px.

    python -m bench.peers --setup DIR
    python -m bench.peers --video FILE --kind dlc --model EXPORT.pt --python DIR/dlc/bin/python \\
        --package float32:IMPORTED --package bf16:IMPORTED --package auto:OURS [--out bench/results/NAME]

The peer runs in its own Python (`train.importing.original_program`), which keeps the frames and times its own
calls: `DLCLive.get_pose`, or a sleap-nn export in ONNX Runtime. Ours is the loop's chain from frame to
keypoints: resize, normalise, network, decode, back to frame pixels. All have the same number of threads. A
round is a block of each, in turning order; rounds in which other processes took part of the machine are left
out and counted. On a CPU both peers' default path is the fastest they offer.

Before each block there is a pause and then a frame or two that do not count: the worker threads of whoever
came before wait busily for some milliseconds, and the caches hold their weights. Counted, those frames alone
would make P99, in blocks of 20 one frame in 20. What they took is kept in the JSON, with every other time.
Our process collects its garbage and freezes what is left before the first round, as the live loop does.

`rt-pose import` makes a package of a peer's network. Frames are handed over at the size of the first
package's input, unless its network was imported for frames as they are.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from bench.output import conditions, machine_line, markdown_table
from bench.peers.alternate import SETTLE, TimeFrames, Times, alternate
from bench.peers.environments import make_environments
from bench.program import Out, guarded, run
from rt_pose.clock import NS_PER_MS, HostClock
from rt_pose.config.build import build
from rt_pose.config.schema import EngineConfig
from rt_pose.errors import UserError
from rt_pose.inference.choose_engine import EngineChoice, choose_engine
from rt_pose.inference.device import physical_cores
from rt_pose.inference.estimator import CpuEstimator
from rt_pose.package import GOLDEN_CONFIDENCE, Package, read_package
from train.data.sample_frames import SampleFrames, read_tried_frames, resized
from train.importing.original_program import Kind, OriginalProgram
from train.importing.package import compare

PEER = "the peer"
FRAMES = 32
PARITY_FRAMES = 16


@dataclass
class Ours:
    """A package in a precision, ready to run, and its times."""

    name: str
    package: Package
    choice: EngineChoice
    frames: SampleFrames
    """Frames in the colours that its network takes."""
    times: Times = field(default_factory=Times)


@dataclass(kw_only=True)
class PeerPlan:
    """Options of the command line."""

    kind: Annotated[Kind, "which peer"]
    python: Annotated[Path, "Python of the peer's environment"]
    model: Annotated[Path, "the peer's model"]
    package: Annotated[list[str], "PRECISION:FOLDER; may be repeated"]
    video: Annotated[Path, "video or folder of images"]
    rounds: int = 20
    block: Annotated[int, "frames a block"] = 10
    threads: int = field(default_factory=physical_cores)
    out: Out = None


@dataclass(kw_only=True)
class SetupOptions:
    """Options of a command line that makes the environments instead of a comparison."""

    setup: Annotated[Path, "only make the peers' environments there"]


def measure(plan: PeerPlan) -> dict[str, Any]:
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
    ours = [_open(wanted, plan) for wanted in plan.package]
    frames = ours[0].frames
    clock = HostClock()
    with OriginalProgram(plan.kind, plan.python, plan.model, plan.threads) as peer:
        parity = {o.name: _parity(o, peer) for o in ours if _same_keypoints(o, ours[0])}
        peer.send(frames.images)
        theirs, left_out = _alternate(plan, peer, ours, clock)
        figures: dict[str, Any] = {
            "bench": "peers",
            **conditions(),
            "peer": {"name": peer.name, "model": plan.model.name, **theirs.figures()},
            "threads": plan.threads,
            "frames": {"source": plan.video.name, "size": frames.size, "n": len(frames.images)},
            "rounds": {
                "asked": plan.rounds,
                "left_out": left_out,
                "block": plan.block,
                "settling": SETTLE,
            },
            "ours": [],
        }
    for o in ours:
        figures["ours"].append(
            {
                "name": o.name,
                "engine": str(o.choice),
                **o.times.figures(),
                "times_faster": _ratios(theirs.counted, o.times.counted),
                "against_peer_px": parity.get(o.name),
                "displacement_px": _displacement(o),
            }
        )
    return figures


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
    peer, rounds = figures["peer"], figures["rounds"]
    head = [
        "program",
        "n",
        "P50, ms",
        "P99, ms",
        "P50 ratio",
        "P99 ratio",
        "against the peer, px (median / max)",
        "from its float32, px (median / P95)",
    ]
    rows = [[peer["name"], *_numbers(peer["ms"]), "1", "1", "-", "-"]]
    for o in figures["ours"]:
        apart = o["against_peer_px"]
        text = "-" if apart is None or not apart["n"] else f"{apart['median']:.3f} / {apart['max']:.3f}"
        p50, p99 = (f"{o['times_faster'][key]:.2f}" for key in ("p50", "p99"))
        rows.append([o["name"], *_numbers(o["ms"]), p50, p99, text, _moved(o["displacement_px"])])
    width, height = figures["frames"]["size"]
    return "\n".join(
        [
            f"# {peer['name']} beside ours\n",
            f"{machine_line(figures)}; {figures['threads']} threads each; frames of {width}x{height} from "
            f"{figures['frames']['source']}; blocks of {rounds['block']} in turn, {rounds['asked']} rounds; "
            f"{rounds['left_out']} left out, other processes having been at work. A ratio is the peer's "
            "time over ours.\n",
            markdown_table(head, rows),
        ]
    )


def set_up(options: SetupOptions) -> int:
    """Make the peers' environments.

    Parameters
    ----------
    options
        The command line.

    Returns
    -------
    int
        Exit status.

    Raises
    ------
    UserError
        Where an installation fails.
    """
    for name, python in make_environments(options.setup).items():
        print(f"{name}: --python {python}")
    return 0


def _open(wanted: str, plan: PeerPlan) -> Ours:
    precision, colon, folder = wanted.partition(":")
    if not colon:
        raise UserError(f"--package {wanted}: expected PRECISION:FOLDER, such as float32:runs/imported")
    config = build(EngineConfig, {"precision": precision, "threads": plan.threads}, f"--package {wanted}")
    package = read_package(folder)
    choice = choose_engine(package, config)
    name = f"{package.path.parent.name}/{package.path.name}, {choice.engine.precision}"
    return Ours(name, package, choice, _frames(plan, package))


def _frames(plan: PeerPlan, package: Package) -> SampleFrames:
    spec = package.manifest.input
    frames = read_tried_frames(plan.video, spec.channels, FRAMES)
    first = read_package(plan.package[0].partition(":")[2]).manifest.input
    return frames if first.frame is not None else resized(frames, first.width, first.height)


def _same_keypoints(ours: Ours, first: Ours) -> bool:
    return ours.package.manifest.keypoints == first.package.manifest.keypoints and (
        ours.package.manifest.decode.decoder == first.package.manifest.decode.decoder
    )


def _parity(ours: Ours, peer: OriginalProgram) -> dict[str, Any]:
    """Between our keypoints and the peer's on the same frames, decoded as the peer does."""
    images = ours.frames.images[:PARITY_FRAMES]
    manifest, engine = ours.package.manifest, ours.choice.engine
    decode = replace(manifest.decode, decoder=peer.decoder or manifest.decode.decoder)
    found = CpuEstimator(engine, decode, ours.choice.preprocess).estimate_all(images)
    return compare(found.xy, peer.poses(images)[..., :2])


def _alternate(
    plan: PeerPlan,
    peer: OriginalProgram,
    ours: list[Ours],
    clock: HostClock,
) -> tuple[Times, int]:
    """The peer's times and how many rounds were left out; ours are kept in `ours`."""

    def time_peer(places: range) -> list[float]:
        return [ns / NS_PER_MS for ns in peer.time_ns(len(places))]

    programs: dict[str, TimeFrames] = {PEER: time_peer}
    programs |= {str(i): partial(_time, o, clock=clock) for i, o in enumerate(ours)}
    times, left_out = alternate(programs, plan.rounds, plan.block, [peer.pid], clock)
    for i, o in enumerate(ours):
        o.times = times[str(i)]
    return times[PEER], left_out


def _time(ours: Ours, places: range, clock: HostClock) -> list[float]:
    """Times (ms) of the frames at `places`, counted round and round."""
    elapsed, images = [], ours.frames.images
    for place in places:
        image = images[place % len(images)]
        start = clock.now_ns()
        ours.choice.estimator.estimate(image)
        elapsed.append((clock.now_ns() - start) / NS_PER_MS)
    return elapsed


def _ratios(peer_ms: list[float], ours_ms: list[float]) -> dict[str, float]:
    return {
        name: float(np.percentile(peer_ms, q) / np.percentile(ours_ms, q))
        for name, q in (("p50", 50), ("p99", 99))
    }


def _displacement(ours: Ours) -> dict[str, float | None] | None:
    """Get the displacement of this precision from float32, as its package states it."""
    report = ours.package.manifest.precisions.get(ours.choice.engine.precision)
    if report is None:
        return None
    return {
        "median": report.video_median_px
        if report.video_median_px is not None
        else report.displacement_median_px,
        "p95": report.largest_p95_px,
        "confidence_from": GOLDEN_CONFIDENCE,
    }


def _moved(displacement: dict[str, float] | None) -> str:
    return "-" if displacement is None else f"{displacement['median']:.3f} / {displacement['p95']:.3f}"


def _numbers(ms: dict[str, Any]) -> list[str]:
    return [str(ms["n"]), f"{ms['p50']:.2f}", f"{ms['p99']:.2f}"]


def main() -> int:
    """Run the command line; print a table and, last, one JSON line.

    Returns
    -------
    int
        Exit status.
    """
    if any(word.startswith("--setup") for word in sys.argv):
        return guarded(SetupOptions, set_up)
    return run(PeerPlan, measure, table)
