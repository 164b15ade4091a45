"""A recorded video through Lightning Pose and through `rt-pose predict`: frames a second, in turn.

    python -m bench.peers.litpose --python ENV/bin/python --work FOLDER --video FILE
        [--frames 288] [--rounds 3] [--peer eager:96 --peer onnx:16] [--package auto:OURS]
        [--out bench/results/NAME]

Both run the same ResNet-18 at 256x256 with 17 keypoints: Lightning Pose makes it, with random weights, and
its ONNX export is brought in as a package by `rt-pose import onnx`; FOLDER keeps both. Its keypoints mean
nothing, their cost does not depend on that. A further `--package PRECISION:FOLDER` goes beside it. A peer is
RUNTIME:BATCH: eager:96 is what `litpose predict` does by itself; ONNX Runtime in float32 and smaller batches
are other ways it has on a CPU.

ENV has lightning-pose 2.4.3 (`--no-deps`: it asks for a DALI that cannot be installed without NVIDIA's own
index), its dependencies, nvidia-dali-cuda120, onnx, onnxscript and onnxruntime.

A time goes from the video file to the CSV on disk, the network being loaded and warm: on both sides reading,
resizing, network, keypoints, CSV. Each side has the threads it takes by itself.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import av
import numpy as np
import yaml

from bench.background_load import BackgroundLoad
from bench.output import conditions, machine_line, markdown_table
from bench.program import Out, run, say
from rt_pose.clock import NS_PER_S, HostClock
from rt_pose.config.build import build
from rt_pose.config.schema import EngineConfig
from rt_pose.errors import UserError
from rt_pose.offline.predict import Predictor
from rt_pose.package import read_package
from rt_pose.video import probe
from train.importing.original_program import WorkerProcess
from train.importing.verbs import import_onnx

WORKER = Path(__file__).with_name("litpose_worker.py")
KEYPOINTS, SIZE, STRIDE = 17, 256, 4
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LEVELS = 255
RUNTIMES = ("eager", "onnx")


@dataclass
class TimedRuntime:
    """One way from a video to a CSV."""

    name: str
    seconds: Callable[[Path], float]
    """Predicts a video; returns how long it took, s."""
    took_s: list[float] = field(default_factory=list)


@dataclass(kw_only=True)
class LitposePlan:
    """Options of the command line."""

    python: Annotated[Path, "Python of Lightning Pose's environment"]
    work: Annotated[Path, "folder for models and predictions"]
    video: Path
    frames: Annotated[int, "only the video's first so many; 0: all"] = 0
    rounds: int = 3
    peer: Annotated[list[str], "RUNTIME:BATCH; ratios are to the first and to the fastest"] = field(
        default_factory=lambda: ["eager:96"]
    )
    package: Annotated[list[str], "PRECISION:FOLDER, beside the peer's network"] = field(default_factory=list)
    out: Out = None


def measure(plan: LitposePlan) -> dict[str, Any]:
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
    probe(plan.video)
    if plan.frames < 0 or plan.rounds < 1:
        raise UserError("--frames: expected 0 or more; --rounds: 1 or more")
    plan.work.mkdir(parents=True, exist_ok=True)
    command = [str(plan.python), str(WORKER), str(plan.work), str(KEYPOINTS), str(plan.video.absolute())]
    with WorkerProcess(command, f"{plan.python} (Lightning Pose)") as peer:
        hello = peer.answer()
        say(f"{hello['name']}, {hello['threads']} threads")
        video = shortened(plan.video, plan.frames, plan.work)
        peers = [_peer(wanted, peer, hello["name"], plan.work) for wanted in plan.peer]
        ours = [_ours(wanted, plan.work) for wanted in [f"float32:{_imported(plan)}", *plan.package]]
        warm = shortened(plan.video, min(16, plan.frames or 16), plan.work)
        for runner in [*peers, *ours]:
            runner.seconds(warm)
        shares = _rounds(plan.rounds, [*peers, *ours], video, BackgroundLoad([peer.pid]))
    return {
        "bench": "peers_litpose",
        **conditions(),
        "peer": {"name": hello["name"], "threads": hello["threads"]},
        "video": {"source": plan.video.name, "frames": probe(video).frames},
        "rounds": {"n": plan.rounds, "others_share": shares},
        "peers": [_figures(runner, video) for runner in peers],
        "ours": [_figures(runner, video) | _ratios(runner, peers) for runner in ours],
    }


def shortened(video: Path, frames: int, folder: Path) -> Path:
    """Copy the first coded frames of a video as they are.

    Parameters
    ----------
    video
        The video.
    frames
        How many; 0 for all.
    folder
        Where the copy is written.

    Returns
    -------
    Path
        The copy; the video itself where `frames` is 0.
    """
    if not frames:
        return video
    target = folder / f"{video.stem}_{frames}{video.suffix}"
    with av.open(str(video)) as source, av.open(str(target), "w") as out:
        stream = source.streams.video[0]
        copy = out.add_stream_from_template(stream)
        for number, packet in enumerate(source.demux(stream)):
            if number >= frames or packet.dts is None:
                break
            packet.stream = copy
            out.mux(packet)
    return target


def onnx_spec() -> dict[str, Any]:
    """Describe the peer's network for `rt-pose import onnx`.

    Returns
    -------
    dict[str, Any]
        The content of the description's YAML file.
    """
    return {
        "keypoints": [f"k{i}" for i in range(KEYPOINTS)],
        "input": {
            "width": SIZE,
            "height": SIZE,
            "channels": 3,
            "mean": [value * LEVELS for value in MEAN],
            "std": [value * LEVELS for value in STD],
        },
        # Lightning Pose puts heatmap pixel i at input pixel 4 i, not at the middle of the four it covers.
        "decode": {"stride": STRIDE, "activation": "softmax", "offset_px": 0.0},
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
    first = figures["peers"][0]["name"]
    fastest = min(figures["peers"], key=lambda one: float(one["median_s"]))["name"]
    rows = [
        [one["name"], f"{one['median_s']:.2f}", f"{one['frames_per_s']:.1f}", *_times(one)]
        for one in [*figures["peers"], *figures["ours"]]
    ]
    shares = ", ".join(f"{share:.0%}" for share in figures["rounds"]["others_share"])
    return "\n".join(
        [
            f"# {figures['peer']['name']} beside `rt-pose predict`\n",
            f"{machine_line(figures)}; {figures['video']['frames']} frames of {figures['video']['source']}; "
            f"{figures['rounds']['n']} rounds in turn, medians; other processes had {shares} of the machine. "
            f"Rates against {first}, and against its fastest, {fastest}.\n",
            markdown_table(["program", "s", "frames a second", "against the first", "the fastest"], rows),
        ]
    )


def _times(one: dict[str, Any]) -> list[str]:
    found = one.get("times_faster")
    return ["", ""] if found is None else [f"{found['first']:.2f}", f"{found['fastest']:.2f}"]


def _imported(plan: LitposePlan) -> Path:
    """Get the package of the peer's network, made where it does not exist yet."""
    folder, spec = plan.work / "resnet18", plan.work / "spec.yaml"
    if not folder.exists():
        spec.write_text(yaml.safe_dump(onnx_spec()), encoding="utf-8")
        options = {"file": plan.work / "network.onnx", "spec": spec, "frames": plan.video, "out": folder}
        import_onnx(options)
    return folder


def _peer(wanted: str, peer: WorkerProcess, name: str, work: Path) -> TimedRuntime:
    runtime, _, batch = wanted.partition(":")
    if runtime not in RUNTIMES or not batch.isdecimal() or not int(batch):
        raise UserError(
            f"--peer {wanted}: expected RUNTIME:BATCH such as eager:96, RUNTIME one of {', '.join(RUNTIMES)}"
        )
    out = str((work / "theirs").absolute())
    order = {"do": "predict", "runtime": runtime, "batch": int(batch), "out": out}

    def seconds(video: Path) -> float:
        peer.order(order | {"video": str(video.absolute())})
        return float(peer.answer()["s"])

    return TimedRuntime(f"{name}, {runtime}, batches of {batch}", seconds)


def _ours(wanted: str, work: Path) -> TimedRuntime:
    precision, colon, folder = wanted.partition(":")
    if not colon:
        raise UserError(f"--package {wanted}: expected PRECISION:FOLDER, such as auto:runs/mouse/package")
    package = read_package(folder)
    predictor = Predictor(package, build(EngineConfig, {"precision": precision}, f"--package {wanted}"))
    clock = HostClock()

    def seconds(video: Path) -> float:
        start = clock.now_ns()
        predictor.write(video, work / "ours" / f"{video.stem}.csv", lambda _: None)
        return (clock.now_ns() - start) / NS_PER_S

    return TimedRuntime(
        f"rt-pose, {package.path.parent.name}/{package.path.name}, {predictor.choice.engine.precision}",
        seconds,
    )


def _rounds(count: int, runners: list[TimedRuntime], video: Path, others: BackgroundLoad) -> list[float]:
    """Each runner once a round, in turning order; the share of the machine that others had in each round."""
    shares = []
    for number in range(count):
        turn = number % len(runners)
        others.start()
        for runner in runners[turn:] + runners[:turn]:
            runner.took_s.append(runner.seconds(video))
            say(f"round {number + 1}: {runner.name}: {runner.took_s[-1]:.2f} s")
        shares.append(others.share())
    return shares


def _figures(runner: TimedRuntime, video: Path) -> dict[str, Any]:
    median = statistics.median(runner.took_s)
    return {
        "name": runner.name,
        "s": runner.took_s,
        "median_s": median,
        "frames_per_s": probe(video).frames / median,
    }


def _ratios(runner: TimedRuntime, peers: list[TimedRuntime]) -> dict[str, Any]:
    """The peers' medians over ours."""
    medians = [statistics.median(peer.took_s) for peer in peers]
    own = statistics.median(runner.took_s)
    return {"times_faster": {"first": medians[0] / own, "fastest": float(np.min(medians)) / own}}


def main() -> int:
    """Run the command line; print a table and, last, one JSON line.

    Returns
    -------
    int
        Exit status.
    """
    return run(LitposePlan, measure, table)


if __name__ == "__main__":
    sys.exit(main())
