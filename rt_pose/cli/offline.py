"""`rt-pose predict` and `smooth`: keypoints of recordings."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rt_pose.cli.options import EXIT_FAILED, EXIT_OK, Parser, add_overwrite
from rt_pose.errors import UserError
from rt_pose.files import check_output, check_output_folder

if TYPE_CHECKING:
    from rt_pose.offline.find_videos import VideoJob
    from rt_pose.offline.members import EnsembleMember
    from rt_pose.offline.predict_many import PredictionOutcome
    from rt_pose.package import Package


def predict(options: Namespace) -> int:
    """Keypoints of recorded videos, one or thousands, by one network or a smoothed ensemble, as CSVs."""
    from rt_pose.offline.coverage import coverage_text
    from rt_pose.offline.find_videos import VideoJob, with_covariances
    from rt_pose.offline.members import find_members
    from rt_pose.offline.predict import predict_video

    if (options.video is None) == (options.videos is None):
        raise UserError("predict: give either --video FILE, or --videos with a folder, a pattern or a list")
    members = find_members(options.model, "--model")
    if options.covariance and len(members) > 1:
        raise UserError(
            "--covariance: it is of one network; an ensemble's table has posterior variances "
            "(x_posterior_var, y_posterior_var)"
        )
    if options.videos is not None or len(members) > 1:
        return _predict_many(members, options)
    job = VideoJob(Path(options.video), options.video, Path(options.out))
    if options.covariance:
        (job,) = with_covariances([job])
    _check_tables(job, options)
    for table in filter(None, (job.out, job.covariance)):
        if table.is_file():
            print(f"{table} is there already and will be replaced")
    package = members[0].package
    choice = predict_video(package, job.video, job.out, options.config.engine, job.covariance)
    print(f"engine: {choice}")
    print(f"predictions: {options.out}")
    if job.covariance:
        print(f"covariances: {job.covariance}; {coverage_text(package.manifest)}")
    return EXIT_OK


def _check_tables(job: VideoJob, options: Namespace) -> None:
    for table in filter(None, (job.out, job.covariance)):
        _check_table(table, [job.video], options)


def _predict_many(members: list[EnsembleMember], options: Namespace) -> int:
    from rt_pose.offline.cluster import predict_on_cluster
    from rt_pose.offline.coverage import coverage_text
    from rt_pose.offline.find_videos import VideoJob, find_videos, with_covariances
    from rt_pose.offline.predict_ensemble import MEMBERS, predict_ensemble
    from rt_pose.offline.predict_many import FAILURES, conclude, predict_many
    from rt_pose.offline.prediction_record import LOCK, exclusive_lock

    out = Path(options.out)
    engine, cluster = options.config.engine, options.config.cluster

    def of_one(package: Package, jobs: Sequence[VideoJob], folder: Path) -> PredictionOutcome:
        if cluster.where != "here":
            return predict_on_cluster(package, jobs, folder, engine, cluster)
        with exclusive_lock(folder):
            return predict_many(package, jobs, engine)

    if options.videos is not None:
        jobs, own = find_videos(options.videos, out), out / MEMBERS
    else:
        video = Path(options.video)
        jobs, own = [VideoJob(video, video.name, out)], out.with_suffix(f".{MEMBERS}")
        out = own
    if options.covariance:
        jobs = with_covariances(jobs)
    for job in jobs:
        _check_tables(job, options)
    if not (out / MEMBERS).exists():
        check_output_folder(out, (FAILURES,), LOCK, overwrite=options.overwrite)
    if len(members) == 1:
        outcome = of_one(members[0].package, jobs, out)
        if options.covariance:
            print(f"covariances: *_covariance.csv; {coverage_text(members[0].package.manifest)}")
    else:
        outcome = predict_ensemble(members, jobs, own, of_one)
        print(f"predictions: {options.out}; each network's own: {own}")
    return EXIT_OK if conclude(outcome, out) else EXIT_FAILED


def _check_table(out: Path, inputs: list[Path], options: Namespace) -> None:
    from rt_pose.offline.prediction_files import is_own_table

    check_output(out, inputs, overwrite=options.overwrite, is_ours=is_own_table)


def predict_parser(parser: Parser) -> None:
    """Add the options of `rt-pose predict`."""
    from rt_pose.offline.cluster_config import PredictConfig

    parser.add_argument(
        "--model",
        type=str,
        nargs="+",
        required=True,
        help="Folder of the model package. Several, or a folder that `train fit --seeds` filled: an "
        "ensemble, whose predictions are smoothed to one.",
    )
    parser.add_argument("--video", type=str, help="The recording.")
    parser.add_argument("--videos", type=str, help="Many: a folder, a pattern in quotes, or a list of paths.")
    parser.add_argument("--out", type=str, required=True, help="The CSV to write; of many, their folder.")
    parser.add_argument(
        "--covariance",
        action="store_true",
        help="Write the covariance of each keypoint's error as well (x_var, xy_cov, y_var; px^2), into "
        "NAME_covariance.csv beside NAME.csv, which stays as other programs read it.",
    )
    add_overwrite(parser)
    parser.takes(PredictConfig)


def smooth(options: Namespace) -> int:
    """Several networks' predictions of one video to one: ensemble Kalman smoothing."""
    from rt_pose.offline.smooth_files import smooth_files

    tables, out = [Path(p) for p in options.csv], Path(options.out)
    _check_table(out, tables, options)
    for line in smooth_files(tables, out, options.mode, options.parts):
        print(line)
    print(f"smoothed: {options.out}")
    return EXIT_OK


def smooth_parser(parser: Parser) -> None:
    """Add the options of `rt-pose smooth`."""
    parser.add_argument(
        "csv",
        type=str,
        nargs="+",
        help="Predictions of each network, of one video: CSV, .h5 of DeepLabCut or SLEAP, .slp or .nwb.",
    )
    parser.add_argument("--out", type=str, required=True, help="The CSV to write.")
    add_overwrite(parser)
    parser.add_argument(
        "--mode", choices=["single", "multiview", "pupil"], default="single", help="What moves together."
    )
    parser.add_argument(
        "--parts",
        type=str,
        nargs="*",
        default=[],
        help="multiview: each part's views, paw_top=paw_bottom; pupil: top=, bottom=, left=, right=KEYPOINT.",
    )
