"""`rt-pose VERB`: the verbs there are.

Each is a function beside the options it takes, in the module of its area (`training.py` and so on). Heavy
imports are made in the functions, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from rt_pose import __version__
from rt_pose.cli import (
    align,
    calibration,
    labeling,
    live,
    offline,
    rig,
    rig_check,
    rig_init,
    session,
    setup,
    views,
)
from rt_pose.cli import benchmarks as bench
from rt_pose.cli import export as exports
from rt_pose.cli import importing as imports
from rt_pose.cli import training as train
from rt_pose.cli.options import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_USER, Parser, no_options
from rt_pose.console import log_to_console
from rt_pose.errors import ExitCode, UserError, explain_long_name, nearest
from rt_pose.extras import require

DESCRIPTION = """Real-time closed-loop animal pose tracking.

A first look, with nothing else at hand:
    rt-pose demo
Frames of your own videos, labeled in a window:
    rt-pose label VIDEO.mp4 --out FOLDER --keypoints nose ear_left ear_right tail_base
Your own labeled frames to a model:
    rt-pose train fit --data FOLDER --out OUT
The model on a recorded video, live:
    rt-pose run configs/video.yaml --model OUT/package --camera VIDEO.mp4
What is installed here, what works, and what would fix the rest:
    rt-pose doctor
What a session was like, and its decisions once more:
    rt-pose report SESSION
    rt-pose replay SESSION
    rt-pose verify SESSION
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a verb.

    Parameters
    ----------
    argv
        The words behind `rt-pose`; those of the process where none are given.

    Returns
    -------
    int
        One of `ExitCode`.
    """
    log_to_console()
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        verb = verb_of(words)
        if verb is None:
            return _explain(words)
        options = parser_of(verb).parse(words[len(verb.split()) :])
        if extra := EXTRA_OF.get(verb.partition(" ")[0]):
            require(extra, f"`rt-pose {verb}`")
        status = VERBS[verb][1](options)
        sys.stdout.flush()  # where nobody reads it any more that is found here, not as the interpreter ends
        return status
    except UserError as error:
        print(f"rt-pose: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("rt-pose: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output (`| head`) has gone; a further word would only raise again.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        return EXIT_FAILED
    except OSError as error:
        print(f"rt-pose: {explain_long_name(error)}", file=sys.stderr)
        return EXIT_USER


Verb = tuple[Callable[[Parser], None], Callable[[argparse.Namespace], int]]
VERBS: dict[str, Verb] = {
    "demo": (live.demo_parser, live.demo),
    "label": (labeling.label_parser, labeling.label),
    "improve": (labeling.improve_parser, labeling.improve),
    "train fit": (train.fit_parser, train.train_fit),
    "train distill": (train.distill_parser, train.train_distill),
    "train show-augmented": (train.show_augmented_parser, train.train_show_augmented),
    "train calibrate": (train.calibrate_parser, train.train_calibrate),
    "train evaluate": (train.evaluate_parser, train.train_evaluate),
    "train quantise": (train.quantise_parser, train.train_quantise),
    "predict": (offline.predict_parser, offline.predict),
    "overview": (offline.overview_parser, offline.overview),
    "smooth": (offline.smooth_parser, offline.smooth),
    "triangulate": (views.triangulate_parser, views.triangulate),
    "run": (live.run_parser, live.run),
    "bench latency": (bench.latency_parser, bench.bench_latency),
    "bench triggers": (bench.triggers_parser, bench.bench_triggers),
    "rig init": (rig_init.init_parser, rig_init.init),
    "rig check": (rig_check.check_parser, rig_check.check),
    "rig loopback": (rig.loopback_parser, rig.loopback),
    "import onnx": (imports.import_onnx_parser, imports.import_onnx),
    "import dlc": (imports.import_original_parser, imports.import_dlc),
    "import sleap": (imports.import_original_parser, imports.import_sleap),
    "view": (live.view_parser, live.view),
    "order": (live.order_parser, live.order),
    "bridge lsl": (live.bridge_lsl_parser, live.bridge_lsl),
    "keys": (live.keys_parser, live.keys),
    "replay": (session.replay_parser, session.replay),
    "align": (align.align_parser, align.align),
    "verify": (session.verify_parser, session.verify),
    "export": (exports.export_parser, exports.export),
    "report": (session.report_parser, session.report),
    "rules check": (live.rules_parser, live.rules_check),
    "rules words": (no_options, live.rules_words),
    "rig scale": (calibration.scale_parser, calibration.rig_scale),
    "rig aim-calibrate": (calibration.aim_calibrate_parser, calibration.rig_aim_calibrate),
    "rig calibrate-cameras": (views.calibrate_cameras_parser, views.calibrate_cameras),
    "rig check-calibration": (views.check_calibration_parser, views.check_calibration),
    "devices": (no_options, live.devices),
    "configs": (setup.configs_parser, setup.configs),
    "doctor": (setup.doctor_parser, setup.doctor),
}
GROUPS = {
    "train": "Make models.",
    "bench": "Measure.",
    "rig": "Set a rig up and measure it.",
    "rules": "Look at rules.",
    "import": "Models trained elsewhere, as model packages.",
    "bridge": "Pass on what a running loop publishes.",
}
EXTRA_OF = {"demo": "train", "train": "train", "import": "train", "bridge": "lsl"}
"""The extra that must be installed, by a verb's first word."""


def verb_of(words: Sequence[str]) -> str | None:
    """Get the verb with which a command line begins.

    Parameters
    ----------
    words
        The command line, without the program's name.

    Returns
    -------
    str or None
        One of `VERBS`; None where the first words are no verb.
    """
    return next((v for n in (2, 1) if (v := " ".join(words[:n])) in VERBS), None)


def parser_of(verb: str) -> Parser:
    """Make the parser of a verb.

    Parameters
    ----------
    verb
        One of `VERBS`.

    Returns
    -------
    Parser
        With the verb's options, and its function's docstring as the description.
    """
    fill, function = VERBS[verb]
    parser = Parser(verb, function.__doc__)
    fill(parser)
    return parser


def _explain(words: Sequence[str]) -> int:
    """Print the verbs, or those of a group; UserError where the first words are no verb."""
    word = words[0] if words else ""
    if word == "--version":
        print(f"rt-pose {__version__}")
        return EXIT_OK
    rest = words[1:] if word in GROUPS else words
    if rest and rest[0] not in ("--help", "-h"):
        tried = " ".join(words[: 2 if word in GROUPS else 1])
        raise UserError(f"there is no verb '{tried}'{nearest(tried, VERBS)}")
    print(_overview(word) if word in GROUPS else _overview())
    return EXIT_OK if rest else EXIT_USER


def _overview(group: str = "") -> str:
    """The verbs of a group, or all of them."""
    shown = {v: f for v, (_, f) in VERBS.items() if not group or v.split()[0] == group}
    width = max(map(len, shown)) + 2
    lines = [f"  {verb:{width}}{function.__doc__}" for verb, function in shown.items()]
    head = [f"usage: rt-pose {group}".rstrip() + " VERB ...", "", GROUPS.get(group, DESCRIPTION)]
    codes = [] if group else ["", "exit codes:", *(f"  {code.value:<4}{code.meaning}" for code in ExitCode)]
    return "\n".join([*head, "verbs (each has a --help of its own):", *lines, *codes])
