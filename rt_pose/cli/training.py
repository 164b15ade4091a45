"""`rt-pose train ...`: what makes and mends model packages."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from jsonargparse import ArgumentParser, Namespace

from rt_pose.cli.options import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, add_config, plain
from rt_pose.config.build import build
from rt_pose.config.schema import EngineConfig
from rt_pose.errors import UserError

if TYPE_CHECKING:
    from train.fitting.fit import FitResult


def train_fit(options: Namespace) -> int:
    """Train on labeled frames (Lightning Pose, DeepLabCut, SLEAP); writes OUT/package."""
    from train.config import TrainConfig
    from train.fitting.ensemble import conclude, fit_seeds, read_seeds
    from train.fitting.fit import fit_interruptible

    values = plain(options)
    seeds, jobs = values.pop("seeds", None), values.pop("jobs", 1)
    config = build(TrainConfig, values, "train fit")
    if seeds is not None:
        outcome = fit_seeds(config, read_seeds(seeds), jobs)
        whole = conclude(outcome)
        return EXIT_OK if whole else EXIT_INTERRUPTED if outcome.interrupted else EXIT_FAILED
    if jobs != 1:
        raise UserError("--jobs: a single training is one process; it is for `--seeds 0,1,2,3,4`")
    return _trained(lambda: fit_interruptible(config))


def _trained(train: Callable[[], FitResult]) -> int:
    """Train and print where the package lies; EXIT_INTERRUPTED where Ctrl-C ended it, package or not."""
    from train.fitting.fit import Interrupted

    try:
        done = train()
    except Interrupted as error:
        print(f"rt-pose: {error}", file=sys.stderr)
        return EXIT_INTERRUPTED
    print(f"model package: {done.package}")
    return EXIT_INTERRUPTED if done.interrupted else EXIT_OK


def train_distill(options: Namespace) -> int:
    """One small network from labels and from what an ensemble is sure of in unlabeled video."""
    from train.distillation.config import DistillConfig
    from train.distillation.distill import distill_interruptible

    config = build(DistillConfig, plain(options), "train distill")
    return _trained(lambda: distill_interruptible(config))


def distill_parser(parser: ArgumentParser) -> None:
    from train.distillation.config import DistillConfig

    add_config(parser, DistillConfig, skip={"teachers", "videos"})
    parser.add_argument(
        "--teachers",
        type=str,
        nargs="+",
        default=[],
        help="Model packages, or a folder that `train fit --seeds` filled.",
    )
    parser.add_argument(
        "--videos",
        type=str,
        nargs="+",
        default=[],
        help="Unlabeled videos, or folders of them, relative to the data folder.",
    )


def train_show_augmented(options: Namespace) -> int:
    """Draw a sheet of augmented samples with their keypoints: what the network will see."""
    from train.config import TrainConfig
    from train.fitting.augmentation_sheet import show_augmented

    config = build(TrainConfig, plain(options), "train show-augmented")
    print(f"sheet: {show_augmented(config)}")
    return EXIT_OK


def show_augmented_parser(parser: ArgumentParser) -> None:
    from train.config import TrainConfig

    add_config(parser, TrainConfig)


def fit_parser(parser: ArgumentParser) -> None:
    from train.config import TrainConfig

    add_config(parser, TrainConfig)
    parser.add_argument(
        "--seeds",
        type=str,
        metavar="0,1,2,...",
        help="An ensemble: a network for each seed, in OUT/seed-N; those that are done are not done again.",
    )
    parser.add_argument(
        "--jobs", type=int, default=1, help="Trainings of --seeds at a time, each a process with one thread."
    )


def train_calibrate(options: Namespace) -> int:
    """Fit the filter to recordings (and labels) and write it into the model package."""
    from train.calibrate import CalibrateConfig, calibrate

    package = calibrate(build(CalibrateConfig, plain(options), "train calibrate"))
    print(f"model package: {package.path} (calibrated, {package.sha256[:12]})")
    return EXIT_OK


def calibrate_parser(parser: ArgumentParser) -> None:
    parser.add_argument("--model", type=str, required=True, help="Folder of the model package; rewritten.")
    parser.add_argument("--video", type=str, nargs="+", required=True, help="Recordings of the rig.")
    parser.add_argument(
        "--labels",
        type=str,
        help="Labels file (a DeepLabCut project's config.yaml) of frames that the network did not train on.",
    )
    parser.add_argument(
        "--bias_from",
        type=str,
        default="",
        help="In place of labels: the package of an earlier training that kept some back, calibrated with "
        "them; for a network that was trained on every label.",
    )
    parser.add_argument(
        "--views", type=str, nargs="*", default=[], help="One body part in several views: paw_top=paw_bottom."
    )
    parser.add_argument("--frames", type=int, default=3000, help="Frames of each recording to use.")
    parser.add_class_arguments(EngineConfig, "engine")


def train_evaluate(options: Namespace) -> int:
    """How good a package is: errors, jitter, honest confidence, plausible movement; a page and CSVs."""
    from train.evaluation.config import EvaluateConfig
    from train.evaluation.evaluate import evaluate

    print(f"page: {evaluate(build(EvaluateConfig, plain(options), 'train evaluate'))}")
    return EXIT_OK


def evaluate_parser(parser: ArgumentParser) -> None:
    from train.evaluation.config import EvaluateConfig

    parser.add_class_arguments(EvaluateConfig, nested_key=None, skip={"views"})
    parser.add_argument(
        "--views", type=str, nargs="*", default=[], help="One body part in several views: paw_top=paw_bottom."
    )


def train_quantise(options: Namespace) -> int:
    """Add networks of lower precision (mixed, int8) to a package, with what they cost in pixels."""
    from train.quantisation.config import QuantiseConfig
    from train.quantisation.quantise import quantise

    package = quantise(build(QuantiseConfig, plain(options), "train quantise"))
    print(f"model package: {package.path}; run it with --engine.precision mixed (or int8)")
    return EXIT_OK


def quantise_parser(parser: ArgumentParser) -> None:
    from train.quantisation.config import QuantiseConfig

    parser.add_class_arguments(QuantiseConfig, nested_key=None)
