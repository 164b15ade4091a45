"""Putting a loop together from a configuration: all or nothing.

Whatever was opened is closed again where a later part cannot be had, and the user is told which.
"""

from __future__ import annotations

import dataclasses
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import msgspec

from rt_pose.clock import NS_PER_MS, Clock
from rt_pose.config.build import duration_ns, to_plain
from rt_pose.config.check import check_names, check_numbers
from rt_pose.config.schema import RunConfig
from rt_pose.decisions.action import check_fits
from rt_pose.decisions.decide import Rule, make_rules
from rt_pose.decisions.limits import Limits, make_limits
from rt_pose.decisions.protocol import make_protocol
from rt_pose.drivers import Camera, DriverContext, Output, make_camera, make_output
from rt_pose.errors import UserError
from rt_pose.inference.choose_engine import EngineChoice, bare_forward_ms, choose_engine
from rt_pose.inference.device import choose_device, raise_priority
from rt_pose.loop.capture import CaptureThread, FrameRing, LatestFrames
from rt_pose.loop.closed_loop import ClosedLoop
from rt_pose.loop.control import Control
from rt_pose.loop.housekeeping import Housekeeping
from rt_pose.loop.latency import LatencyLedger
from rt_pose.loop.log import RecordSink
from rt_pose.loop.publish import Publisher
from rt_pose.outputs.actuators import Actuators, Heartbeat
from rt_pose.package import Package, TrackingSpec, check_frame_size, read_package
from rt_pose.records import NoSink, Sink
from rt_pose.tracking.crop import CropFollower
from rt_pose.types import CameraInfo, OutputInfo

Outputs = list[tuple[OutputInfo, Output]]
Cameras = dict[str, tuple[CameraInfo, Camera]]

CAMERA_STOP_S = 5.0
P95_OF_SIGMA = 2.4477
"""95th percentile of a displacement in the plane whose x and y have a standard deviation of 1."""


@dataclass
class Assembled:
    """A loop ready to run, and what opened it up."""

    loop: ClosedLoop
    control: Control
    housekeeping: Housekeeping
    actuators: Actuators
    rings: dict[str, FrameRing]
    sinks: _SinkFactory
    description: dict[str, Any]
    """What `session.json` says of it."""
    stack: ExitStack

    def start(self, recorder: str | None) -> Sink:
        """Start the outputs' threads and the control socket; the loop's own sink.

        `recorder` is the endpoint of the recorder process, None where nothing is recorded.
        """
        self.sinks.endpoint = recorder
        sink = self.sinks.make()
        if isinstance(sink, RecordSink):
            sink.wait_for_recorder()
            sink.hello()
            for ring in self.rings.values():
                sink.ring(ring.description)
        self.housekeeping.sink = self.sinks.make()
        self.actuators.start()
        self.control.start()
        return sink

    def stop(self) -> list[str]:
        """Outputs into their safe state first, then everything else; what went wrong on the way."""
        return [*self.stop_outputs(), *self.stop_inputs()]

    def stop_outputs(self) -> list[str]:
        """Outputs into their safe state, and closed; what went wrong on the way."""
        return self.actuators.stop()

    def stop_inputs(self) -> list[str]:
        """Cameras and the control socket; what went wrong on the way."""
        problems = []
        for capture in self.loop.captures:
            capture.stop()
        for capture in self.loop.captures:
            if not capture.join(CAMERA_STOP_S):
                problems.append(f"camera '{capture.name}' did not stop within {CAMERA_STOP_S:g} s")
                self.rings[capture.name].abandon()
        self.control.stop()
        return problems

    def bare_forward(self) -> dict[str, Any]:
        """The network alone once more: a shared or throttled machine may have become another one."""
        return dataclasses.asdict(bare_forward_ms(self.loop.estimator.engine, self.loop.clock))

    def close(self) -> None:
        """Release cameras, memory and ports."""
        self.stack.close()


class _SinkFactory:
    """Makes each thread its own sink, and adds up what they refused."""

    def __init__(self, clock: Clock) -> None:
        self.endpoint: str | None = None
        self._clock = clock
        self._made: list[RecordSink] = []

    def make(self) -> Sink:
        if self.endpoint is None:
            return NoSink()
        sink = RecordSink(self.endpoint, self._clock)
        self._made.append(sink)
        return sink

    def refused(self) -> int:
        return sum(sink.refused for sink in self._made)


def assemble(config: RunConfig, session_id: str, clock: Clock) -> Assembled:
    """Open everything a run needs, cheapest first. UserError where a part cannot be had."""
    with ExitStack() as stack:
        check_names(config)
        check_numbers(config)
        choose_device(config.engine.device)
        package = read_package(_model(config))
        publisher = Publisher(config.publish.address, session_id, clock)
        stack.callback(publisher.close)
        context = DriverContext(clock, config.seed, channels=package.manifest.input.channels)
        outputs = _open_outputs(config, context, stack)
        rules, limits = _rules_for(config, package, [info for info, _ in outputs])
        cameras = _open_cameras(config, context, package, stack)
        rings = _rings_for(cameras, stack)
        choice = _choose_engine(config, package, rings, clock, stack)
        tracking = with_noise_floor(package.manifest.tracking, choice.displacement_p95_px)
        sinks = _SinkFactory(clock)
        loop, actuators = _make_loop(
            config, package, tracking, choice, rules, limits, outputs, cameras, rings, publisher, sinks, clock
        )
        housekeeping = Housekeeping(loop, publisher, rings, clock, config.publish)
        housekeeping.records_refused = sinks.refused
        control = Control(
            config.publish.control,
            housekeeping.status,
            housekeeping.send_meta,
            housekeeping,
            actuators.emergency,
        )
        stack.callback(control.stop)
        loop.orders = control.inbox
        loop.warm_up()
        infos = [info for info, _ in cameras.values()]
        description = _describe(config, package, choice, tracking, infos, [i for i, _ in outputs], clock)
        housekeeping.meta = _meta(description, config, publisher.address, control.address)
        description["addresses"] = {"publish": publisher.address, "control": control.address}
        return Assembled(loop, control, housekeeping, actuators, rings, sinks, description, stack.pop_all())


def _make_loop(
    config: RunConfig,
    package: Package,
    tracking: TrackingSpec,
    choice: EngineChoice,
    rules: list[Rule],
    limits: Limits,
    outputs: Outputs,
    cameras: Cameras,
    rings: dict[str, FrameRing],
    publisher: Publisher,
    sinks: _SinkFactory,
    clock: Clock,
) -> tuple[ClosedLoop, Actuators]:
    """The loop with its threads, none of them started."""
    heartbeat, infos = Heartbeat(), [info for info, _ in cameras.values()]
    until_ns = duration_ns(config.safety.heartbeat_until, "configuration: safety.heartbeat_until")
    actuators = Actuators(outputs, clock, heartbeat, until_ns)
    longest_delay_ns = round(max((info.delay_ms for info, _ in outputs), default=0.0) * NS_PER_MS)
    latest = LatestFrames(list(cameras), every_frame=config.frames == "every")
    loop = ClosedLoop(
        keypoints=len(package.manifest.keypoints),
        tracking=tracking,
        estimator=choice.estimator,
        cameras=infos,
        rules=rules,
        latest=latest,
        captures=[
            CaptureThread(camera, rings[name], latest, clock, sinks.make)
            for name, (_, camera) in cameras.items()
        ],
        actuators=actuators,
        publisher=publisher,
        clock=clock,
        ledger=LatencyLedger(config.budget_ms),
        seed=config.seed,
        crops=_crops(config, infos),
        group_s=config.group_ms / 1e3,
        keep_warm=config.engine.keep_warm,
        prediction_delay_ns=longest_delay_ns if config.publish.prediction else None,
        limits=limits,
        heartbeat=heartbeat,
        protocol=make_protocol(config),
    )
    return loop, actuators


def _open_outputs(config: RunConfig, context: DriverContext, stack: ExitStack) -> Outputs:
    opened = []
    for name, wanted in config.outputs.items():
        output = make_output(name, wanted.driver, wanted.options, context)
        opened.append((output.open(), output))
        stack.callback(output.close)
    return opened


def _rules_for(config: RunConfig, package: Package, outputs: list[OutputInfo]) -> tuple[list[Rule], Limits]:
    """The rules, each with a plan that its output can carry out, and the limits that they keep within."""
    found = {info.name: info for info in outputs}
    delays_ms = {info.name: info.delay_ms for info in outputs}
    rules = make_rules(config, package.manifest.keypoints, delays_ms)
    for rule in rules:
        check_fits(rule.plan, found[rule.output], f"rule '{rule.name}'")
    return rules, make_limits(config, {rule.name: rule.plan for rule in rules})


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
        choice.tuning = choice.engine.tune(clock)
    if config.engine.priority == "high":
        raise_priority()  # now that the engine has its threads
    return choice


def _crops(config: RunConfig, cameras: list[CameraInfo]) -> dict[str, CropFollower]:
    """Who chooses the window, of the cameras that have one."""
    crops = {}
    for info in cameras:
        crop = config.cameras[info.name].crop
        if crop is not None:
            crops[info.name] = CropFollower(crop, (info.width, info.height), f"cameras.{info.name}.crop")
    return crops


def with_noise_floor(tracking: TrackingSpec, displacement_p95_px: float) -> TrackingSpec:
    """The filter's parameters with the engine's own displacement added to the floor of the noise."""
    variance = (displacement_p95_px / P95_OF_SIGMA) ** 2
    return dataclasses.replace(tracking, floor_px2=[floor + variance for floor in tracking.floor_px2])


def _model(config: RunConfig) -> str:
    if not config.model:
        raise UserError(
            "configuration: model: no model package was given; add `--model OUT/package` "
            "(`rt-pose train fit CONFIG` writes one)"
        )
    return config.model


def _describe(
    config: RunConfig,
    package: Package,
    choice: EngineChoice,
    tracking: TrackingSpec,
    cameras: list[CameraInfo],
    outputs: list[OutputInfo],
    clock: Clock,
) -> dict[str, Any]:
    manifest, engine = package.manifest, choice.engine
    return {
        "config": to_plain(config),
        "package": {
            "path": str(package.path),
            "sha256": package.sha256,
            "keypoints": manifest.keypoints,
            "skeleton": manifest.skeleton,
            "tracking": msgspec.to_builtins(tracking),
            "training": manifest.training,
        },
        "engine": {
            "backend": engine.backend,
            "precision": engine.precision,
            "threads": engine.threads,
            "preprocess": choice.preprocess,
            "device": config.engine.device,
            "description": str(choice),
            "golden_px": choice.golden_px,
            "displacement_p95_px": choice.displacement_p95_px,
        },
        "cameras": {c.name: dataclasses.asdict(c) for c in cameras},
        "outputs": {o.name: dataclasses.asdict(o) for o in outputs},
        "budget_ms": config.budget_ms,
        "bare_forward_ms": dataclasses.asdict(bare_forward_ms(engine, clock)),
    }


def _meta(
    description: dict[str, Any], config: RunConfig, publish_address: str, control_address: str
) -> dict[str, Any]:
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
        "address": publish_address,
        "control": control_address,
    }
