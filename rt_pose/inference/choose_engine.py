"""Which engine runs the network, and why.

What `auto` has to measure for that takes seconds. On a CPU it is kept for the next start of the same package
on the same processor with the same libraries (`rt_pose.inference.kept_choices`); everything else that speaks
for or against an engine is looked at each time, the golden keypoints included. A GPU's engines are measured
at every start.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import Clock
from rt_pose.config.schema import EngineConfig
from rt_pose.errors import UserError, nearest
from rt_pose.extras import installed, remedy
from rt_pose.inference.auto_precision import candidates, race
from rt_pose.inference.device import choose_device, physical_cores
from rt_pose.inference.engine import Engine, engines, lacks_context, open_engine
from rt_pose.inference.estimator import CpuEstimator, Estimator
from rt_pose.inference.kept_choices import ChoiceFile, KeptChoice, now_in_words
from rt_pose.inference.other_load import OtherLoad
from rt_pose.package import DecodeSpec, Package, golden_check, precision_report
from rt_pose.types import FloatArray

DALI = "nvidia.dali"
MOST_OTHERS = 0.2
"""What is measured while others take a larger share of the cores is used, but not kept."""


@dataclass
class EngineChoice:
    """The engine that runs, with the reasons for it and against others."""

    engine: Engine
    golden_px: float
    """How far it moves the golden keypoints (px)."""
    displacement_p95_px: float
    """From float32, the larger of what was measured on labels and on video: joins the filter's noise floor. 0
    for float32."""
    estimator: Estimator
    """The engine with its preprocessing and decoding, as it passed the golden check."""
    preprocess: str = "dali"
    preprocess_why: str = ""
    """The reason for it."""
    refused: list[str] = field(default_factory=list)
    """Faster ones that were not taken, each with its reason."""

    detections: int = 0
    """Animals that a frame gives, D, of a package that finds several; 0: that was not asked for."""
    tuning: str = ""
    """The measurements of the engine's threads; empty where they were not measured."""
    raced: bool = False
    """Whether it was chosen among several by their times."""
    kept: str = ""
    """Where these measurements are kept; empty where nothing was measured."""

    def __str__(self) -> str:
        text = f"{self.engine.description}; golden keypoints move {self.golden_px:.3f} px"
        measured = [f"threads measured, {self.tuning}"] if self.tuning else []
        preprocessing = f"preprocessing by {self.preprocess} ({self.preprocess_why})"
        kept = [f"measurements {self.kept}"] if self.kept else []
        return "; ".join([text, preprocessing, *measured, *self.refused, *kept])


def choose_engine(
    package: Package,
    config: EngineConfig,
    detections: int = 0,
    tune: Clock | None = None,
    before_measuring: Callable[[], object] = lambda: None,
) -> EngineChoice:
    """Choose the engine for a package: as configured, or with `auto` the fastest that is good enough.

    Good enough: the processor has the precision, the validation error written at export is within 5 % of
    float32's, and the golden keypoints stay within tolerance. Which of these is the fastest is measured, or
    has been at an earlier start.

    The preprocessing with `auto` is the compiled resize where that keeps the golden keypoints in place (they
    were found behind DALI's graph), otherwise DALI. It is not chosen by speed: the same package gives the
    same pixels live and offline.

    Parameters
    ----------
    package
        A verified package.
    config
        The `engine` section of a configuration.
    detections
        How many animals a frame is to give, D; needed for a package that finds several. 0 or 1 for
        others.
    tune
        With a clock, and no number of threads asked for, how many serve best, and in which places, is
        measured as well (`Engine.tune`); None: one a physical core.
    before_measuring
        Called where something is measured, before: returns when nothing else goes on any more.

    Returns
    -------
    EngineChoice
        The engine with its estimator, and the reasons for it and against others.

    Raises
    ------
    UserError
        Where what was asked for by name cannot be had, no engine can run the package, or it finds several
        animals and `detections` is 0.
    """
    _check_individuals(package, detections)
    choose_device(config.device)
    if config.preprocess == "dali" and not installed(DALI):
        raise UserError(
            f"engine.preprocess: 'dali' needs {DALI}, which is not installed; `{remedy('gpu')}`, or set "
            "`--engine.preprocess compiled`"
        )
    clock = tune if config.threads == 0 else None
    if config.device == "gpu":
        before_measuring()
        return _choose_anew(package, config, clock, detections)
    file = ChoiceFile(package.sha256, config, tuned=clock is not None)
    if (choice := _choose_as_kept(package, config, file, detections)) is not None:
        return choice
    before_measuring()
    others = OtherLoad()
    return _keep(_choose_anew(package, config, clock, detections), file, others.share())


def _choose_as_kept(
    package: Package, config: EngineConfig, file: ChoiceFile, detections: int
) -> EngineChoice | None:
    """The engine of an earlier start's measurements; None without any, or where it may not run any more."""
    kept = file.read()
    if kept is None or not 1 <= kept.threads <= (config.threads or physical_cores()):
        return None
    backend = _choose_backend(package, config)
    allowed, _ = candidates(package, backend) if config.precision == "auto" else ([config.precision], [])
    if kept.precision not in allowed:
        return None
    try:
        choice = _checked(
            package, backend, kept.precision, kept.threads, kept.preprocess, detections, kept.pinned
        )
    except UserError:
        return None
    return replace(
        choice,
        preprocess_why=kept.preprocess_why,
        refused=kept.refused,
        tuning=kept.tuning,
        kept=f"of {kept.utc}, kept in {file.path}",
    )


def _keep(choice: EngineChoice, file: ChoiceFile, others: float) -> EngineChoice:
    """The choice, its measurements kept where there were any that can be trusted."""
    if not (choice.raced or choice.tuning):
        return choice
    if others > MOST_OTHERS:
        why = f"other programs took {others:.0%} of the cores meanwhile; the next start measures again"
        return replace(choice, kept=f"not kept: {why}")
    kept = KeptChoice(
        utc=now_in_words(),
        precision=choice.engine.precision,
        preprocess="dali" if choice.preprocess == "dali" else "compiled",
        preprocess_why=choice.preprocess_why,
        refused=choice.refused,
        threads=choice.engine.threads,
        pinned=getattr(choice.engine, "pinned", None),
        tuning=choice.tuning,
    )
    return replace(choice, kept=file.write(kept))


def _choose_anew(
    package: Package, config: EngineConfig, clock: Clock | None, detections: int
) -> EngineChoice:
    """The engine by measurement; with a clock its threads are tuned as well."""
    choice = _choose_preprocess(package, config, detections)
    return choice if clock is None else replace(choice, tuning=choice.engine.tune(clock))


def _choose_preprocess(package: Package, config: EngineConfig, detections: int) -> EngineChoice:
    """The engine with the preprocessing asked for, or the one that keeps the golden keypoints in place."""
    if config.preprocess != "auto":
        name = "dali" if config.preprocess == "dali" else "compiled"  # `torch` is an earlier name of it
        return replace(_choose_precision(package, config, name, detections), preprocess_why="as asked for")
    try:
        choice = _choose_precision(package, config, "compiled", detections)
    except UserError as error:
        if not installed(DALI):
            raise
        choice = _choose_precision(package, config, "dali", detections)
        return replace(choice, preprocess_why=f"the compiled resize not taken: {error}")
    alone = "" if installed(DALI) else f"; {DALI} is not installed"
    return replace(choice, preprocess_why=f"it keeps the golden keypoints in place{alone}")


def _check_individuals(package: Package, detections: int) -> None:
    """Refuse a package of several animals where one is expected, and the other way round."""
    if package.manifest.individuals > 1 and not detections:
        raise UserError(
            f"model package {package.path}: it finds several animals in a frame (up to "
            f"{package.manifest.individuals} in training), and this takes the package of one; `rt-pose "
            "predict` and `rt-pose train evaluate` take it"
        )
    if package.manifest.individuals == 1 and detections > 1:
        raise UserError(
            f"model package {package.path}: it finds one animal in a frame, and several are asked for; "
            "train one on frames that hold several"
        )


def _choose_precision(
    package: Package, config: EngineConfig, preprocess: str, detections: int
) -> EngineChoice:
    """The engine with a preprocessing, dali or compiled."""
    backend = _choose_backend(package, config)
    threads = 1 if config.device == "gpu" else config.threads or physical_cores()
    if config.precision != "auto":
        return _checked(package, backend, config.precision, threads, preprocess, detections)
    precisions, refused = candidates(package, backend)
    good: list[EngineChoice] = []
    for precision in precisions[:-1]:
        try:
            good.append(_checked(package, backend, precision, threads, preprocess, detections))
        except UserError as error:
            refused.append(f"{precision} not taken: {error}")
    good.append(_checked(package, backend, precisions[-1], threads, preprocess, detections))
    return _fastest(good, refused)


def _fastest(good: list[EngineChoice], refused: list[str]) -> EngineChoice:
    """The fastest of what is good enough, by measurement."""
    if len(good) == 1:
        return replace(good[0], refused=refused)
    taken, lines = race([choice.engine for choice in good])
    choice = next(choice for choice in good if choice.engine.precision == taken)
    return replace(choice, refused=[*refused, *lines], raced=True)


def _choose_backend(package: Package, config: EngineConfig) -> str:
    """The backend asked for, or the first that can serve the package (in the precision asked for)."""
    table = engines()
    if config.backend != "auto":
        if config.backend not in table:
            raise UserError(
                f"engine.backend: there is no backend '{config.backend}'{nearest(config.backend, table)}"
            )
        runs_on = table[config.backend].device
        if runs_on != config.device:
            raise UserError(
                f"engine.backend: '{config.backend}' runs on the {runs_on}, engine.device is "
                f"'{config.device}'; set `--engine.device {runs_on}`, or another backend"
            )
        return config.backend
    reasons = []
    for backend, cls in table.items():
        if cls.device != config.device:
            continue
        precision = "float32" if config.precision == "auto" else config.precision
        reason = cls.missing(package.path, precision)
        reason = reason or lacks_context(cls, package.manifest.input)
        if precision not in cls.precisions():
            reason = f"no '{config.precision}' here"
        if reason is None:
            return backend
        reasons.append(f"{backend}: {reason}")
    raise UserError(f"model package {package.path}: no engine can run it here ({'; '.join(reasons)})")


def _checked(
    package: Package,
    backend: str,
    precision: str,
    threads: int,
    preprocess: str,
    detections: int,
    pinned: bool | None = None,
) -> EngineChoice:
    """The engine, having reproduced the golden keypoints; UserError where it did not."""
    manifest = package.manifest
    engine = open_engine(backend, package.path, manifest.input, precision, threads, pinned)
    estimator = make_estimator(engine, manifest.decode, preprocess, detections)
    golden_px = _golden(package, precision, estimator)
    report = precision_report(manifest, precision)
    displaced = report.largest_p95_px if report and precision != "float32" else 0.0
    return EngineChoice(engine, golden_px, displaced, estimator, preprocess, detections=detections)


def make_estimator(
    engine: Engine, decode: DecodeSpec, preprocess: str = "dali", detections: int = 1
) -> Estimator:
    """Make the chain of preprocessing and decoding around an engine, on its device.

    Parameters
    ----------
    engine
        The engine, loaded.
    decode
        The package's decoding.
    preprocess
        "dali" or "compiled".
    detections
        How many animals a frame gives, D, for a package that finds several.

    Returns
    -------
    Estimator
        The estimator for the engine's device.
    """
    if engine.device == "gpu":
        # Imported here: a run on the CPU does not wait for CUDA to load.
        from rt_pose.inference.gpu.estimator import DeviceEngine, GpuEstimator

        return GpuEstimator(cast(DeviceEngine, engine), decode, preprocess, detections)
    return CpuEstimator(engine, decode, preprocess, detections)


def replicate_estimators(choice: EngineChoice, package: Package, cores: int) -> list[Estimator]:
    """Make estimators like the choice's, to be called from as many threads at the same time.

    There is one more than there are cores: while one has its frame resized, or its keypoints decoded, the
    others keep every core busy with the network.

    Parameters
    ----------
    choice
        The engine that runs.
    package
        The package that it was chosen for.
    cores
        How many networks may run at a time.

    Returns
    -------
    list[Estimator]
        The estimators, each having passed the golden check; only the choice's own where its engine cannot be
        replicated.

    Raises
    ------
    UserError
        Where one fails the golden check.
    """
    beside = getattr(choice.engine, "replicas", None)
    if beside is None:
        return [choice.estimator]
    decode, detections = package.manifest.decode, choice.detections
    found = [
        make_estimator(engine, decode, choice.preprocess, detections) for engine in beside(cores + 1, cores)
    ]
    for estimator in found:
        _golden(package, choice.engine.precision, estimator)
    return found


def _golden(package: Package, precision: str, estimator: Estimator) -> float:
    def predict(frames: NDArray[np.uint8]) -> tuple[FloatArray, FloatArray]:
        found = estimator.estimate_sequence(frames)
        return found.xy, found.confidence

    return golden_check(package, precision, predict)
