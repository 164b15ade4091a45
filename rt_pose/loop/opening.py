"""Opens and describes the parts of a run: ports, outputs, rules, cameras with their memory, the engine."""

from __future__ import annotations

import dataclasses
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import msgspec

from rt_pose.clock import Clock
from rt_pose.config.build import to_plain
from rt_pose.config.check import check_run
from rt_pose.config.schema import RunConfig
from rt_pose.decisions.action import check_fits
from rt_pose.decisions.decide import RuleSet
from rt_pose.drivers import Camera, DriverContext, Output, make_camera, make_output
from rt_pose.errors import UserError
from rt_pose.inference.choose_engine import EngineChoice, bare_forward_ms, choose_engine
from rt_pose.inference.device import choose_device, raise_priority
from rt_pose.loop.capture import FrameRing
from rt_pose.loop.control import ControlSocket
from rt_pose.loop.publish import Publisher
from rt_pose.package import Package, TrackingSpec, check_frame_size, read_package
from rt_pose.types import CameraInfo, OutputInfo

Outputs = list[tuple[OutputInfo, Output]]
Cameras = dict[str, tuple[CameraInfo, Camera]]

P95_OF_SIGMA = 2.4477
"""95th percentile of a displacement in the plane whose x and y have a standard deviation of 1."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What was opened for a run, and its parameters."""

    config: RunConfig
    package: Package
    publisher: Publisher
    socket: ControlSocket
    outputs: Outputs
    rules: RuleSet
    cameras: Cameras
    rings: dict[str, FrameRing]
    choice: EngineChoice
    tracking: TrackingSpec
    """The package's parameters, with the engine's displacement added to the floor of the noise."""

    @property
    def infos(self) -> list[CameraInfo]:
        """What each opened camera is, in the order of the configuration."""
        return [info for info, _ in self.cameras.values()]


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
        Where the configuration makes no sense or a part cannot be had.
    """
    check_run(config)
    choose_device(config.engine.device)
    package = read_package(_model(config))
    publisher = Publisher(config.publish.address, session_id, clock)
    stack.callback(publisher.close)
    socket = ControlSocket(config.publish.control)
    stack.callback(socket.router.close)
    context = DriverContext(clock, config.seed, channels=package.manifest.input.channels)
    outputs = _open_outputs(config, context, stack)
    rules = _rules_for(config, package, [info for info, _ in outputs])
    cameras = _open_cameras(config, context, package, stack)
    rings = _rings_for(cameras, stack)
    choice = _choose_engine(config, package, rings, clock, stack)
    tracking = with_noise_floor(package.manifest.tracking, choice.displacement_p95_px)
    return Opened(config, package, publisher, socket, outputs, rules, cameras, rings, choice, tracking)


def _open_outputs(config: RunConfig, context: DriverContext, stack: ExitStack) -> Outputs:
    opened = []
    for name, wanted in config.outputs.items():
        output = make_output(name, wanted.driver, wanted.options, context)
        opened.append((output.open(), output))
        stack.callback(output.close)
    return opened


def _rules_for(config: RunConfig, package: Package, outputs: list[OutputInfo]) -> RuleSet:
    """The rules, each with a plan that its output can carry out, and the limits that they keep within."""
    found = {info.name: info for info in outputs}
    delays_ms = {info.name: info.delay_ms for info in outputs}
    rules = RuleSet.of(config, package.manifest.keypoints, delays_ms)
    for rule in rules.rules:
        check_fits(rule.plan, found[rule.output], f"rule '{rule.name}'")
    return rules


def _open_cameras(config: RunConfig, context: DriverContext, package: Package, stack: ExitStack) -> Cameras:
    if not config.cameras:
        raise UserError("configuration: cameras: at least one is needed; `rt-pose devices` lists them")
    opened = {}
    for name, wanted in config.cameras.items():
        camera = make_camera(name, wanted.driver, wanted.options, context)
        opened[name] = (camera.open(), camera)
        stack.callback(camera.close)
    for name, (info, _) in opened.items():
        check_frame_size(package, info.width, info.height, f"camera '{name}'")
    return opened


def _rings_for(cameras: Cameras, stack: ExitStack) -> dict[str, FrameRing]:
    """Shared memory for each camera's frames."""
    rings = {}
    for name, (info, camera) in cameras.items():
        rings[name] = FrameRing.create(info)
        # In this order a camera is closed before the memory that its thread writes into.
        stack.callback(rings[name].close)
        stack.callback(camera.close)
    return rings


def _choose_engine(
    config: RunConfig, package: Package, rings: dict[str, FrameRing], clock: Clock, stack: ExitStack
) -> EngineChoice:
    """The engine on its cores, with the rings' memory at its hand."""
    choice = choose_engine(package, config.engine)
    for ring in rings.values():
        stack.callback(choice.estimator.pin(ring.pixels))
    if config.engine.threads == 0:
        choice = dataclasses.replace(choice, tuning=choice.engine.tune(clock))
    if config.engine.priority == "high":
        raise_priority()  # now that the engine has its threads
    return choice


def with_noise_floor(tracking: TrackingSpec, displacement_p95_px: float) -> TrackingSpec:
    """Add the engine's own displacement to the floor of the measurement noise.

    Parameters
    ----------
    tracking
        The package's parameters.
    displacement_p95_px
        95th percentile of the displacement of the engine's keypoints from the reference, px.

    Returns
    -------
    TrackingSpec
        Parameters whose `floor_px2` has grown by the variance of the displacement, taken as an isotropic
        Gaussian.
    """
    variance = (displacement_p95_px / P95_OF_SIGMA) ** 2
    return dataclasses.replace(tracking, floor_px2=[floor + variance for floor in tracking.floor_px2])


def _model(config: RunConfig) -> str:
    if not config.model:
        raise UserError(
            "configuration: model: no model package was given; add `--model OUT/package` "
            "(`rt-pose train fit CONFIG` writes one)"
        )
    return config.model


def describe(opened: Opened, clock: Clock) -> dict[str, Any]:
    """Describe a run as `session.json` does before it begins; times the network alone.

    Parameters
    ----------
    opened
        The opened parts.
    clock
        Times the network.

    Returns
    -------
    dict[str, Any]
        Configuration, package, engine, cameras, outputs, budget (ms) and bare forward (ms).
    """
    config, package, choice = opened.config, opened.package, opened.choice
    manifest, engine = package.manifest, choice.engine
    return {
        "config": to_plain(config),
        "package": {
            "path": str(package.path),
            "sha256": package.sha256,
            "keypoints": manifest.keypoints,
            "skeleton": manifest.skeleton,
            "tracking": msgspec.to_builtins(opened.tracking),
            "training": manifest.training,
        },
        "engine": {
            "backend": engine.backend,
            "precision": engine.precision,
            "threads": engine.threads,
            "preprocess": choice.preprocess,
            "preprocess_why": choice.preprocess_why,
            "device": config.engine.device,
            "description": str(choice),
            "golden_px": choice.golden_px,
            "displacement_p95_px": choice.displacement_p95_px,
        },
        "cameras": {c.name: dataclasses.asdict(c) for c in opened.infos},
        "outputs": {o.name: dataclasses.asdict(o) for o, _ in opened.outputs},
        "budget_ms": config.budget_ms,
        "bare_forward_ms": dataclasses.asdict(bare_forward_ms(engine, clock)),
    }


def meta(opened: Opened, description: dict[str, Any]) -> dict[str, Any]:
    """Collect what a subscriber must know to read the other messages.

    Parameters
    ----------
    opened
        The opened parts.
    description
        What `describe` returned.

    Returns
    -------
    dict[str, Any]
        The content of the `meta` topic; `skeleton` is pairs of indices of keypoints.
    """
    config = opened.config
    package = description["package"]
    keypoints = package["keypoints"]
    return {
        "keypoints": keypoints,
        # Bones as pairs of indices, so that a subscriber can draw them without looking names up.
        "skeleton": [[keypoints.index(a), keypoints.index(b)] for a, b in package["skeleton"]],
        "package": package["sha256"],
        "cameras": description["cameras"],
        "outputs": list(description["outputs"]),
        "zones": to_plain(config.zones),
        "rules": [rule.name for rule in config.rules],
        "budget_ms": config.budget_ms,
        "config": description["config"],
        "address": opened.publisher.address,
        "control": opened.socket.address,
    }
