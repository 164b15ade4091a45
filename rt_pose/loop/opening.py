"""Opens the parts of a run: ports, outputs, rules, cameras with their memory, the engine."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rt_pose.clock import NS_PER_MS, Clock
from rt_pose.config.certificate import Certification, certify
from rt_pose.config.check import check_run
from rt_pose.config.schema import RunConfig
from rt_pose.decisions.action import check_fits
from rt_pose.decisions.rule import Rule
from rt_pose.decisions.rule_set import RuleSet
from rt_pose.drivers import DriverContext
from rt_pose.errors import ErrorCollector, UserError
from rt_pose.inference.choose_engine import EngineChoice, choose_engine
from rt_pose.inference.device import choose_device, raise_priority
from rt_pose.inference.estimator import Estimator
from rt_pose.loop.control import ControlSocket
from rt_pose.loop.curve import CurveServer, ServerKeys, read_keys
from rt_pose.loop.devices import (
    Cameras,
    Inputs,
    Outputs,
    channels_of,
    open_cameras,
    open_inputs,
    open_outputs,
    rings_for,
)
from rt_pose.loop.frame_ring import FrameRing
from rt_pose.loop.publish import Publisher
from rt_pose.loop.sync import SyncPlan, plan_sync
from rt_pose.loop.warm_up import load_compiled
from rt_pose.package import DriftSpec, Package, TrackingSpec, read_package
from rt_pose.tracking.observation_noise import with_noise_floor
from rt_pose.tracking.pose_prior import with_origin
from rt_pose.types import CameraInfo, OutputInfo

if TYPE_CHECKING:
    from rt_pose.views.groups import CalibratedGroup


@dataclass(frozen=True, slots=True)
class OwnModel:
    """The model of a camera that has one of its own."""

    package: Package
    choice: EngineChoice
    tracking: TrackingSpec
    """As the run's."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What was opened for a run, and its parameters."""

    config: RunConfig
    package: Package
    publisher: Publisher
    socket: ControlSocket
    outputs: Outputs
    inputs: Inputs
    rules: RuleSet
    cameras: Cameras
    rings: dict[str, FrameRing]
    choice: EngineChoice
    tracking: TrackingSpec
    """The package's parameters, with the engine's displacement added to the floor of the noise."""
    own: dict[str, OwnModel]
    """By camera."""
    sync: SyncPlan
    certification: Certification
    """What the latency certificates of the rig mean for the run."""
    views: dict[str, CalibratedGroup]
    """Groups of views by name."""

    @property
    def infos(self) -> list[CameraInfo]:
        """What each opened camera is, in the order of the configuration."""
        return [info for info, _ in self.cameras.values()]

    @property
    def origins(self) -> dict[str, tuple[int, int]]:
        """Where on the sensor the frames of each camera lie, px."""
        return {name: info.offset_xy for name, (info, _) in self.cameras.items()}

    def tracking_of(self, camera: str) -> TrackingSpec:
        """Look up the filter parameters of a camera.

        Parameters
        ----------
        camera
            Name of the camera.

        Returns
        -------
        TrackingSpec
            Those of its own model, or the run's, for poses in px of its sensor.
        """
        own = self.own.get(camera)
        return with_origin(self.tracking if own is None else own.tracking, self.origins[camera])

    def estimator_of(self, camera: str) -> Estimator:
        """Look up the estimator of a camera.

        Parameters
        ----------
        camera
            Name of the camera.

        Returns
        -------
        Estimator
            That of its own model, or the run's.
        """
        own = self.own.get(camera)
        return (self.choice if own is None else own.choice).estimator

    @property
    def drift(self) -> dict[str, DriftSpec]:
        """What the calibration recordings were like, by camera: of those that are compared with them."""
        if self.config.drift == "off":
            return {}
        packages = {
            name: self.own[name].package if name in self.own else self.package for name in self.cameras
        }
        specs = {name: package.manifest.drift for name, package in packages.items()}
        return {name: spec for name, spec in specs.items() if spec is not None}


def open_parts(config: RunConfig, session_id: str, clock: Clock, stack: ExitStack) -> Opened:
    """Open all parts of a run, the cheapest first.

    Parameters
    ----------
    config
        The run.
    session_id
        Identifier of the session, in every published message.
    clock
        The only clock of the loop.
    stack
        Gets what closes each part.

    Returns
    -------
    Opened
        The opened parts.

    Raises
    ------
    UserError
        With everything that is wrong, where the configuration makes no sense or parts cannot be had.
    """
    check_run(config)
    found = _open_cheap_parts(config, session_id, clock, stack)
    rings = rings_for(found.cameras, stack)
    choices = _choose_engines(config, found, rings, clock, stack)
    choice = choices[found.package.sha256]
    return Opened(
        config,
        found.package,
        found.publisher,
        found.socket,
        found.outputs,
        found.inputs,
        found.rules,
        found.cameras,
        rings,
        choice,
        _tracking(found.package, choice),
        _own_models(found, choices),
        found.sync,
        found.certification,
        found.views,
    )


@dataclass(frozen=True, slots=True)
class _CheapParts:
    """What is open before the engines are chosen, which takes longest; fields as in `Opened`."""

    package: Package
    packages: dict[str, Package]
    """The package of each camera."""
    publisher: Publisher
    socket: ControlSocket
    outputs: Outputs
    inputs: Inputs
    rules: RuleSet
    cameras: Cameras
    sync: SyncPlan
    certification: Certification
    views: dict[str, CalibratedGroup]
    await_compiled: Callable[[], None]
    """Waits until the compiled functions are loaded."""


def _open_cheap_parts(config: RunConfig, session_id: str, clock: Clock, stack: ExitStack) -> _CheapParts:
    """Open everything but the engines; UserError with everything that is wrong."""
    errors = ErrorCollector()
    errors.run(lambda: choose_device(config.engine.device))
    package = errors.run(lambda: _several(read_package(_model(config)), config, "model"))
    await_compiled = _load_meanwhile(config, package, stack)
    packages = {} if package is None else _packages(config, package, errors)
    publisher, socket = _open_sockets(config, session_id, clock, stack, errors)
    context = DriverContext(clock, config.seed, channels=channels_of(package))
    outputs = open_outputs(config, context, stack, errors)
    inputs = open_inputs(config, context, stack, errors)
    rules, sync = _rules_and_sync(config, package, [info for info, _ in outputs], errors)
    cameras = open_cameras(config, context, packages, stack, errors)
    views: dict[str, CalibratedGroup] | None = {}
    if config.views and package is not None and len(cameras) == len(config.cameras):
        views = errors.run(partial(_read_views, config, package, packages, cameras))
    certification: Certification | None = None
    if package is not None and rules is not None and len(cameras) == len(config.cameras):
        certification = errors.run(partial(_certify, config, package, rules, cameras, outputs, clock))
    if package is not None and errors.messages:  # refused all the same: what of the model is wrong besides?
        for used in _distinct(package, packages):
            errors.run(partial(choose_engine, used, config.engine, _detections(config)))
    errors.check()
    assert package is not None
    assert publisher is not None
    assert socket is not None
    assert rules is not None
    assert certification is not None
    assert views is not None
    if certification.used:
        outputs = [(_with_measured_delay(info, certification), output) for info, output in outputs]
        rules = _rules_for(config, package, [info for info, _ in outputs])
    return _CheapParts(
        package,
        packages,
        publisher,
        socket,
        outputs,
        inputs,
        rules,
        cameras,
        sync,
        certification,
        views,
        await_compiled,
    )


def _read_views(
    config: RunConfig, package: Package, packages: dict[str, Package], cameras: Cameras
) -> dict[str, CalibratedGroup]:
    """The groups of views; UserError where a calibration is not of the cameras."""
    from rt_pose.views.groups import calibrated_groups  # with OpenCV, which other runs do without

    infos = {name: info for name, (info, _) in cameras.items()}
    noise = {name: used.manifest.tracking for name, used in packages.items()}
    return calibrated_groups(config.views, infos, package.manifest.keypoints, noise)


def _load_meanwhile(config: RunConfig, package: Package | None, stack: ExitStack) -> Callable[[], None]:
    """Load the compiled functions beside what else is opened; returns what waits for them."""
    if package is None or config.engine.device == "gpu":
        return lambda: None
    loading = threading.Thread(target=load_compiled, args=(package,), name="rt-pose-load")
    loading.start()
    stack.callback(loading.join)
    return loading.join


def _distinct(run: Package, packages: dict[str, Package]) -> list[Package]:
    """The package of the run and those of its cameras, each once."""
    return list({package.sha256: package for package in (run, *packages.values())}.values())


def _choose_engines(
    config: RunConfig, found: _CheapParts, rings: dict[str, FrameRing], clock: Clock, stack: ExitStack
) -> dict[str, EngineChoice]:
    """The engine of each package, by its hash, with the memory of its cameras' rings at its hand."""
    choices = {}
    for used in _distinct(found.package, found.packages):
        choice = choose_engine(used, config.engine, _detections(config), clock, found.await_compiled)
        choices[used.sha256] = choice
        for name, ring in rings.items():
            if found.packages[name].sha256 == used.sha256:
                stack.callback(choice.estimator.pin(ring.pixels))
    found.await_compiled()  # what follows is timed, and the threads are those that stay
    if config.engine.priority == "high":
        raise_priority()  # now that the engines have their threads
    return choices


def _own_models(found: _CheapParts, choices: dict[str, EngineChoice]) -> dict[str, OwnModel]:
    """The models of the cameras that do not use the run's."""
    return {
        name: OwnModel(its, choices[its.sha256], _tracking(its, choices[its.sha256]))
        for name, its in found.packages.items()
        if its.sha256 != found.package.sha256
    }


def _certify(
    config: RunConfig, package: Package, rules: RuleSet, cameras: Cameras, outputs: Outputs, clock: Clock
) -> Certification:
    """What the certificates mean for the run; UserError where it is to begin armed and may not."""
    certification = certify(
        config,
        [info for info, _ in cameras.values()],
        [info for info, _ in outputs],
        _deadlines_ms(config, rules.rules, list(cameras)),
        package.sha256,
        clock.utc_ns(),
    )
    if certification.refusal and config.armed_at_start:
        raise UserError(f"armed_at_start: {certification.refusal}")
    return certification


def _packages(config: RunConfig, run: Package, errors: ErrorCollector) -> dict[str, Package]:
    """The package of each camera."""
    found = {
        name: errors.run(partial(_own_package, c.model, run, name, config))
        for name, c in config.cameras.items()
    }
    return {name: package for name, package in found.items() if package is not None}


def _own_package(model: str, run: Package, camera: str, config: RunConfig) -> Package:
    """The package of a camera; the run's where it names none."""
    if not model:
        return run
    package = _several(read_package(model), config, f"cameras.{camera}.model")
    if package.manifest.keypoints != run.manifest.keypoints:
        raise UserError(
            f"cameras.{camera}.model: {model} finds {', '.join(package.manifest.keypoints)}; expected the "
            f"keypoints of the run's model, in their order: {', '.join(run.manifest.keypoints)}"
        )
    return package


def _several(package: Package, config: RunConfig, key: str) -> Package:
    """A package that finds as many animals as the run tracks: one, or several."""
    found, wanted = package.manifest.individuals, config.individual_count
    if found == 1 and wanted > 1:
        raise UserError(
            f"{key}: {package.path} finds one animal in a frame, the configuration has {wanted} individuals; "
            "train on frames in which several are labeled, or leave `individuals` out"
        )
    if found > 1 and wanted == 1:
        raise UserError(
            f"{key}: {package.path} finds several animals in a frame; say how many there are, e.g. "
            f"`individuals: {found}`"
        )
    return package


def _detections(config: RunConfig) -> int:
    """Most detections that are decoded of a frame: what is no animal must not displace one that is."""
    return 2 * config.individual_count if config.individual_count > 1 else 0


def _tracking(package: Package, choice: EngineChoice) -> TrackingSpec:
    return with_noise_floor(package.manifest.tracking, choice.displacement_p95_px)


def _open_sockets(
    config: RunConfig, session_id: str, clock: Clock, stack: ExitStack, errors: ErrorCollector
) -> tuple[Publisher | None, ControlSocket | None]:
    curve = errors.run(partial(_curve_server, config))
    if curve is None:
        return None, None
    stack.callback(curve.close)
    publisher = errors.run(
        partial(Publisher, config.publish.address, session_id, clock, curve, config.publish.format)
    )
    if publisher is not None:
        stack.callback(publisher.close)
    socket = errors.run(partial(ControlSocket, config.publish.control, curve))
    if socket is not None:
        stack.callback(socket.close)
    return publisher, socket


def _curve_server(config: RunConfig) -> CurveServer:
    file = config.publish.keys
    return CurveServer(read_keys(Path(file), ServerKeys, "publish.keys") if file else None)


def _rules_and_sync(
    config: RunConfig, package: Package | None, outputs: list[OutputInfo], errors: ErrorCollector
) -> tuple[RuleSet | None, SyncPlan]:
    """Rules and sync signals, where there is what they need."""
    if package is None or len(outputs) < len(config.outputs):
        return None, SyncPlan()
    rules = errors.run(partial(_rules_for, config, package, outputs))
    if rules is None:
        return None, SyncPlan()
    return rules, errors.run(partial(plan_sync, config, rules.rules, outputs)) or SyncPlan()


def _rules_for(config: RunConfig, package: Package, outputs: list[OutputInfo]) -> RuleSet:
    """The rules, each with a plan that its output can carry out, and the limits that they keep within."""
    found = {info.name: info for info in outputs}
    delays_ms = {info.name: info.delay_ms for info in outputs}
    rules = RuleSet.of(config, package.manifest.keypoints, delays_ms)
    for rule in rules.rules:
        check_fits(rule.plan, found[rule.output], f"rule '{rule.name}'")
    return rules


def _deadlines_ms(
    config: RunConfig, rules: Sequence[Rule], cameras: Sequence[str]
) -> dict[tuple[str, str], dict[str, float]]:
    """What must be met, by camera and output of rules that act on the animal: a text has no time of
    effect."""
    deadlines: dict[tuple[str, str], dict[str, float]] = {}
    for rule in rules:
        if rule.plan.action == "message" or rule.plan.ends:
            continue
        for camera in rule.cameras_of(cameras):
            limits_ms = deadlines.setdefault((camera, rule.output), {"budget_ms": config.budget_ms})
            if rule.config.deadline is not None:
                limits_ms[f"the deadline of rule '{rule.name}'"] = rule.deadline_ns / NS_PER_MS
    return deadlines


def _with_measured_delay(info: OutputInfo, certification: Certification) -> OutputInfo:
    """An output with the delay of its certificate, where it has one that holds."""
    found = certification.used.get(info.name)
    if found is None:
        return info
    return dataclasses.replace(info, delay_ms=found.delay_ms, stated_delay_ms=info.delay_ms)


def _model(config: RunConfig) -> str:
    if not config.model:
        raise UserError(
            "configuration: model: no model package was given; add `--model OUT/package` "
            "(`rt-pose train fit CONFIG` writes one)"
        )
    return config.model
