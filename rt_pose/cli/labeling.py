"""`rt-pose label`: from videos to labeled frames."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from rt_pose.cli.options import Parser
from rt_pose.errors import UserError


def label(options: Namespace) -> int:
    """Pick frames of videos and label them in a window; or mend the labels of a folder."""
    from getpass import getuser

    from rt_pose.labeling.app import main
    from rt_pose.labeling.prepare import LabelOptions

    return main(
        LabelOptions(
            out=Path(options.out).expanduser(),
            videos=[Path(video).expanduser() for video in options.video],
            model=options.model,
            frames=_at_least_one(options, "frames"),
            keypoints=options.keypoints,
            skeleton=[bone.split("=") for bone in options.skeleton],
            layout=options.layout,
            labels=options.labels,
            scorer=options.scorer or getuser(),
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
    """Label the frames of sessions that the model had most trouble with; the next commands are printed."""
    from getpass import getuser

    from rt_pose.labeling.app import main
    from rt_pose.labeling.prepare import LabelOptions

    sessions = [Path(session).expanduser() for session in options.session]
    out = Path(options.out).expanduser()
    status = main(
        LabelOptions(
            out=out,
            sessions=sessions,
            frames=_at_least_one(options, "frames"),
            scorer=options.scorer or getuser(),
            labels=options.labels,
        ),
        pick_only=options.pick_only,
    )
    for line in _next_commands(sessions, out):
        print(line)
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
    _add_person(parser)


def _next_commands(sessions: list[Path], out: Path) -> list[str]:
    """How the network learns from the labels, and what it would have changed."""
    from rt_pose.session.read import read_info

    package = read_info(sessions[0]).package.path
    start = Path(package).parent if Path(package).name == "package" else "TRAINING"
    new = f"{out}-improved"
    return [
        "next: train on, from where the model is, and see what would have been decided otherwise:",
        f"  rt-pose train fit --data {out} --out {new} --init_from {start}",
        *(f"  rt-pose replay {session} --from-video --model {new}/package" for session in sessions),
    ]


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


def _at_least_one(options: Namespace, name: str) -> int:
    value = int(getattr(options, name))
    if value < 1:
        raise UserError(f"--{name}: expected at least 1, got {value}")
    return value
