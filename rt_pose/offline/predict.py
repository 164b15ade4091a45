"""Keypoints of a recorded video, by the loop's own chain, as a Lightning Pose CSV."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from rt_pose.config.schema import EngineConfig
from rt_pose.console import progress
from rt_pose.errors import UserError
from rt_pose.inference.choose_engine import EngineChoice, choose_engine, replicate_estimators
from rt_pose.inference.decode import Keypoints
from rt_pose.inference.device import physical_cores
from rt_pose.inference.estimator import Estimator
from rt_pose.offline.animal_rows import AnimalRows
from rt_pose.offline.in_parallel import Found, estimate_in_order
from rt_pose.offline.prediction_files import COVARIANCE_FIELDS, FIELDS, open_table
from rt_pose.package import MOST_INDIVIDUALS, Package, check_frame_size, unlike_trained
from rt_pose.rules.keypoint_name import individual_names
from rt_pose.tracking.observation_noise import error_covariance, with_noise_floor
from rt_pose.video import Channels, VideoInfo, probe, read_frames

_LOG = logging.getLogger(__name__)

FORMATS = ("%.4f", "%.4f", "%.6f")
"""Of x, y and likelihood."""


def predict_video(
    package: Package,
    video: Path,
    out: Path,
    config: EngineConfig,
    covariance: Path | None = None,
    individuals: int = 0,
) -> EngineChoice:
    """Write the keypoints of every frame of a video to a CSV, which appears when it is whole.

    Parameters
    ----------
    package
        The model package.
    video
        The video.
    out
        The CSV.
    config
        The `engine` section of a configuration.
    covariance
        The CSV of the covariances of single frames' errors; None for none.
    individuals
        How many animals to write, of a package that finds several; 0: as many as it was trained with.

    Returns
    -------
    EngineChoice
        The engine that was used.

    Raises
    ------
    UserError
        Where the video or the engine is not available, before anything is written.
    """
    video, out = Path(video), Path(out)
    info = check_video(package, video, out)
    predictor = Predictor(package, config, individuals)
    with progress(video.name, info.frames) as report_progress:
        predictor.write(video, out, report_progress, covariance)
    return predictor.choice


def check_video(package: Package, video: Path, out: Path) -> VideoInfo:
    """Check that a video can be predicted into a CSV.

    Parameters
    ----------
    package
        The model package, for the size of its frames.
    video
        The video.
    out
        The CSV.

    Returns
    -------
    VideoInfo
        What the video holds.

    Raises
    ------
    UserError
        Where it cannot.
    """
    if out.is_dir():
        raise UserError(f"{out}: is a folder; give `--out` the name of the CSV to write")
    info = probe(video)
    check_frame_size(package, info.width, info.height, video.name)
    for note in (*info.notes, unlike_trained(package, info.width, info.height, video.name)):
        if note:
            _LOG.warning(note)
    return info


class Predictor:
    """A package's network, ready for one video after another."""

    def __init__(self, package: Package, config: EngineConfig, individuals: int = 0) -> None:
        """Load the engine, with one estimator a core where it can run so.

        Parameters
        ----------
        package
            The model package.
        config
            The `engine` section of a configuration.
        individuals
            How many animals to write, of a package that finds several; 0: as many as it was trained with.

        Raises
        ------
        UserError
            Where no engine can serve the package.
        """
        if config.decoder == "nvdec" and config.device != "gpu":
            raise UserError(
                "engine.decoder: 'nvdec' is the GPU's own decoder, engine.device is 'cpu'; set "
                "`--engine.device gpu`, or `--engine.decoder pyav`"
            )
        self._package, self._config = package, config
        self._animals = animal_names(package, individuals)
        self.choice, self._estimators = _estimators(package, config, len(self._animals))

    def write(
        self,
        video: Path,
        out: Path,
        report_progress: Callable[[int], object],
        covariance: Path | None = None,
    ) -> int:
        """Write the keypoints of every frame of a video.

        Three header rows (scorer, bodyparts, coords x, y, likelihood), of several animals a fourth
        (individuals, below scorer); the first column the frame's number, pixels of the original frame, an
        empty cell where a keypoint was not seen. The table of covariances has the same rows, with
        `COVARIANCE_FIELDS` of each keypoint.

        Parameters
        ----------
        video
            The video.
        out
            The CSV; it appears when it is whole.
        report_progress
            Called with the number of frames done.
        covariance
            The CSV of the covariances of single frames' errors, which appears before `out`; None for none.

        Returns
        -------
        int
            How many frames the video had.

        Raises
        ------
        UserError
            Where the video breaks off.
        """
        manifest = self._package.manifest
        tracking = with_noise_floor(manifest.tracking, self.choice.displacement_p95_px)
        count = 0
        try:
            with ExitStack() as tables:
                keypoints, animals = manifest.keypoints, self._animals
                table = open_table(out, keypoints, FIELDS, formats=FORMATS, individuals=animals)
                add = tables.enter_context(table)
                add_covariance = None
                if covariance is not None:
                    beside = open_table(
                        covariance, keypoints, COVARIANCE_FIELDS, formats=("%.6g",), individuals=animals
                    )
                    add_covariance = tables.enter_context(beside)
                for count, (index, found) in enumerate(self._rows(video, manifest.input.channels), 1):
                    add(index, np.concatenate([found.xy, found.confidence[..., None]], axis=-1))
                    if add_covariance:
                        cov = error_covariance(found.cov, tracking).reshape(-1, 4)
                        add_covariance(index, cov[:, [0, 1, 3]])
                    report_progress(count)
        except UserError as error:
            raise UserError(f"{error}; nothing was written to {out}") from error
        return count

    def _rows(self, video: Path, channels: Channels) -> Iterator[Found]:
        """Every frame's number and keypoints (K,), of several animals (N, K)."""
        keep = AnimalRows(len(self._animals), len(self._package.manifest.keypoints))
        for index, found in self._found(video, channels):
            own = Keypoints(*(part[0] for part in found))
            yield index, keep(own) if self._animals else own

    def _found(self, video: Path, channels: Channels) -> Iterator[Found]:
        """Every frame's number and keypoints."""
        if self._config.decoder == "pyav":
            return estimate_in_order(read_frames(video, channels), self._estimators)
        from rt_pose.inference.gpu.estimator import GpuEstimator
        from rt_pose.inference.gpu.video import read_on_device

        (estimator,) = self._estimators
        assert isinstance(estimator, GpuEstimator)
        frames = read_on_device(video, channels, estimator.device)
        return ((index, estimator.estimate_on_device(frame)) for index, frame in enumerate(frames))


def animal_names(package: Package, individuals: int) -> list[str]:
    """Name the animals of a table by numbers, as a network knows no names.

    Parameters
    ----------
    package
        The model package.
    individuals
        How many animals to write; 0: as many as it was trained with.

    Returns
    -------
    list[str]
        The names; none of a package of one animal.

    Raises
    ------
    UserError
        Where it finds one animal and several are asked for, or there are more than a package can find.
    """
    most = package.manifest.individuals
    if not 0 <= individuals <= MOST_INDIVIDUALS:
        raise UserError(f"--individuals: expected 1 to {MOST_INDIVIDUALS} animals, got {individuals}")
    if most == 1:
        if individuals > 1:
            raise UserError(
                f"--individuals {individuals}: {package.path} finds one animal; train one on frames that "
                "hold several"
            )
        return []
    return list(individual_names(individuals or most))


def _estimators(
    package: Package, config: EngineConfig, detections: int
) -> tuple[EngineChoice, list[Estimator]]:
    """One estimator a core, all alike, each passed by the golden check, where the engine can run so; with a
    number of threads asked for, one with so many; on a GPU, which is busy with one, and with a network that
    needs each frame after the one before it, a single one."""
    if config.threads or config.device == "gpu" or package.manifest.input.context:
        choice = choose_engine(package, config, detections)
        return choice, [choice.estimator]
    choice = choose_engine(package, replace(config, threads=1), detections)
    return choice, replicate_estimators(choice, package, physical_cores())
