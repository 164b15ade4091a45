"""Assembly of a loop from a configuration: all or nothing.

Whatever was opened is closed again where a later part cannot be had, and the error names that part.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rt_pose.clock import NS_PER_MS, NS_PER_S, Clock
from rt_pose.config.build import duration_ns
from rt_pose.config.certificate import Certification
from rt_pose.config.schema import RunConfig
from rt_pose.decisions.explain import seed_warnings
from rt_pose.drivers import OperatedInput
from rt_pose.inference.bare_forward import bare_forward_ms
from rt_pose.loop.camera_path import camera_paths
from rt_pose.loop.capture import CaptureThread, StartGate
from rt_pose.loop.closed_loop import ClosedLoop
from rt_pose.loop.commands import Commands
from rt_pose.loop.control import Control, ControlSocket
from rt_pose.loop.describe import describe, meta
from rt_pose.loop.edges import EdgeInbox
from rt_pose.loop.first_frames import FirstFrames
from rt_pose.loop.frame_reporter import FrameReporter
from rt_pose.loop.frame_ring import FrameRing
from rt_pose.loop.housekeeping import Housekeeping, StatsRecords
from rt_pose.loop.latency import LatencyLedger
from rt_pose.loop.latest_frames import LatestFrames
from rt_pose.loop.log import RecordSink, SinkFactory
from rt_pose.loop.opening import Opened, open_parts
from rt_pose.loop.publish import Publisher
from rt_pose.loop.self_test import check_deadlines, time_chain
from rt_pose.loop.silence import SilenceMonitor, silence_limit_ns
from rt_pose.loop.stages import Channels, Stages
from rt_pose.loop.sync import SyncSignals
from rt_pose.loop.warm_up import rehearsal, warm_up
from rt_pose.outputs.actuators import Actuators, Heartbeat
from rt_pose.outputs.output_thread import Recovery
from rt_pose.package import unlike_trained
from rt_pose.records import Sink
from rt_pose.rules.geometry import horizon_warnings
from rt_pose.rules.keypoint_name import individual_names
from rt_pose.tracking.crop import CropFollower
from rt_pose.types import CameraInfo

if TYPE_CHECKING:
    from rt_pose.loop.view_groups import ViewGroups

CAMERA_STOP_S = 5.0


@dataclass(frozen=True)
class Assembled:
    """A loop ready to run, and everything that was opened for it."""

    loop: ClosedLoop
    control: Control
    housekeeping: Housekeeping
    actuators: Actuators
    edges: EdgeInbox
    rings: dict[str, FrameRing]
    sink: Sink
    """The loop thread's own."""
    sinks: SinkFactory
    description: dict[str, Any]
    """What `session.json` says of the run."""
    stack: ExitStack

    def start(self) -> None:
        """Start the threads of the outputs and of the control socket.

        Raises
        ------
        UserError
            Where the recorder is not there to take records in time.
        """
        if isinstance(self.sink, RecordSink):
            self.sinks.wait_for_recorder()
            self.sink.hello()
            for ring in self.rings.values():
                self.sink.ring(ring.description)
        self.actuators.start()
        if self.loop.commands.sync is not None:
            self.loop.commands.sync.start()
        self.edges.start()
        self.control.start()

    def stop(self) -> list[str]:
        """Put outputs into their safe state first, then stop everything else.

        Returns
        -------
        list[str]
            What went wrong; empty where nothing did.
        """
        return [*self.stop_outputs(), *self.stop_inputs()]

    def stop_outputs(self) -> list[str]:
        """Put the outputs into their safe state and close them.

        Returns
        -------
        list[str]
            What went wrong; empty where nothing did.
        """
        if self.loop.commands.sync is not None:
            self.loop.commands.sync.stop()
        return self.actuators.stop()

    def stop_inputs(self) -> list[str]:
        """Stop the inputs, the cameras and the control socket.

        The memory of a camera that does not stop in time stays mapped, because its thread may still write to
        it.

        Returns
        -------
        list[str]
            What went wrong; empty where nothing did.
        """
        problems = []
        self.edges.stop()
        for capture in self.loop.captures:
            capture.stop()
        for capture in self.loop.captures:
            if not capture.join(CAMERA_STOP_S):
                problems.append(f"camera '{capture.name}' did not stop within {CAMERA_STOP_S:g} s")
                self.rings[capture.name].abandon()
        self.control.stop()
        return problems

    def bare_forward(self) -> dict[str, Any]:
        """Time the network alone once more: the speed of a shared or throttled machine may have changed.

        Returns
        -------
        dict[str, Any]
            The fields of what `bare_forward_ms` returns: p50 and p99 (ms), and n.
        """
        return dataclasses.asdict(bare_forward_ms(self.loop.estimator.engine, self.loop.clock))

    def close(self) -> None:
        """Release cameras, memory and ports."""
        self.stack.close()


def assemble(
    config: RunConfig,
    session_id: str,
    clock: Clock,
    recorder: str | None = None,
    on_stats: Callable[[dict[str, Any]], None] | None = None,
) -> Assembled:
    """Open everything that a run needs, the cheapest parts first.

    Parameters
    ----------
    config
        The run.
    session_id
        Identifier of the session, in every published message.
    clock
        The only clock of the loop.
    recorder
        The ZeroMQ endpoint at which the recorder will listen; None where nothing is recorded.
    on_stats
        Called with the stats twice a second, from the control socket's thread.

    Returns
    -------
    Assembled
        The loop, warm; no thread has started.

    Raises
    ------
    UserError
        Where a part cannot be had; what was opened before it is closed again.
    """
    with ExitStack() as stack:
        opened = open_parts(config, session_id, clock, stack)
        sinks = SinkFactory(recorder, clock)
        sink, stats_sink = sinks.make(wait=False), sinks.make(wait=False)
        stack.callback(sink.close)
        stack.callback(stats_sink.close)
        channels = _channels(opened, sink, clock)
        loop = _make_loop(opened, channels, sinks, clock)
        description = _describe_start(opened, loop, clock)
        records = StatsRecords(stats_sink, sinks.refused_shown)
        housekeeping = _housekeeping(opened, loop, description, records, on_stats)
        control = _control(opened, channels, loop, housekeeping)
        stack.callback(control.stop)
        actuators, edges, rings = channels.actuators, channels.edges, opened.rings
        return Assembled(
            loop, control, housekeeping, actuators, edges, rings, sink, sinks, description, stack.pop_all()
        )


def _describe_start(opened: Opened, loop: ClosedLoop, clock: Clock) -> dict[str, Any]:
    """What `session.json` says of the run, with what is to be warned of before it begins."""
    description = describe(opened, clock)
    first = opened.infos[0]
    chain_ms = time_chain(rehearsal(loop.paths[first.name].estimator, first), clock)
    description["chain_ms"] = chain_ms
    description["start_warnings"] = [
        *_unlike_sizes(opened),
        *horizon_warnings(opened.rules.geometries, opened.infos),
        *check_deadlines(opened.config, opened.rules.rules, chain_ms),
        *_more_than_trained(opened),
        *seed_warnings(opened.config),
        *_certificate_warnings(opened.certification),
    ]
    description["addresses"] = _addresses(opened.publisher, opened.socket)
    if opened.views:
        description["view_files"] = {name: group.content for name, group in opened.views.items()}
    return description


def _housekeeping(
    opened: Opened,
    loop: ClosedLoop,
    description: dict[str, Any],
    records: StatsRecords,
    on_stats: Callable[[dict[str, Any]], None] | None,
) -> Housekeeping:
    known, counts, publish = meta(opened, description), opened.socket.counts, opened.config.publish
    return Housekeeping(
        loop, opened.publisher, opened.rings, loop.clock, publish, records, known, on_stats, counts
    )


def _control(opened: Opened, channels: Channels, loop: ClosedLoop, housekeeping: Housekeeping) -> Control:
    return Control(
        opened.socket,
        channels.orders,
        housekeeping.status,
        housekeeping.send_meta,
        housekeeping,
        channels.actuators.emergency,
        check=loop.protocol.check,
        inputs={info.name: line for info, line in opened.inputs if isinstance(line, OperatedInput)},
    )


def _addresses(publisher: Publisher, socket: ControlSocket) -> dict[str, str]:
    keys = "" if socket.key_file is None else str(socket.key_file.path)
    return {"publish": publisher.address, "control": socket.address, "keys": keys}


def _unlike_sizes(opened: Opened) -> list[str]:
    """Warnings of cameras whose frames are far from the size trained on; a window has the animal's scale."""
    whole = [info for info in opened.infos if opened.config.cameras[info.name].crop is None]
    packages = {name: model.package for name, model in opened.own.items()}
    found = (
        unlike_trained(packages.get(c.name, opened.package), c.width, c.height, f"camera '{c.name}'")
        for c in whole
    )
    return [warning for warning in found if warning]


def _more_than_trained(opened: Opened) -> list[str]:
    """A warning where a run asks for more animals than a training frame of a camera's model ever had."""
    count = opened.config.individual_count
    if count == 1:
        return []
    packages = [opened.package, *(model.package for model in opened.own.values())]
    most = min(package.manifest.individuals for package in packages)
    if count <= most:
        return []
    return [
        f"individuals: {count} are asked for; the frames that the model was trained on have {most} at most"
    ]


def _certificate_warnings(certification: Certification) -> list[str]:
    if certification.refusal:
        return [f"{certification.refusal}; the run will not arm"]
    return certification.problems


def _channels(opened: Opened, sink: Sink, clock: Clock) -> Channels:
    heartbeat, within = Heartbeat(), opened.config.safety.heartbeat_until
    until_ns = duration_ns(within, "configuration: safety.heartbeat_until")
    actuators = Actuators(opened.outputs, clock, heartbeat, until_ns, _recoveries(opened.config))
    edges = EdgeInbox(opened.inputs, clock, actuators.notices)
    return Channels(deque(), actuators, opened.publisher, sink, heartbeat, edges)


def _recoveries(config: RunConfig) -> dict[str, Recovery]:
    """What is done about an output that fails, by its name."""
    return {
        name: Recovery(
            output.recovery.attempts,
            duration_ns(output.recovery.pause, f"configuration: outputs.{name}.recovery.pause"),
            output.recovery.in_all,
        )
        for name, output in config.outputs.items()
    }


def _make_loop(opened: Opened, channels: Channels, sinks: SinkFactory, clock: Clock) -> ClosedLoop:
    """The loop with its threads, none of them started, and every stage warm."""
    config = opened.config
    stages = _stages(opened, channels, sinks, clock)
    for used in {path.estimator for path in stages.paths.values()}:
        warm_up(used, {name: path for name, path in stages.paths.items() if path.estimator is used})
    within_ns = duration_ns(config.first_frame_within, "configuration: first_frame_within")
    by_itself = [c for c in stages.captures if opened.cameras[c.name][0].rate_hz is not None]
    first_frames = FirstFrames(by_itself, within_ns)
    silence = SilenceMonitor(stages.captures, _silence_limits_ns(opened), stages.latest, channels.sink)
    refusal, group_s = opened.certification.refusal, config.group_ms / 1e3
    return ClosedLoop(stages, channels, opened.rules, clock, group_s, refusal, first_frames, silence)


def _silence_limits_ns(opened: Opened) -> dict[str, int]:
    """How long each camera may be without a frame; 0 where a pause is no fault."""
    limits_ns = {}
    for info in opened.infos:
        after = opened.config.cameras[info.name].silent_after
        after_ns = duration_ns(after, f"configuration: cameras.{info.name}.silent_after")
        limits_ns[info.name] = silence_limit_ns(info, after_ns)
    return limits_ns


def _stages(opened: Opened, channels: Channels, sinks: SinkFactory, clock: Clock) -> Stages:
    config, publisher, estimator = opened.config, channels.publisher, opened.choice.estimator
    tolerance = config.group_tolerance
    tolerance_ns = duration_ns(tolerance, "configuration: group_tolerance") if tolerance else None
    latest = LatestFrames(list(opened.cameras), config.frames == "every", tolerance_ns)
    gate = StartGate(len(opened.cameras))
    captures = [
        CaptureThread(
            camera,
            opened.rings[name],
            latest,
            clock,
            sinks.make,
            info=info,
            gate=gate,
            reconnect_s=duration_ns(config.cameras[name].reconnect, "") / NS_PER_S,
            reconnects=config.cameras[name].reconnects,
        )
        for name, (info, camera) in opened.cameras.items()
    ]
    crops = _crops(config, opened.infos)
    own = {name: (opened.estimator_of(name), opened.tracking_of(name)) for name in opened.cameras}
    paths = camera_paths(
        *(opened.infos, opened.rules, estimator, opened.tracking, crops, own, opened.drift),
        individuals=config.individual_count,
        groups=len(opened.views),
    )
    sync = SyncSignals(opened.sync, channels.actuators, clock) if opened.sync.any else None
    commands = Commands(opened.rules.rules, channels.actuators, publisher, clock, sync)
    longest_delay_ns = round(max((info.delay_ms for info, _ in opened.outputs), default=0.0) * NS_PER_MS)
    ahead_ns = longest_delay_ns if config.publish.prediction else None
    ledger = LatencyLedger(config.budget_ms)
    blind = any(rule.blind for rule in opened.rules.rules)
    publisher.individuals = individual_names(config.individuals)
    reporter = FrameReporter(publisher, channels.sink, captures, ledger, clock, ahead_ns, blind)
    groups = _view_groups(opened, channels, commands, clock, ahead_ns, blind) if opened.views else None
    return Stages(latest, captures, estimator, paths, commands, reporter, groups)


def _view_groups(
    opened: Opened, channels: Channels, commands: Commands, clock: Clock, ahead_ns: int | None, blind: bool
) -> ViewGroups:
    """The groups of views, with all that they need compiled."""
    from rt_pose.loop.view_groups import GroupReporter, ViewGroups, group_paths
    from rt_pose.views.individual_group import precompile

    paths = group_paths(opened.config, opened.views, opened.rules, opened.tracking_of, len(opened.cameras))
    for path in paths:
        precompile(path.tracker.group)
    budget_ms = opened.config.budget_ms
    reporter = GroupReporter(channels.publisher, channels.sink, clock, budget_ms, ahead_ns, blind)
    return ViewGroups(paths, commands, reporter, clock)


def _crops(config: RunConfig, cameras: list[CameraInfo]) -> dict[str, CropFollower]:
    """Who chooses the window, of the cameras that have one."""
    crops = {}
    for info in cameras:
        crop = config.cameras[info.name].crop
        if crop is not None:
            crops[info.name] = CropFollower(crop, (info.width, info.height), f"cameras.{info.name}.crop")
    return crops
