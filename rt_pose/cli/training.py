"""`rt-pose train ...`: the verbs that make and improve model packages."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rt_pose.cli.options import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, Parser, add_overwrite
from rt_pose.errors import UserError
from rt_pose.files import check_output, check_output_folder, is_own_png, mark_png

if TYPE_CHECKING:
    from train.fitting.fit import FitResult


def train_fit(options: Namespace) -> int:
    """Train on labeled frames (Lightning Pose, DeepLabCut, SLEAP); writes OUT/package."""
    from train.fitting.ensemble import conclude, fit_seeds, read_seeds
    from train.fitting.fit import fit_interruptible

    if options.seeds is not None:
        outcome = fit_seeds(options.config, read_seeds(options.seeds), options.jobs)
        whole = conclude(outcome)
        return EXIT_OK if whole else EXIT_INTERRUPTED if outcome.interrupted else EXIT_FAILED
    if options.jobs != 1:
        raise UserError("--jobs: a single training is one process; it is for `--seeds 0,1,2,3,4`")
    return _trained(lambda: fit_interruptible(options.config))


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
    from train.distillation.distill import distill_interruptible

    return _trained(lambda: distill_interruptible(options.config))


def distill_parser(parser: Parser) -> None:
    """Add the options of `rt-pose train distill`."""
    from train.distillation.config import DistillConfig

    parser.takes(DistillConfig, file=True)


def train_show_augmented(options: Namespace) -> int:
    """Draw a sheet of augmented samples with their keypoints: what the network will see."""
    from train.fitting.augmentation_sheet import show_augmented

    if options.config.out:
        out = Path(options.config.out).expanduser()
        check_output(out, overwrite=options.overwrite, is_ours=is_own_png)
    sheet = show_augmented(options.config)
    mark_png(sheet)
    print(f"sheet: {sheet}")
    return EXIT_OK


def show_augmented_parser(parser: Parser) -> None:
    """Add the options of `rt-pose train show-augmented`."""
    from train.config import TrainConfig

    parser.takes(TrainConfig, file=True)
    add_overwrite(parser)


def fit_parser(parser: Parser) -> None:
    """Add the options of `rt-pose train fit`."""
    from train.config import TrainConfig

    parser.takes(TrainConfig, file=True)
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
    from train.calibrate import calibrate

    package = calibrate(options.config)
    print(f"model package: {package.path} (calibrated, {package.sha256[:12]})")
    return EXIT_OK


def calibrate_parser(parser: Parser) -> None:
    """Add the options of `rt-pose train calibrate`."""
    from train.calibrate_config import CalibrateConfig

    parser.takes(CalibrateConfig)


def train_evaluate(options: Namespace) -> int:
    """How good a package is: errors, jitter, honest confidence, plausible movement; a page and CSVs."""
    from train.evaluation.evaluate import evaluate

    made = ("evaluation.html", "evaluation.json", "predictions*.csv", "video_preds/**/*.csv")
    check_output_folder(Path(options.config.out), made, made[1], overwrite=options.overwrite)
    print(f"page: {evaluate(options.config)}")
    return EXIT_OK


def evaluate_parser(parser: Parser) -> None:
    """Add the options of `rt-pose train evaluate`."""
    from train.evaluation.config import EvaluateConfig

    parser.takes(EvaluateConfig)
    add_overwrite(parser)


def train_quantise(options: Namespace) -> int:
    """Add networks of lower precision (mixed, int8) to a package, with what they cost in pixels."""
    from train.quantisation.quantise import quantise

    package = quantise(options.config)
    print(f"model package: {package.path}; run it with --engine.precision mixed (or int8)")
    return EXIT_OK


def quantise_parser(parser: Parser) -> None:
    """Add the options of `rt-pose train quantise`."""
    from train.quantisation.config import QuantiseConfig

    parser.takes(QuantiseConfig)
