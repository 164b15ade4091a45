"""`rt-pose predict`, `overview` and `smooth`: keypoints of recordings."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rt_pose.cli.options import EXIT_FAILED, EXIT_OK, Parser, add_overwrite
from rt_pose.errors import UserError
from rt_pose.extras import require
from rt_pose.files import check_output, check_output_folder

if TYPE_CHECKING:
    from rt_pose.offline.find_videos import VideoJob
    from rt_pose.offline.finish import Finish
    from rt_pose.offline.members import EnsembleMember
    from rt_pose.offline.predict_many import PredictionOutcome
    from rt_pose.package import Package


def predict(options: Namespace) -> int:
    """Keypoints of recorded videos, one or thousands, by one network or a smoothed ensemble, as CSVs."""
    from rt_pose.offline.members import find_members
    from rt_pose.offline.quality import check_quality_config

    many = bool(options.videos or options.videos_from)
    if (options.video is None) != many:
        raise UserError(
            "predict: give either --video FILE, or --videos with folders, patterns, lists or videos, or "
            "--videos-from LIST"
        )
    check_quality_config(options.config.quality, options.config.limits)
    members = find_members(options.model, "--model")
    if options.covariance and len(members) > 1:
        raise UserError(
            "--covariance: it is of one network; an ensemble's table has posterior variances "
            "(x_posterior_var, y_posterior_var)"
        )
    _check_several([member.package for member in members], many, options)
    if options.parquet:
        require("parquet", "--parquet")
    if many or len(members) > 1:
        return _predict_many(members, options)
    return _predict_one(members[0].package, options)


def _check_several(packages: Sequence[Package], many: bool, options: Namespace) -> None:
    """Refuse what is made of one animal's tables, where a package finds several."""
    if all(package.manifest.individuals == 1 for package in packages):
        if options.individuals and (many or len(packages) > 1):
            raise UserError("--individuals: these packages find one animal; leave it out")
        return
    for asked, what in (
        (many and bool(options.individuals), "--individuals with --videos"),
        (len(packages) > 1, "an ensemble"),
        (options.parquet, "--parquet"),
    ):
        if asked:
            raise UserError(
                f"predict: {what}: not for a package that finds several animals, as {packages[0].path} "
                "does; give one `--model`, and CSVs as `--out`"
            )


def _predict_one(package: Package, options: Namespace) -> int:
    from rt_pose.export.predicted_parquet import write_predicted_parquet
    from rt_pose.offline.coverage import coverage_text
    from rt_pose.offline.find_videos import VideoJob, with_covariances
    from rt_pose.offline.predict import predict_video

    job = VideoJob(Path(options.video), options.video, Path(options.out))
    if options.covariance:
        (job,) = with_covariances([job])
    parquet = job.out.with_suffix(".parquet")
    _check_tables(job, options)
    replaced = job.out.is_file()
    if options.parquet:
        check_output(parquet, [job.video], overwrite=options.overwrite, is_ours=lambda _: replaced)
    for table in filter(None, (job.out, job.covariance)):
        if table.is_file():
            print(f"{table} is there already and will be replaced")
    engine = options.config.engine
    choice = predict_video(package, job.video, job.out, engine, job.covariance, options.individuals)
    print(f"engine: {choice}")
    print(f"predictions: {job.out}")
    if package.manifest.individuals > 1:
        print("rows follow animals by nearness from frame to frame: those that cross may be exchanged")
    if job.covariance:
        print(f"covariances: {job.covariance}; {coverage_text(package.manifest)}")
    if options.parquet:
        write_predicted_parquet(job.out, job.video, parquet)
        print(f"the same as Parquet: {parquet}")
    return EXIT_OK


def _check_tables(job: VideoJob, options: Namespace) -> None:
    for table in filter(None, (job.out, job.covariance)):
        _check_table(table, [job.video], options)


def _predict_many(members: list[EnsembleMember], options: Namespace) -> int:
    from rt_pose.export.predicted_parquet import write_predicted_parquet
    from rt_pose.offline.cluster import predict_on_cluster
    from rt_pose.offline.coverage import coverage_text
    from rt_pose.offline.find_videos import VideoJob, find_videos, with_covariances
    from rt_pose.offline.finish import Finish
    from rt_pose.offline.overview import write_overview
    from rt_pose.offline.predict_ensemble import MEMBERS, predict_ensemble
    from rt_pose.offline.predict_many import conclude, predict_many
    from rt_pose.offline.prediction_record import exclusive_lock

    out = Path(options.out)
    engine, cluster = options.config.engine, options.config.cluster
    finish: Finish | None = Finish(
        options.config.quality, write_predicted_parquet if options.parquet else None
    )
    if members[0].package.manifest.individuals > 1:
        finish = None  # what lies next to a table is made of one animal

    def of_one(
        package: Package, jobs: Sequence[VideoJob], folder: Path, finish: Finish | None = None
    ) -> PredictionOutcome:
        if cluster.where != "here":
            return predict_on_cluster(package, jobs, folder, engine, cluster, finish)
        with exclusive_lock(folder):
            return predict_many(package, jobs, engine, finish)

    if options.video is None:
        jobs, own = find_videos(options.videos or [], out, options.videos_from or ""), out / MEMBERS
    else:
        video = Path(options.video)
        jobs, own = [VideoJob(video, video.name, out)], out.with_suffix(f".{MEMBERS}")
        out = own
    if options.covariance:
        jobs = with_covariances(jobs)
    _check_outputs(jobs, out, finish, options)
    if len(members) == 1:
        outcome = of_one(members[0].package, jobs, out, finish)
        if options.covariance:
            print(f"covariances: *_covariance.csv; {coverage_text(members[0].package.manifest)}")
    else:
        outcome = predict_ensemble(members, jobs, own, of_one, finish=finish)
        print(f"predictions: {options.out}; each network's own: {own}")
    well = conclude(outcome, out)
    if options.video is None and finish is not None:
        write_overview(out, options.config.limits, jobs)
    return EXIT_OK if well else EXIT_FAILED


def _check_outputs(jobs: Sequence[VideoJob], out: Path, finish: Finish | None, options: Namespace) -> None:
    """UserError where one of the files to write is not ours to replace."""
    from rt_pose.offline.overview import OVERVIEW, OVERVIEW_PARQUET, is_own_overview
    from rt_pose.offline.predict_ensemble import MEMBERS
    from rt_pose.offline.predict_many import FAILURES
    from rt_pose.offline.prediction_record import LOCK

    for job in jobs:
        if job.out == out / OVERVIEW:
            raise UserError(
                f"--videos: {job.video} would become {job.out}, the name of the table over all; rename it"
            )
        _check_tables(job, options)
        if finish is not None:
            _check_beside(job, finish, options)
    if not (out / MEMBERS).exists():
        check_output_folder(out, (FAILURES,), LOCK, overwrite=options.overwrite)
    has_overview = (out / OVERVIEW).is_file()
    check_output(out / OVERVIEW, overwrite=options.overwrite, is_ours=is_own_overview)
    check_output(out / OVERVIEW_PARQUET, overwrite=options.overwrite, is_ours=lambda _: has_overview)


def _check_beside(job: VideoJob, finish: Finish, options: Namespace) -> None:
    from rt_pose.offline.prediction_record import record_path

    has_record = record_path(job).is_file()
    for file in finish.files(job):
        check_output(file, [job.video], overwrite=options.overwrite, is_ours=lambda _: has_record)


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
    parser.add_argument(
        "--videos",
        type=str,
        nargs="+",
        help="Many: a folder, a pattern in quotes, a list of paths, or videos one after another.",
    )
    parser.add_argument("--videos-from", type=str, help="Many: a text file with a path a line.")
    parser.add_argument("--out", type=str, required=True, help="The CSV to write; of many, their folder.")
    parser.add_argument(
        "--parquet", action="store_true", help="Write each CSV as Parquet too, with the frames' times."
    )
    parser.add_argument(
        "--covariance",
        action="store_true",
        help="Write the covariance of each keypoint's error as well (x_var, xy_cov, y_var; px^2), into "
        "NAME_covariance.csv beside NAME.csv, which stays as other programs read it.",
    )
    parser.add_argument(
        "--individuals",
        type=int,
        default=0,
        help="Of a package that finds several animals: how many to write. 0: as many as the frames that it "
        "was trained on held.",
    )
    add_overwrite(parser)
    parser.takes(PredictConfig)


def overview(options: Namespace) -> int:
    """One table over all videos that were predicted into a folder: how good each is, and its worst frames."""
    from rt_pose.offline.overview import OVERVIEW, OVERVIEW_PARQUET, is_own_overview, write_overview
    from rt_pose.offline.quality import check_quality_config
    from rt_pose.offline.quality_config import QualityConfig

    folder = Path(options.folder)
    if not folder.is_dir():
        raise UserError(f"overview {folder}: no such folder; give the --out of `rt-pose predict --videos`")
    check_quality_config(QualityConfig(), options.config.limits)
    has_overview = (folder / OVERVIEW).is_file()
    check_output(folder / OVERVIEW, is_ours=is_own_overview, option="overview")
    check_output(folder / OVERVIEW_PARQUET, is_ours=lambda _: has_overview, option="overview")
    write_overview(folder, options.config.limits)
    return EXIT_OK


def overview_parser(parser: Parser) -> None:
    """Add the options of `rt-pose overview`."""
    from rt_pose.offline.quality_config import OverviewConfig

    parser.add_argument(
        "folder", type=str, help="The --out of `rt-pose predict --videos`, or a folder above."
    )
    parser.takes(OverviewConfig)


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
