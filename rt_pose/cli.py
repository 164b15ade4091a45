"""`rt-pose VERB`: one function a verb. Heavy imports live inside it, so that `--help` answers at once."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jsonargparse import ArgumentParser, DefaultHelpFormatter, Namespace, set_parsing_settings

from rt_pose import __version__
from rt_pose.clock import HostClock
from rt_pose.config import CameraConfig, EngineConfig, PublishConfig, RunConfig, build, load
from rt_pose.errors import UserError

if TYPE_CHECKING:
    from rt_pose.package import Package
    from rt_pose.session.run import RunResult

EXIT_OK, EXIT_FAILED, EXIT_USER = 0, 1, 2

DESCRIPTION = """Real-time closed-loop animal pose tracking.

A first look, with nothing else at hand:
    rt-pose demo
Your own labeled frames to a model:
    rt-pose train fit configs/train/mirror-mouse.yaml --data FOLDER --out OUT
The model on a recorded video, live:
    rt-pose run configs/video.yaml --model OUT/package --camera VIDEO.mp4
What a session was like, and its decisions once more:
    rt-pose report SESSION
    rt-pose replay SESSION
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb; 0 well, 1 not as it should be, 2 a mistake the user can mend."""
    argv = _name_configs(list(sys.argv[1:] if argv is None else argv))
    try:
        _check_config(argv)
        parser = _parser(argv)
        arguments = parser.parse_args(argv)
        verb, options = _chosen(arguments)
        if verb not in VERBS:
            parser.print_help()
            return EXIT_USER
        return VERBS[verb][1](options)
    except UserError as error:
        print(f"rt-pose: {error}", file=sys.stderr)
        return EXIT_USER
    except KeyboardInterrupt:
        print("rt-pose: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader of our output (`| head`) has gone; a further word would only raise again.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        return EXIT_FAILED


# ---------------------------------------------------------------- verbs


def demo(options: Namespace) -> int:
    """Train on a simulated animal, then run the closed loop on it, with a stimulus it reacts to."""
    from rt_pose.demo import run_demo

    return EXIT_OK if run_demo(Path(options.out), options.seconds) else EXIT_FAILED


def train_fit(options: Namespace) -> int:
    """Train on labeled frames (Lightning Pose layout); writes OUT/package."""
    from train.config import TrainConfig
    from train.fit import fit

    config = build(TrainConfig, _plain(options), "train fit")
    package = fit(config, say=print)
    print(f"model package: {package}")
    return EXIT_OK


def train_show_augmented(options: Namespace) -> int:
    """Draw a sheet of augmented samples with their keypoints: what the network will see."""
    from train.config import TrainConfig
    from train.data.sheet import show_augmented

    config = build(TrainConfig, _plain(options), "train show-augmented")
    print(f"sheet: {show_augmented(config, say=print)}")
    return EXIT_OK


def train_calibrate(options: Namespace) -> int:
    """Fit the filter to recordings (and labels) and write it into the model package."""
    from train.calibrate import CalibrateConfig, calibrate

    package = calibrate(build(CalibrateConfig, _plain(options), "train calibrate"), say=print)
    print(f"model package: {package.path} (calibrated, {package.sha256[:12]})")
    return EXIT_OK


def train_evaluate(options: Namespace) -> int:
    """How good a package is: errors, jitter, honest confidence, plausible movement; a page and CSVs."""
    from train.evaluation.config import EvaluateConfig
    from train.evaluation.evaluate import evaluate

    print(f"page: {evaluate(build(EvaluateConfig, _plain(options), 'train evaluate'), say=print)}")
    return EXIT_OK


def train_quantise(options: Namespace) -> int:
    """Add networks of lower precision (mixed, int8) to a package, with what they cost in pixels."""
    from train.quantise import quantise
    from train.quantise_config import QuantiseConfig

    package = quantise(build(QuantiseConfig, _plain(options), "train quantise"), say=print)
    print(f"model package: {package.path}; run it with --engine.precision mixed (or int8)")
    return EXIT_OK


def predict(options: Namespace) -> int:
    """Keypoints of recorded videos, one or thousands, offline, as Lightning Pose CSVs."""
    from rt_pose.offline.predict import predict_video
    from rt_pose.package import read_package

    engine = build(EngineConfig, _plain(options.engine), "predict")
    if (options.video is None) == (options.videos is None):
        raise UserError("predict: give either --video FILE, or --videos with a folder, a pattern or a list")
    package = read_package(options.model)
    if options.videos is not None:
        return _predict_many(package, options, engine)
    choice = predict_video(package, Path(options.video), Path(options.out), engine)
    print(f"engine: {choice}")
    print(f"predictions: {options.out}")
    return EXIT_OK


def _predict_many(package: Package, options: Namespace, engine: EngineConfig) -> int:
    from rt_pose.offline.cluster import predict_on_cluster
    from rt_pose.offline.cluster_config import ClusterConfig
    from rt_pose.offline.done import only_one
    from rt_pose.offline.find_videos import find_videos
    from rt_pose.offline.predict_many import conclude, predict_many

    out, clock = Path(options.out), HostClock()
    cluster = build(ClusterConfig, _plain(options.cluster), "predict")
    jobs = find_videos(options.videos, out)
    if cluster.where == "here":
        with only_one(out):
            outcome = predict_many(package, jobs, engine, clock, print)
    else:
        outcome = predict_on_cluster(package, jobs, out, engine, cluster, clock, print)
    return EXIT_OK if conclude(outcome, out, print) else EXIT_FAILED


def smooth(options: Namespace) -> int:
    """Several networks' predictions of one video to one: ensemble Kalman smoothing of CSV files."""
    from rt_pose.offline.smooth_files import smooth_files

    for line in smooth_files([Path(p) for p in options.csv], Path(options.out), options.mode, options.parts):
        print(line)
    print(f"smoothed: {options.out}")
    return EXIT_OK


def run(options: Namespace) -> int:
    """Run the closed loop: camera, network, filter, rules, outputs; records a session."""
    import rigs
    from rt_pose.session.console import RunConsole, default_session
    from rt_pose.session.run import run_session

    clock = HostClock()
    plain = _plain(options)
    camera, out, plot = plain.pop("camera", None), plain.pop("out", None), plain.pop("report", True)
    config = build(RunConfig, plain, "run")
    if camera:
        config.cameras = _replace_camera(config.cameras, camera)
    session = Path(out) if out else default_session(clock)
    with RunConsole() as console:
        result = run_session(config, session, rigs.register, clock, console)
    return _conclude(result, plot)


def bench_latency(options: Namespace) -> int:
    """Latency on a recorded video at its own pace or a stated rate, through the live path."""
    from bench.latency import bench_latency as bench

    return EXIT_OK if bench(_plain(options)) else EXIT_FAILED


def bench_triggers(options: Namespace) -> int:
    """Try rules on a recording with faults injected, scored against a table of where the animal was."""
    from bench.triggers import bench_triggers as bench

    return EXIT_OK if bench(options.as_dict()) else EXIT_FAILED


def import_onnx(options: Namespace) -> int:
    """Any heatmap network as ONNX, with a YAML that describes it, as a model package."""
    from train.importing.verbs import import_onnx as make

    return _imported(make(_plain(options), print))


def import_dlc(options: Namespace) -> int:
    """A DeepLabCut 3 export (PyTorch .pt, as DeepLabCut-Live reads it) as a model package."""
    from train.importing.verbs import import_dlc as make

    return _imported(make(_plain(options), print))


def import_sleap(options: Namespace) -> int:
    """A sleap-nn ONNX export (single instance) as a model package."""
    from train.importing.verbs import import_sleap as make

    return _imported(make(_plain(options), print))


def _imported(package: Package) -> int:
    print(f"model package: {package.path}")
    return EXIT_OK


def view(options: Namespace) -> int:
    """A window on a running loop: frame, skeleton, speed, latency, events."""
    from rt_pose.viewer import main as view_main

    return int(view_main(options.connect))


def replay(options: Namespace) -> int:
    """Compute a session's decisions again from its log: exit 0 identical, 1 differs."""
    from rt_pose.session.audit import Audit, audit

    wanted = Audit(options.set or [], options.from_video, options.model, tolerance_ms=options.tolerance_ms)
    if options.hindsight:
        from rt_pose.offline.smooth import smooth_observations

        wanted.smooth = smooth_observations
    return EXIT_OK if audit(Path(options.session), wanted, say=print) else EXIT_FAILED


def order(options: Namespace) -> int:
    """Give an order to a running loop: start, stop, arm, disarm, emergency, block, set, mark."""
    from rt_pose.session.orders import arguments, give_order

    give_order(options.connect, options.do, arguments(options.do, options.words))
    print(f"{options.do}: done")
    return EXIT_OK


def report(options: Namespace) -> int:
    """Write report.html and report.json of a session."""
    from rt_pose.session.report import make_report

    make_report(Path(options.session))
    print(f"report: {Path(options.session) / 'report.html'}")
    return EXIT_OK


def rules_check(options: Namespace) -> int:
    """Explain each rule of a configuration in a sentence; draw its zones on a frame."""
    from rt_pose.rules.check import check

    config = load(RunConfig, Path(options.config))
    for line in check(config, options.model, options.video, options.image, options.out):
        print(line)
    return EXIT_OK


def devices(options: Namespace) -> int:  # noqa: ARG001
    """List the cameras and outputs that can be used here."""
    import rigs
    from rt_pose import drivers

    rigs.register()
    for kind, table in (("camera", drivers.cameras()), ("output", drivers.outputs())):
        for name, driver in sorted(table.items()):
            for found in driver.find():  # type: ignore[attr-defined]
                state = "usable" if found.usable else f"not usable: {found.remedy}"
                print(f"{kind:7} {name:12} {found.serial or '-':16} {found.description} ({state})")
    return EXIT_OK


# ---------------------------------------------------------------- parsers


def _demo_parser(parser: ArgumentParser) -> None:
    parser.add_argument("--out", type=str, default="runs/demo", help="Folder of the demo; replaced.")
    parser.add_argument("--seconds", type=float, default=20.0, help="Length of the closed-loop run.")


def _train_parser(parser: ArgumentParser) -> None:
    from train.config import TrainConfig

    _add_config(parser, TrainConfig)


def _calibrate_parser(parser: ArgumentParser) -> None:
    parser.add_argument("--model", type=str, required=True, help="Folder of the model package; rewritten.")
    parser.add_argument("--video", type=str, nargs="+", required=True, help="Recordings of the rig.")
    parser.add_argument("--labels", type=str, help="Labels file of frames that the network did not train on.")
    parser.add_argument(
        "--views", type=str, nargs="*", default=[], help="One body part in several views: paw_top=paw_bottom."
    )
    parser.add_argument("--frames", type=int, default=3000, help="Frames of each recording to use.")
    parser.add_class_arguments(EngineConfig, "engine")


def _evaluate_parser(parser: ArgumentParser) -> None:
    from train.evaluation.config import EvaluateConfig

    parser.add_class_arguments(EvaluateConfig, nested_key=None, skip={"views"})
    parser.add_argument(
        "--views", type=str, nargs="*", default=[], help="One body part in several views: paw_top=paw_bottom."
    )


def _quantise_parser(parser: ArgumentParser) -> None:
    from train.quantise_config import QuantiseConfig

    parser.add_class_arguments(QuantiseConfig, nested_key=None)


def _predict_parser(parser: ArgumentParser) -> None:
    from rt_pose.offline.cluster_config import ClusterConfig

    parser.add_argument("--model", type=str, required=True, help="Folder of the model package.")
    parser.add_argument("--video", type=str, help="The recording.")
    parser.add_argument("--videos", type=str, help="Many: a folder, a pattern in quotes, or a list of paths.")
    parser.add_argument("--out", type=str, required=True, help="The CSV to write; of many, their folder.")
    parser.add_class_arguments(EngineConfig, "engine")
    parser.add_class_arguments(ClusterConfig, "cluster")


def _smooth_parser(parser: ArgumentParser) -> None:
    parser.add_argument("csv", type=str, nargs="+", help="Prediction CSV of each network, of one video.")
    parser.add_argument("--out", type=str, required=True, help="The CSV to write.")
    parser.add_argument(
        "--mode", type=Literal["single", "multiview", "pupil"], default="single", help="What moves together."
    )
    parser.add_argument(
        "--parts",
        type=str,
        nargs="*",
        default=[],
        help="multiview: each part's views, paw_top=paw_bottom; pupil: top=, bottom=, left=, right=KEYPOINT.",
    )


def _run_parser(parser: ArgumentParser) -> None:
    _add_config(parser, RunConfig)
    parser.add_argument(
        "--camera",
        type=str,
        help="sim, video:PATH, a bare path, or DRIVER:SERIAL; in place of the configuration's cameras.",
    )
    parser.add_argument("--out", type=str, help="Session folder; a new one in sessions/ where not given.")
    parser.add_argument("--report", type=bool, default=True, help="Write the report at the end.")


def _bench_parser(parser: ArgumentParser) -> None:
    parser.add_argument("--model", type=str, required=True, help="Folder of the model package.")
    parser.add_argument("--video", type=str, required=True, help="The recording.")
    parser.add_argument("--rate", type=float, help="Frames a second; the recording's own where not given.")
    parser.add_argument("--seconds", type=float, default=20.0, help="Length; the recording is repeated.")
    parser.add_argument("--budget", type=float, default=50.0, help="Exposure to decision (ms).")
    parser.add_argument("--size", type=str, help="WIDTHxHEIGHT to which the recording is scaled.")
    parser.add_argument("--channels", type=str, default="auto", help="1 gray, 3 RGB, auto as the network.")
    parser.add_argument("--preload", type=bool, default=True, help="Decode ahead into memory.")
    parser.add_argument(
        "--reference",
        type=str,
        default="alternate",
        help="alternate: the bare engine in blocks between the loop's; ends: before and after the run.",
    )
    parser.add_argument("--sustainable", action="store_true", help="Search for the sustainable rate as well.")
    parser.add_argument("--compare", type=str, help="latency.json of an earlier run, for ratios.")
    parser.add_argument("--out", type=str, help="Folder of results; a new one in runs/bench/ if not given.")
    parser.add_argument("--json", type=str, help="Write the figures to this file as well.")
    parser.add_class_arguments(EngineConfig, "engine")


def _triggers_parser(parser: ArgumentParser) -> None:
    from rigs.faults import BAD_DAY, FaultOptions

    parser.add_argument("--video", type=str, required=True, help="The recording.")
    parser.add_argument(
        "--truth",
        type=str,
        required=True,
        help="CSV with a row a frame of the recording: labels, or predictions smoothed offline.",
    )
    parser.add_argument("--model", type=str, required=True, help="Folder of the model package.")
    parser.add_argument("--config", type=str, required=True, help="YAML with the rules, zones and outputs.")
    parser.add_argument("--rate", type=float, help="Frames a second; the recording's own where not given.")
    parser.add_argument("--out", type=str, help="Session folder; a new one in sessions/ where not given.")
    parser.add_argument("--json", type=str, help="Write the figures here as well.")
    _tolerance(parser)
    parser.add_class_arguments(FaultOptions, "faults")
    parser.set_defaults({f"faults.{name}": value for name, value in BAD_DAY.items()})


def _import_parser(parser: ArgumentParser) -> None:
    parser.add_argument("file", type=str, help="The model: a file or, for sleap, the export's folder.")
    parser.add_argument("--frames", type=str, required=True, help="Video or folder of images to try it on.")
    parser.add_argument("--out", type=str, required=True, help="Folder of the package; replaced.")
    parser.add_argument("--labels", type=str, help="CSV of labeled frames (Lightning Pose), for errors.")


def _import_original_parser(parser: ArgumentParser) -> None:
    _import_parser(parser)
    parser.add_argument("--size", type=str, help="WxH to resize frames to; as they are where not given.")
    parser.add_argument("--python", type=str, help="A Python with the original program, to compare with.")


def _import_onnx_parser(parser: ArgumentParser) -> None:
    _import_parser(parser)
    parser.add_argument("--spec", type=str, required=True, help="YAML: keypoints, input, decode, outputs.")


def _view_parser(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--connect", type=str, default=PublishConfig.address, help="Address the loop publishes on."
    )


def _order_parser(parser: ArgumentParser) -> None:
    parser.add_argument(
        "do",
        type=str,
        help="start, stop, arm, disarm, emergency; block NAME, set KEY VALUE, mark TEXT.",
    )
    parser.add_argument("words", type=str, nargs="*", default=[], help="What the order is about.")
    parser.add_argument(
        "--connect", type=str, default=PublishConfig.control, help="Address of the run's control socket."
    )


def _session_parser(parser: ArgumentParser) -> None:
    parser.add_argument("session", type=str, help="Session folder.")


def _replay_parser(parser: ArgumentParser) -> None:
    _session_parser(parser)
    parser.add_argument(
        "--set",
        type=str,
        action="append",
        metavar="KEY=VALUE",
        help="What would have differed with another parameter, e.g. rules.reach.hold='30 ms'; may be given "
        "several times.",
    )
    parser.add_argument(
        "--from-video",
        action="store_true",
        help="Also run the network again, on the session's film: how far poses move, which events differ.",
    )
    parser.add_argument("--model", type=str, help="Model package for --from-video; the session's own.")
    parser.add_argument(
        "--hindsight",
        action="store_true",
        help="Also score each rule against the smoothed session, and against the truth where the rig knew "
        "it; writes SESSION/hindsight.html and .json.",
    )
    _tolerance(parser)


def _tolerance(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--tolerance-ms",
        type=float,
        default=100.0,
        help="So far from the episode it belongs to may an event take effect (ms).",
    )


def _rules_parser(parser: ArgumentParser) -> None:
    parser.add_argument("config", type=str, help="YAML file of a run.")
    parser.add_argument("--model", type=str, default="", help="Model package: its keypoints' names.")
    parser.add_argument("--video", type=str, default="", help="Recording whose first frame is drawn on.")
    parser.add_argument("--image", type=str, default="", help="Picture to draw on, in place of a recording.")
    parser.add_argument("--out", type=str, default="", help="PNG to write; none where not given.")


def _no_options(parser: ArgumentParser) -> None:  # noqa: ARG001
    return


Verb = tuple[Callable[[ArgumentParser], None], Callable[[Namespace], int]]
VERBS: dict[str, Verb] = {
    "demo": (_demo_parser, demo),
    "train fit": (_train_parser, train_fit),
    "train show-augmented": (_train_parser, train_show_augmented),
    "train calibrate": (_calibrate_parser, train_calibrate),
    "train evaluate": (_evaluate_parser, train_evaluate),
    "train quantise": (_quantise_parser, train_quantise),
    "predict": (_predict_parser, predict),
    "smooth": (_smooth_parser, smooth),
    "run": (_run_parser, run),
    "bench latency": (_bench_parser, bench_latency),
    "bench triggers": (_triggers_parser, bench_triggers),
    "import onnx": (_import_onnx_parser, import_onnx),
    "import dlc": (_import_original_parser, import_dlc),
    "import sleap": (_import_original_parser, import_sleap),
    "view": (_view_parser, view),
    "order": (_order_parser, order),
    "replay": (_replay_parser, replay),
    "report": (_session_parser, report),
    "rules check": (_rules_parser, rules_check),
    "devices": (_no_options, devices),
}
GROUPS = {
    "train": "Make models.",
    "bench": "Measure.",
    "rules": "Look at rules.",
    "import": "Models trained elsewhere, as model packages.",
}
CONFIGURED = ("train fit", "train show-augmented", "run")
"""Verbs whose first word may be a configuration file."""


class _HelpFormatter(DefaultHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Leaves the lines of the description as they are written."""


def _parser(argv: list[str]) -> ArgumentParser:
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = ArgumentParser(
        prog="rt-pose", description=DESCRIPTION, version=__version__, formatter_class=_HelpFormatter
    )
    verbs = parser.add_subcommands(required=False, dest="verb", metavar="VERB")
    nested: dict[str, Any] = {}
    for name, (fill, function) in VERBS.items():
        group, _, leaf = name.rpartition(" ")
        verb_parser = ArgumentParser(description=function.__doc__)
        # Only the verb at hand gets its options: building all of them would cost `--help` its second.
        if argv[: len(name.split())] == name.split():
            fill(verb_parser)
        if not group:
            verbs.add_subcommand(name, verb_parser, help=function.__doc__)
            continue
        if group not in nested:
            group_parser = ArgumentParser(description=GROUPS[group])
            verbs.add_subcommand(group, group_parser, help=GROUPS[group])
            nested[group] = group_parser.add_subcommands(required=True, dest="what", metavar="WHAT")
        nested[group].add_subcommand(leaf, verb_parser, help=function.__doc__)
    return parser


def _add_config(parser: ArgumentParser, kind: type) -> None:
    parser.add_argument("--config", action="config", help="YAML file; flags after it win.")
    parser.add_class_arguments(kind, nested_key=None)


def _name_configs(argv: list[str]) -> list[str]:
    """`run FILE ...` as `run --config FILE ...`."""
    verb = _configured(argv)
    rest = argv[len(verb) :]
    if verb and rest and not rest[0].startswith("-"):
        return [*verb, "--config", *rest]
    return argv


def _check_config(argv: list[str]) -> None:
    """Check a configuration file before the parser sees it: our messages name the nearest key."""
    verb = _configured(argv)
    if not verb or "--config" not in argv[:-1]:
        return
    kind: type = RunConfig
    if verb[0] == "train":
        from train.config import TrainConfig

        kind = TrainConfig
    load(kind, Path(argv[argv.index("--config") + 1]))


def _configured(argv: list[str]) -> list[str]:
    """The words of the verb at hand, where it takes a configuration file."""
    return next((v.split() for v in CONFIGURED if argv[: len(v.split())] == v.split()), [])


def _chosen(arguments: Namespace) -> tuple[str, Namespace]:
    verb = arguments.get("verb")
    options = arguments.get(verb) if verb else Namespace()
    if verb in GROUPS:
        what = options.get("what")
        return f"{verb} {what}", options.get(what)
    return str(verb), options


def _plain(options: Namespace) -> dict[str, Any]:
    plain = options.as_dict() if isinstance(options, Namespace) else dict(options)
    plain.pop("config", None)
    return plain


def _replace_camera(cameras: dict[str, CameraConfig], spec: str) -> dict[str, CameraConfig]:
    """The configuration's cameras with `--camera SPEC` in their place."""
    name = next(iter(cameras)) if len(cameras) == 1 else "camera"
    old = cameras.get(name)

    def options_of(driver: str) -> dict[str, Any]:
        return dict(old.options) if old is not None and old.driver == driver else {}

    if spec == "sim":
        return {name: CameraConfig("simulated", options_of("simulated"))}
    driver, colon, rest = spec.partition(":")
    if colon and driver == "video":
        return {name: CameraConfig("video", options_of("video") | {"path": rest})}
    if "/" in spec or Path(spec).suffix or Path(spec).exists():
        return {name: CameraConfig("video", options_of("video") | {"path": spec})}
    if colon:
        return {name: CameraConfig(driver, options_of(driver) | {"serial": rest})}
    raise UserError(f"--camera {spec}: expected sim, video:PATH, the path of a recording, or DRIVER:SERIAL")


def _conclude(result: RunResult, plot: bool) -> int:
    from rt_pose.session.console import tell
    from rt_pose.session.report import make_report

    if result.session is not None:
        print(f"session: {result.session}")
        if plot:
            print(tell(make_report(result.session)))
            print(f"report: {result.session / 'report.html'}")
    if not result.ok:
        print(f"rt-pose: the run did not end well: {result.status}", file=sys.stderr)
        return EXIT_FAILED
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
