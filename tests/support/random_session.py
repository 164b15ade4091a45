"""Sessions of a random run: the real loop over made-up keypoints, stamps and orders, its own records on disk.

Only pixels and network are left out (their place is taken by keypoints drawn from a seed): everything that
decides, acts, publishes and records is what runs in an experiment, in one process and without waiting.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

import rigs
from rt_pose.clock import NS_PER_MS, FakeClock
from rt_pose.config.build import to_plain
from rt_pose.config.rules import ActionConfig, BlockConfig, RuleConfig, ZoneConfig
from rt_pose.config.schema import CameraConfig, LimitsConfig, OutputConfig, PublishConfig, RunConfig
from rt_pose.config.views import VIEWS_FOLDER, copy_name
from rt_pose.decisions.rule_set import RuleSet
from rt_pose.drivers import DriverContext, make_output
from rt_pose.inference.decode import Keypoints
from rt_pose.inference.temporal_context import TemporalContext
from rt_pose.loop.camera_path import camera_paths
from rt_pose.loop.closed_loop import ClosedLoop
from rt_pose.loop.commands import Commands
from rt_pose.loop.control import Order
from rt_pose.loop.edges import EdgeInbox
from rt_pose.loop.frame_reporter import FrameReporter
from rt_pose.loop.latency import LatencyLedger
from rt_pose.loop.latest_frames import LatestFrames, TakenFrame
from rt_pose.loop.publish import Publisher
from rt_pose.loop.stages import Channels, Stages
from rt_pose.loop.view_groups import GroupReporter, ViewGroups, group_paths
from rt_pose.outputs.actuators import Actuators, Heartbeat
from rt_pose.package import DriftSpec, InputSpec, TrackingSpec
from rt_pose.records import ArrayData, CapturedFrame, Record, Truth, topic_of
from rt_pose.rules.keypoint_name import individual_names
from rt_pose.rules.semantics import CURRENT
from rt_pose.session.describe import machine, versions
from rt_pose.session.log_file import LOG_NAME, LogWriter
from rt_pose.types import CameraInfo, Frame, FrameStamps, OutputInfo
from rt_pose.views.groups import CalibratedGroup, calibrated_groups

rigs.register()

KEYPOINTS = ["nose", "paw", "tail"]
WIDTH, HEIGHT, PERIOD_MS = 320, 256, 10
CONDITIONS = (
    "speed(nose) > 150",
    "inside(paw, left)",
    "inside(nose, left) or inside(nose, right)",
    "speed(tail) < 400 and not inside(tail, right)",
    "not speed(paw) > 300",
    "distance(nose, paw) < 60 or unseen(tail) > 30",
    "crossing(nose, gate, left)",
    "phase(y(paw), 3 Hz, 2) > 90",
)
MEMORY = CONDITIONS[-2:]


class RestlessClock(FakeClock):
    """Time passes with every look at it, by an amount that belongs to the seed."""

    def __init__(self, seed: int) -> None:
        super().__init__(now_ns=10_000 * NS_PER_MS)
        self._random = np.random.default_rng(seed)

    def now_ns(self) -> int:
        self._now_ns += int(self._random.exponential(4e5))
        return self._now_ns


class DrawnKeypoints:
    """In the place of the network: a random walk with jumps, unseen keypoints and unsure ones."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self.truth = np.empty((len(KEYPOINTS), 2))
        """(K, 2) px: where the keypoints of the last frame truly were."""
        self._at = self._random.uniform(40, 200, (len(KEYPOINTS), 2))
        self._velocity = self._random.normal(0, 4, self._at.shape)
        self.by_camera: dict[str, DrawnKeypoints] = {}
        """In the place of the networks of cameras that have their own."""

    def preprocess_all(self, images: Any, windows: Any) -> Any:
        return images

    def new_context(self) -> TemporalContext:
        return TemporalContext(InputSpec(WIDTH, HEIGHT, 1, [0.0], [1.0]))

    def infer(self, batch: Any, _contexts: Any = None) -> Any:
        return batch

    def decode(self, heatmaps: Any, frame_size: Any, offset_xy: Any = (0, 0)) -> Keypoints[Any]:
        random, k = self._random, len(KEYPOINTS)
        self._velocity = 0.9 * self._velocity + random.normal(0, 2, self._at.shape)
        self._at = np.clip(self._at + self._velocity, 0, [WIDTH, HEIGHT])
        self.truth = self._at.copy()
        xy = self._at + random.normal(0, 1, (k, 2))
        xy[random.random(k) < 0.02] += 90.0
        xy[random.random(k) < 0.02] = np.nan
        confidence = np.where(random.random(k) < 0.1, 0.05, random.uniform(0.3, 1, k))
        spread = random.uniform(0.2, 3, k)[:, None, None] * np.eye(2)
        return Keypoints(xy[None], spread[None], confidence[None])


class DrawnAnimals(DrawnKeypoints):
    """In the place of a network of several animals: bodies on random walks that meet, are missed, are found
    in any order and where nobody is; rows without a detection are NaN."""

    BODY = np.array([[15.0, 0.0], [0.0, 8.0], [-15.0, 0.0]])

    def __init__(self, seed: int, animals: int) -> None:
        super().__init__(seed)
        self._middle = self._random.uniform(60, 200, (animals, 1, 2))
        self._step = np.zeros_like(self._middle)

    def decode(self, heatmaps: Any, frame_size: Any, offset_xy: Any = (0, 0)) -> Keypoints[Any]:
        random, shape = self._random, (len(self._middle), len(KEYPOINTS))
        self._step = 0.9 * self._step + random.normal(0, 1, self._step.shape)
        self._middle = np.clip(self._middle + self._step, 40, 210)
        self.truth = self._middle + self.BODY
        found = self.truth + random.normal(0, 1, (*shape, 2))
        found[random.random(shape) < 0.05] = np.nan
        nobody = random.uniform(40, 210, (1, 2)) + self.BODY
        rows = [*found[random.random(shape[0]) > 0.1], *([nobody] if random.random() < 0.1 else [])]
        xy = np.full((2 * shape[0], shape[1], 2), np.nan)
        for row, i in enumerate(random.permutation(len(rows))):
            xy[row] = rows[i]
        confidence = np.where(np.isfinite(xy[..., 0]), random.uniform(0.3, 1, xy.shape[:2]), 0.0)
        spread = random.uniform(0.2, 3, xy.shape[:2])[..., None, None] * np.eye(2)
        return Keypoints(xy[None], spread[None], confidence[None])


class LogSink:
    """The recorder's log without its process."""

    def __init__(self, path: Path) -> None:
        self._log = LogWriter(path)

    def send(self, record: Record) -> bool:
        self._log.write(topic_of(record).encode(), record.t_ns, msgspec.msgpack.encode(record))
        return True

    def close(self) -> None:
        self._log.close()


def random_config(random: np.random.Generator) -> RunConfig:
    """One to four rules over two zones and two outputs."""

    def ms(low: float, high: float) -> str:
        return f"{random.uniform(low, high):.3f} ms"

    def by_probability(when: str) -> dict[str, float]:
        if when in MEMORY or random.random() < 0.5:
            return {}
        enter = float(random.uniform(0.3, 0.95))
        return {"probability": enter, "release": enter * float(random.uniform(0.3, 1.0))}

    conditions = [str(random.choice(CONDITIONS)) for _ in range(random.integers(1, 5))]
    rules = [
        RuleConfig(
            name=f"rule{i}",
            when=when,
            do=ActionConfig(output=str(random.choice(["laser", "tone"])), pulse="5 ms"),
            hold=ms(0, 40) if random.random() < 0.5 else "0 ms",
            refractory=ms(0, 300) if random.random() < 0.5 else "0 ms",
            withhold=float(random.choice([0.0, 0.3])),
            deadline=ms(3, 8) if random.random() < 0.5 else None,
            late="fire" if random.random() < 0.3 else "suppress",
            **by_probability(when),
        )
        for i, when in enumerate(conditions)
    ]
    blocks = [
        BlockConfig("baseline", rules=[], time="400 ms"),
        BlockConfig("stimulation", events=int(random.integers(2, 9)), trial="300 ms", inter_trial="50 ms"),
    ]
    limits = LimitsConfig(max_pulses_per_minute=int(random.integers(2, 8)), max_duty=0.2, duty_window="1 s")
    return RunConfig(
        cameras={name: CameraConfig("simulated") for name in ("top", "side")[: random.integers(1, 3)]},
        outputs={
            "laser": OutputConfig("simulated", {"delay_ms": 2.0}, limits=limits),
            "tone": OutputConfig("simulated", {"delay_ms": 25.0}),
        },
        zones={"left": ZoneConfig([80.0, 128.0, 60.0]), "right": ZoneConfig([240.0, 128.0, 50.0])}
        | {"gate": ZoneConfig(line=[[160.0, 0.0], [160.0, 256.0]])},
        protocol=blocks if random.random() < 0.5 else [],
        rules=rules,
        publish=PublishConfig("tcp://127.0.0.1:*", "tcp://127.0.0.1:*"),
        budget_ms=float(random.uniform(4, 20)),
        armed_at_start=bool(random.random() < 0.7),
        seed=int(random.integers(1 << 31)),
    )


def tracking() -> TrackingSpec:
    """Ordinary parameters, each keypoint its own."""
    return TrackingSpec([4e5, 2e6, 1e6], [0.1, 0.05, 0.2], [1.0, 0.5, 2.0], [0.3, 1.0, 0.5], lost_ms=60.0)


def orders(random: np.random.Generator) -> Order:
    """An order that may come at any time; some of them cannot be carried out, and change nothing."""
    return [
        Order("arm"),
        Order("disarm"),
        Order("emergency"),
        Order("start"),
        Order("mark", {"text": "a note"}),
        Order("block", {"name": "stimulation"}),
        Order("set", {"parameter": "rules.rule0.enabled", "value": bool(random.random() < 0.5)}),
        Order("set", {"parameter": "rules.rule0.probability", "value": float(random.random())}),
    ][random.integers(8)]


def write_random_session(
    path: Path,
    seed: int,
    frames: int = 300,
    config: RunConfig | None = None,
    keypoints: DrawnKeypoints | None = None,
    calm: bool = False,
    drift: DriftSpec | None = None,
) -> RunConfig:
    """A whole session in `path`; the configuration it ran. `calm`: nothing odd in its frames, no orders."""
    random = np.random.default_rng(seed)
    config = random_config(random) if config is None else config
    keypoints = DrawnKeypoints(seed) if keypoints is None else keypoints
    clock = RestlessClock(seed)
    cameras = [CameraInfo(name, "simulated", "", WIDTH, HEIGHT, 1, 100.0) for name in config.cameras]
    context = DriverContext(clock)
    outputs = [make_output(name, o.driver, o.options, context) for name, o in config.outputs.items()]
    opened = [(output.open(), output) for output in outputs]
    actuators = Actuators(opened, clock)
    publisher = Publisher(config.publish.address, "random", clock)
    publisher.individuals = individual_names(config.individuals)
    groups = describe_session(path, seed, config, cameras, [info for info, _ in opened], drift)
    sink = LogSink(path / LOG_NAME)
    channels = Channels(deque(), actuators, publisher, sink, Heartbeat(), EdgeInbox([], clock))
    rules = RuleSet.of(config, KEYPOINTS, {o.name: o.delay_ms for o, _ in opened})
    stages = random_stages(config, cameras, rules, channels, clock, keypoints, drift, groups)
    loop = ClosedLoop(stages, channels, rules, clock)
    try:
        if config.armed_at_start:
            loop.apply(Order("arm", origin="configuration"))
        drawn = random_frames(random, clock, list(config.cameras), frames, calm)
        for turn in in_turns(random, drawn) if groups else ([taken] for taken in drawn):
            if not calm and random.random() < 0.03:
                loop.apply(orders(random))
            loop.step(*turn)
            for taken in turn:
                for record in captured(taken, keypoints.truth):
                    sink.send(record)
        actuators.stop()  # what waits is answered, as at every run's end
        loop.finish()
    finally:
        actuators.stop()
        publisher.close()
        sink.close()
    return config


def describe_session(
    path: Path,
    seed: int,
    config: RunConfig,
    cameras: list[CameraInfo],
    outputs: list[OutputInfo],
    drift: DriftSpec | None,
) -> dict[str, CalibratedGroup]:
    """The folder of a session with its description; the groups of views that it describes."""
    path.mkdir(parents=True)
    info = {
        "schema": 1,
        "semantics": CURRENT,
        "id": f"random-{seed}",
        "config": to_plain(config) | ({} if drift is None else {"drift": "warn"}),
        "package": {"keypoints": KEYPOINTS, "tracking": msgspec.to_builtins(tracking())}
        | {"drift": msgspec.to_builtins(drift)},
        "machine": machine(),
        "versions": versions(),
        "cameras": {c.name: msgspec.to_builtins(c) for c in cameras},
        "outputs": {o.name: msgspec.to_builtins(o) for o in outputs},
        "budget_ms": config.budget_ms,
    }
    groups = place_views(path, config, cameras, info) if config.views else {}
    (path / "session.json").write_text(json.dumps(info))
    return groups


def random_stages(
    config: RunConfig,
    cameras: list[CameraInfo],
    rules: RuleSet,
    channels: Channels,
    clock: RestlessClock,
    keypoints: DrawnKeypoints,
    drift: DriftSpec | None,
    groups: dict[str, CalibratedGroup],
) -> Stages:
    """The loop's stages, with drawn keypoints in the place of the network."""
    publisher, sink = channels.publisher, channels.sink
    paths = camera_paths(
        cameras,
        rules,
        keypoints,  # type: ignore[arg-type]
        tracking(),
        drift={} if drift is None else dict.fromkeys(config.cameras, drift),
        individuals=config.individual_count,
        groups=len(groups),
        own={name: (one, tracking()) for name, one in keypoints.by_camera.items()},  # type: ignore[misc]
    )
    commands = Commands(rules.rules, channels.actuators, publisher, clock)
    return Stages(
        LatestFrames([c.name for c in cameras]),
        [],
        keypoints,  # type: ignore[arg-type]
        paths,
        commands,
        FrameReporter(publisher, sink, [], LatencyLedger(config.budget_ms), clock),
        ViewGroups(
            group_paths(config, groups, rules, lambda _: tracking(), len(cameras)),
            commands,
            GroupReporter(publisher, sink, clock, config.budget_ms, 2 * NS_PER_MS),
            clock,
        )
        if groups
        else None,
    )


def place_views(
    path: Path, config: RunConfig, cameras: list[CameraInfo], info: dict[str, Any]
) -> dict[str, CalibratedGroup]:
    """The groups of views, with the copies of their calibrations and their description in the session."""
    noise = {camera.name: tracking() for camera in cameras}
    groups = calibrated_groups(config.views, {c.name: c for c in cameras}, KEYPOINTS, noise)
    info["views"] = {name: msgspec.to_builtins(group.info) for name, group in groups.items()}
    (path / VIEWS_FOLDER).mkdir()
    for name, group in groups.items():
        (path / VIEWS_FOLDER / copy_name(name)).write_bytes(group.content)
    return groups


def in_turns(random: np.random.Generator, frames: Iterator[TakenFrame]) -> Iterator[list[TakenFrame]]:
    """Frames of several cameras together, now and then, at most one of each."""
    turn: list[TakenFrame] = []
    for taken in frames:
        if turn and (random.random() < 0.5 or any(taken.frame.camera == t.frame.camera for t in turn)):
            yield turn
            turn = []
        turn.append(taken)
    yield turn


def captured(taken: TakenFrame, truth: np.ndarray) -> tuple[CapturedFrame, Truth]:
    """What the camera's thread would have logged of a frame."""
    stamps, camera = taken.frame.stamps, taken.frame.camera
    frame = CapturedFrame(t_ns=stamps.t_arrival_ns, camera=camera, stamps=stamps, slot=0, generation=2)
    visible = [True] * (truth.size // 2)
    xy = ArrayData.of(truth.reshape(-1, len(KEYPOINTS), 2))
    return frame, Truth(t_ns=stamps.t_arrival_ns, camera=camera, index=stamps.index, xy=xy, visible=visible)


def random_frames(
    random: np.random.Generator, clock: FakeClock, cameras: list[str], frames: int, calm: bool
) -> Iterator[TakenFrame]:
    """Frames with gaps, repeated and backward stamps, unknown exposures and a recording wound back."""
    image = np.zeros((HEIGHT, WIDTH, 1), np.uint8)
    index, epoch, scene_ms = 0, 0, 0.0
    for _ in range(frames):
        index += 1
        odd = 0.5 if calm else random.random()
        if odd < 0.05:
            index += int(random.integers(1, 12))
        scene_ms = index * PERIOD_MS + (0.0 if calm else random.uniform(-1, 1))
        if 0.05 <= odd < 0.08:
            scene_ms -= 40.0  # out of order
        epoch += odd > 0.99
        arrival_ns = clock.now_ns()
        stamps = FrameStamps(
            index=index,
            t_exposure_ns=None if 0.08 <= odd < 0.12 else arrival_ns - 2 * NS_PER_MS,
            t_arrival_ns=arrival_ns,
            t_scene_ns=round(scene_ms * NS_PER_MS),
            epoch=epoch,
        )
        yield TakenFrame(Frame(str(random.choice(cameras)), stamps, image), 0, 0)
