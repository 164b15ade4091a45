"""`rt-pose bench ...`: what can be measured without a clone of the repository."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from rt_pose.cli.options import EXIT_FAILED, EXIT_OK, Parser, add_overwrite, add_tolerance, boolean
from rt_pose.config.schema import EngineOptions
from rt_pose.files import check_output, check_output_folder


def bench_latency(options: Namespace) -> int:
    """Latency on a recorded video at its own pace or a stated rate, through the live path."""
    from bench.latency.program import bench_latency as bench

    inputs = [Path(path) for path in (options.video, options.compare) if path]
    _check_json(options, inputs, "latency_ms")
    if options.out:
        made = ("latency.json", "latency.html")
        check_output_folder(Path(options.out), made, made[0], inputs, overwrite=options.overwrite)
    return EXIT_OK if bench(vars(options) | {"engine": options.config.engine}) else EXIT_FAILED


def _check_json(options: Namespace, inputs: list[Path], key: str) -> None:
    """Check `--json`; an earlier result has the key in it."""
    if options.json:
        ours = f'"{key}"'.encode()
        check_output(
            Path(options.json),
            inputs,
            overwrite=options.overwrite,
            is_ours=lambda head: head.startswith(b"{") and ours in head,
            option="--json",
        )


def latency_parser(parser: Parser) -> None:
    """Add the options of `rt-pose bench latency`."""
    parser.add_argument("--model", type=str, required=True, help="Folder of the model package.")
    parser.add_argument("--video", type=str, required=True, help="The recording.")
    parser.add_argument("--rate", type=float, help="Frames a second; the recording's own where not given.")
    parser.add_argument("--seconds", type=float, default=20.0, help="Length; the recording is repeated.")
    parser.add_argument("--budget", type=float, default=50.0, help="Exposure to decision (ms).")
    parser.add_argument("--size", type=str, help="WIDTHxHEIGHT to which the recording is scaled.")
    parser.add_argument("--channels", type=str, default="auto", help="1 gray, 3 RGB, auto as the network.")
    parser.add_argument("--preload", type=boolean, default=True, help="Decode ahead into memory.")
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
    add_overwrite(parser)
    parser.takes(EngineOptions)


def bench_triggers(options: Namespace) -> int:
    """Try rules on a recording with faults injected, scored against a table of where the animal was."""
    from bench.triggers import bench_triggers as bench

    _check_json(options, [Path(p) for p in (options.video, options.truth, options.rules)], "scores")
    return EXIT_OK if bench(vars(options)) else EXIT_FAILED


def triggers_parser(parser: Parser) -> None:
    """Add the options of `rt-pose bench triggers`."""
    from rigs.faults import BadDay

    parser.add_argument("--video", type=str, required=True, help="The recording.")
    parser.add_argument(
        "--truth",
        type=str,
        required=True,
        help="CSV with a row a frame of the recording: labels, or predictions smoothed offline.",
    )
    parser.add_argument("--model", type=str, required=True, help="Folder of the model package.")
    parser.add_argument("--config", dest="rules", required=True, help="YAML with rules, zones and outputs.")
    parser.add_argument("--rate", type=float, help="Frames a second; the recording's own where not given.")
    parser.add_argument("--out", type=str, help="Session folder; a new one in sessions/ where not given.")
    parser.add_argument("--json", type=str, help="Write the figures here as well.")
    add_tolerance(parser)
    add_overwrite(parser)
    parser.takes(BadDay)
