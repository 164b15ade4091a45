"""Which engine runs the network, and why; its warm-up and its bare forward time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_MS, NS_PER_S, Clock, HostClock
from rt_pose.config.schema import EngineConfig
from rt_pose.errors import UserError, nearest
from rt_pose.extras import installed, remedy
from rt_pose.inference.device import choose_device, physical_cores
from rt_pose.inference.engine import Engine, engines, lacks_context, open_engine
from rt_pose.inference.estimator import CpuEstimator, Estimator
from rt_pose.package import DecodeSpec, Package, golden_check, precision_report
from rt_pose.types import FloatArray

DALI = "nvidia.dali"
AUTO_ERROR_FACTOR = 1.05
"""`auto` takes a precision whose validation error is at most this much of float32's."""

BY_NAME_ONLY = ("int8",)
"""What `auto` never takes, whatever its figures: some tens of labels do not show what an int8 network does to
the frames in between, which is jitter and now and then a keypoint elsewhere."""


LONGEST_BARE_S = 20.0
"""The longest time for the forwards that a run times before it and after it."""
RACE_GAIN = 0.9
"""`auto` takes a lower precision only where it needs at most this much of the time of a more exact one."""
RACE_ROUNDS, RACE_FORWARDS = 5, 10
"""Of each precision, in turns, when `auto` has several to choose from."""


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

    def __str__(self) -> str:
        text = f"{self.engine.description}; golden keypoints move {self.golden_px:.3f} px"
        measured = [f"threads measured, {self.tuning}"] if self.tuning else []
        preprocessing = f"preprocessing by {self.preprocess} ({self.preprocess_why})"
        return "; ".join([text, preprocessing, *measured, *self.refused])


@dataclass
class BareForward:
    """Time of the network alone on a ready tensor (ms)."""

    p50: float
    p99: float
    n: int


def choose_engine(package: Package, config: EngineConfig, detections: int = 0) -> EngineChoice:
    """Choose the engine for a package: as configured, or with `auto` the fastest that is good enough.

    Good enough: the processor has the precision, the validation error written at export is within 5 % of
    float32's, and the golden keypoints stay within tolerance. Which of these is the fastest is measured.

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
    refused: list[str] = []
    good: list[EngineChoice] = []
    for precision in engines()[backend].precisions():
        if precision == "float32":
            break
        if engines()[backend].missing(package.path, precision):
            continue  # the package has no such network: nothing was given up
        if precision in BY_NAME_ONLY:
            refused.append(f"{precision} not taken: only where asked for (`--engine.precision {precision}`)")
            continue
        if objection := _unsupported_reason(package, precision):
            refused.append(f"{precision} not taken: {objection}")
            continue
        try:
            good.append(_checked(package, backend, precision, threads, preprocess, detections))
        except UserError as error:
            refused.append(f"{precision} not taken: {error}")
    good.append(_checked(package, backend, "float32", threads, preprocess, detections))
    return _fastest(good, refused)


def _fastest(good: list[EngineChoice], refused: list[str]) -> EngineChoice:
    """The fastest of what is good enough, by measurement: a processor may have bf16 and be slower in it."""
    if len(good) == 1:
        return replace(good[0], refused=refused)
    clock = HostClock()
    rounds = [
        {choice.engine.precision: bare_forward_ms(choice.engine, clock, RACE_FORWARDS).p50 for choice in good}
        for _ in range(RACE_ROUNDS)
    ]
    times = {name: float(np.median([times[name] for times in rounds])) for name in rounds[0]}
    taken = is_faster(times)
    lines = [
        f"{name} not taken: {time / times[taken]:.2f} times the time of {taken} here"
        for name, time in times.items()
        if name != taken
    ]
    choice = next(choice for choice in good if choice.engine.precision == taken)
    return replace(choice, refused=[*refused, *lines])


def is_faster(times_ms: Mapping[str, float]) -> str:
    """Choose among precisions by their forward times.

    A more exact one yields only to one that is clearly faster (`RACE_GAIN`), so that neighbouring runs choose
    alike.

    Parameters
    ----------
    times_ms
        Forward times (ms) by precision, in the order of rising exactness.

    Returns
    -------
    str
        The precision to take.
    """
    *lower, taken = times_ms
    for precision in reversed(lower):
        if times_ms[precision] <= RACE_GAIN * times_ms[taken]:
            taken = precision
    return taken


def warm_up(engine: Engine, runs: int = 20) -> None:
    """Run the engine on an empty input, so that the first frame finds caches and threads in place.

    Parameters
    ----------
    engine
        The engine, loaded.
    runs
        Number of forwards.
    """
    forward = engine.ready()
    for _ in range(runs):
        forward()


def bare_forward_ms(
    engine: Engine, clock: Clock, n: int = 200, longest_s: float = LONGEST_BARE_S
) -> BareForward:
    """Time the engine's forward alone, one input at a time on a ready tensor, after a warm-up.

    Parameters
    ----------
    engine
        The engine, loaded.
    clock
        Measures the time.
    n
        Number of forwards.
    longest_s
        Fewer than `n` are run where those would take longer than this, s.

    Returns
    -------
    BareForward
        Median and P99 (ms), and the number of forwards.
    """
    warm_up(engine)
    forward = engine.ready()
    elapsed_ns: list[int] = []
    end_ns = clock.now_ns() + round(longest_s * NS_PER_S)
    while len(elapsed_ns) < n and (start_ns := clock.now_ns()) < end_ns:
        forward()
        elapsed_ns.append(clock.now_ns() - start_ns)
    p50, p99 = np.percentile(np.array(elapsed_ns) / NS_PER_MS, [50, 99])
    return BareForward(float(p50), float(p99), len(elapsed_ns))


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


def _unsupported_reason(package: Package, precision: str) -> str | None:
    """What the package's own figures say against a precision; None where they speak for it."""
    report, float32 = (precision_report(package.manifest, name) for name in (precision, "float32"))
    if report is None or float32 is None:
        return "its validation error was not measured at export"
    error, reference = report.validation_error_px, float32.validation_error_px
    if error is None or reference is None:
        ask = f"ask for it: `--engine.precision {precision}`"
        if "imported" in package.manifest.training:
            return f"imported without labels, so its error is not known; import with `--labels`, or {ask}"
        return (
            "trained on every label, so its error is not known; it puts keypoints "
            f"{report.largest_p95_px:.2f} px (P95) from float32's; {ask}"
        )
    # Written so that an error that is not a number is refused as well.
    if not error <= AUTO_ERROR_FACTOR * reference:
        return f"validation error {error:.2f} px, float32 {reference:.2f} px"
    return None


def _checked(
    package: Package, backend: str, precision: str, threads: int, preprocess: str, detections: int
) -> EngineChoice:
    """The engine, having reproduced the golden keypoints; UserError where it did not."""
    manifest = package.manifest
    engine = open_engine(backend, package.path, manifest.input, precision, threads)
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


def replicate_estimators(choice: EngineChoice, package: Package, count: int) -> list[Estimator]:
    """Make estimators like the choice's, to be called from as many threads at the same time.

    Parameters
    ----------
    choice
        The engine that runs.
    package
        The package that it was chosen for.
    count
        How many are wanted.

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
    found = [make_estimator(engine, decode, choice.preprocess, detections) for engine in beside(count)]
    for estimator in found:
        _golden(package, choice.engine.precision, estimator)
    return found


def _golden(package: Package, precision: str, estimator: Estimator) -> float:
    def predict(frames: NDArray[np.uint8]) -> tuple[FloatArray, FloatArray]:
        found = estimator.estimate_sequence(frames)
        return found.xy, found.confidence

    return golden_check(package, precision, predict)
