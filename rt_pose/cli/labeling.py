"""`rt-pose label`: from videos to labeled frames."""

from __future__ import annotations

import shlex
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

from rt_pose.cli.options import Parser
from rt_pose.config.check import MOST_INDIVIDUALS
from rt_pose.errors import UserError
from rt_pose.extras import require


def label(options: Namespace) -> int:
    """Pick frames of videos and label them in a window; or mend the labels of a folder."""
    from rt_pose.labeling.app import main
    from rt_pose.labeling.prepare import LabelOptions

    return main(
        LabelOptions(
            out=Path(options.out).expanduser(),
            videos=[Path(video).expanduser() for video in options.video],
            model=options.model,
            frames=_at_least_one(options, "frames"),
            keypoints=options.keypoints,
            individuals=_individuals(options.individuals),
            skeleton=[bone.split("=") for bone in options.skeleton],
            layout=options.layout,
            labels=options.labels,
            scorer=options.scorer or _login(),
            review=options.review,
            worst=_at_least_one(options, "worst"),
        ),
        pick_only=options.pick_only,
    )


def label_parser(parser: Parser) -> None:
    """Add the options of `rt-pose label`."""
    parser.add_argument("video", nargs="*", help="Recordings that frames are picked from.")
    parser.add_argument(
        "--out",
        type=str,
        required=True,
        help="Folder of labeled frames: a new one, a DeepLabCut project, or one in Lightning Pose layout.",
    )
    parser.add_argument(
        "--frames",
        type=int,
        default=40,
        help="Frames that the folder is to have of these recordings, those that are there included.",
    )
    parser.add_argument("--keypoints", nargs="+", default=[], help="Names of the keypoints of a new folder.")
    parser.add_argument(
        "--individuals",
        nargs="+",
        default=[],
        metavar="N",
        help="How many animals a frame of a new folder may hold, or their names; one where it is not given.",
    )
    parser.add_argument(
        "--skeleton", nargs="+", default=[], metavar="A=B", help="Bones, each a pair of keypoints: nose=neck."
    )
    parser.add_argument(
        "--model",
        type=str,
        default="",
        help="Model package: picks frames that it is uncertain of or implausible ones, and proposes places.",
    )
    parser.add_argument(
        "--review",
        type=str,
        default="",
        metavar="EVALUATION",
        help="Folder that `train evaluate` wrote: go through its worst frames, with the predictions shown.",
    )
    parser.add_argument("--worst", type=int, default=30, help="Frames of a review.")
    parser.add_argument(
        "--layout",
        choices=["deeplabcut", "lightning-pose"],
        default="deeplabcut",
        help="Of a new folder: a DeepLabCut project, or a single CollectedData.csv.",
    )
    _add_person(parser)


def improve(options: Namespace) -> int:
    """Label the frames of sessions that the model had most trouble with, and train on from it."""
    from rt_pose.labeling.app import main
    from rt_pose.labeling.prepare import LabelOptions

    sessions = [Path(session).expanduser() for session in options.session]
    out = Path(options.out).expanduser()
    steps = _steps(sessions, out, options)
    status = main(
        LabelOptions(
            out=out,
            sessions=sessions,
            frames=_at_least_one(options, "frames"),
            scorer=options.scorer or _login(),
            labels=options.labels,
        ),
        pick_only=options.pick_only,
    )
    if options.train is not None and not status:
        return _carry_out(steps)
    print("next: train on, from where the model is, and see what would have been decided otherwise:")
    for words in steps:
        print(f"  rt-pose {shlex.join(words)}")
    return status


def improve_parser(parser: Parser) -> None:
    """Add the options of `rt-pose improve`."""
    parser.add_argument("session", nargs="+", help="Session folders, of which cameras were filmed.")
    parser.add_argument(
        "--out",
        type=str,
        required=True,
        help="Folder of labeled frames: the one that the model was trained on, or a new one.",
    )
    parser.add_argument(
        "--frames",
        type=int,
        default=40,
        help="Frames that the folder is to have of these sessions, those that are there included.",
    )
    parser.add_argument(
        "--train",
        nargs="?",
        const="",
        default=None,
        metavar="CONFIG",
        help="When the window is closed train on from the model, by this configuration or the defaults of "
        "`train fit`, and replay the sessions with the new network: work for a night. Without it these "
        "commands are printed.",
    )
    parser.add_argument(
        "--init-from",
        type=str,
        default="",
        help="Folder of the training to go on from; the one that the session's model lies in.",
    )
    _add_person(parser)


def _login() -> str:
    """Name of the login."""
    from getpass import getuser

    try:
        return getuser()
    except (KeyError, OSError) as error:
        raise UserError("--scorer: who labels? This login has no name; write one") from error


def _steps(sessions: list[Path], out: Path, options: Namespace) -> list[list[str]]:
    """How the network learns from the labels, and what it would have changed: words after `rt-pose`."""
    from rt_pose.session.read import read_info

    package = Path(read_info(sessions[0]).package.path)
    start = options.init_from or (str(package.parent) if package.name == "package" else "TRAINING")
    new = f"{out}-improved"
    if options.train is not None:
        _check_start(start, options, Path(new))
    config = ["--config", options.train] if options.train else []
    return [
        ["train", "fit", *config, "--data", str(out), "--out", new, "--init_from", start],
        *(["replay", str(session), "--from-video", "--model", f"{new}/package"] for session in sessions),
    ]


def _check_start(start: str, options: Namespace, new: Path) -> None:
    """What would end the night's work is found in the evening."""
    require("train", "`rt-pose improve --train`")
    from train.fitting.warm_start import find_checkpoint

    if start == "TRAINING":
        raise UserError(
            "improve --train: the session's model does not lie in a training's folder; name the training to "
            "go on from with `--init-from FOLDER`"
        )
    find_checkpoint(start)
    if options.train and not Path(options.train).expanduser().is_file():
        raise UserError(f"improve --train: no configuration {options.train}")
    if new.exists() and (not new.is_dir() or any(new.iterdir())):
        raise UserError(f"improve --train: {new} is there already; move it away, or train by hand")


def _carry_out(steps: list[list[str]]) -> int:
    """Each command as a program of its own; what follows a training that failed is left out."""
    status = 0
    for words in steps:
        print(f"rt-pose {shlex.join(words)}", flush=True)
        status = subprocess.run([sys.executable, "-P", "-m", "rt_pose.cli", *words], check=False).returncode
        if status and words[0] == "train":
            return status
    return status


def _add_person(parser: Parser) -> None:
    parser.add_argument(
        "--scorer", type=str, default="", help="Who labels; the name of the login where it is not given."
    )
    parser.add_argument(
        "--labels",
        type=str,
        default="",
        help="Which labels of the folder, where it holds several: a CSV, or `.`.",
    )
    parser.add_argument("--pick-only", action="store_true", help="Pick frames and open no window.")


def _individuals(words: list[str]) -> int | list[str]:
    """How many animals, or their names."""
    if len(words) != 1:
        return words or 0
    if not words[0].isdecimal() or not 1 <= int(words[0]) <= MOST_INDIVIDUALS:
        raise UserError(
            f"--individuals {words[0]}: expected a number of animals, 1 to {MOST_INDIVIDUALS}, or the names "
            "of several: --individuals 2"
        )
    return int(words[0])


def _at_least_one(options: Namespace, name: str) -> int:
    value = int(getattr(options, name))
    if value < 1:
        raise UserError(f"--{name}: expected at least 1, got {value}")
    return value
