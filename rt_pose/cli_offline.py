"""`rt-pose predict` and `smooth`: keypoints of recordings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jsonargparse import ArgumentParser, Namespace

from rt_pose.cli_options import EXIT_FAILED, EXIT_OK, plain
from rt_pose.clock import HostClock
from rt_pose.config import EngineConfig, build
from rt_pose.errors import UserError

if TYPE_CHECKING:
    from rt_pose.package import Package


def predict(options: Namespace) -> int:
    """Keypoints of recorded videos, one or thousands, offline, as Lightning Pose CSVs."""
    from rt_pose.offline.predict import predict_video
    from rt_pose.package import read_package

    engine = build(EngineConfig, plain(options.engine), "predict")
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
    cluster = build(ClusterConfig, plain(options.cluster), "predict")
    jobs = find_videos(options.videos, out)
    if cluster.where == "here":
        with only_one(out):
            outcome = predict_many(package, jobs, engine, clock, print)
    else:
        outcome = predict_on_cluster(package, jobs, out, engine, cluster, clock, print)
    return EXIT_OK if conclude(outcome, out, print) else EXIT_FAILED


def predict_parser(parser: ArgumentParser) -> None:
    from rt_pose.offline.cluster_config import ClusterConfig

    parser.add_argument("--model", type=str, required=True, help="Folder of the model package.")
    parser.add_argument("--video", type=str, help="The recording.")
    parser.add_argument("--videos", type=str, help="Many: a folder, a pattern in quotes, or a list of paths.")
    parser.add_argument("--out", type=str, required=True, help="The CSV to write; of many, their folder.")
    parser.add_class_arguments(EngineConfig, "engine")
    parser.add_class_arguments(ClusterConfig, "cluster")


def smooth(options: Namespace) -> int:
    """Several networks' predictions of one video to one: ensemble Kalman smoothing of CSV files."""
    from rt_pose.offline.smooth_files import smooth_files

    for line in smooth_files([Path(p) for p in options.csv], Path(options.out), options.mode, options.parts):
        print(line)
    print(f"smoothed: {options.out}")
    return EXIT_OK


def smooth_parser(parser: ArgumentParser) -> None:
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
