"""Rules that aim, each with a spot and a gate of its own, and what becomes of their tries."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from bench.aim.observers import KEYPOINT, START_NS, Observer
from bench.aim.rig import CAMERA, Rig
from rigs.simulated.animal import KEYPOINTS
from rt_pose.clock import NS_PER_MS
from rt_pose.config.rules import ActionConfig, AimAction, RuleConfig
from rt_pose.config.schema import AimCalibrationConfig, CameraConfig, OutputConfig, RunConfig
from rt_pose.decisions.rule_set import RuleSet
from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.types import Event, FrameStamps

GATES = (0.0, 0.5, 0.9, 0.99)
"""p of the ellipse."""
RADII_PX = (4.0, 6.0, 9.0)
RULES = {f"r{radius:g}-p{100 * gate:g}": (radius, gate) for radius in RADII_PX for gate in GATES}
"""By name, radius of the spot (px) and p of the ellipse."""
EVERY = "100 ms"


@dataclass
class Tally:
    """What became of the tries of one rule."""

    tries: int = 0
    held_back: int = 0
    """Suppressed as `aim`."""
    lost: int = 0
    apart_px: list[float] = field(default_factory=list)
    """Of each shot: from the light to the keypoint."""
    by_seed: dict[int, list[bool]] = field(default_factory=lambda: defaultdict(list))
    """Of each shot, whether it hit."""

    def add(self, event: Event, rig: Rig, seed: int) -> None:
        """Count a try, and score it where it was a shot.

        Parameters
        ----------
        event
            What the rule decided.
        rig
            Shows where the light falls.
        seed
            Of the animal.
        """
        self.tries += 1
        if event.outcome != "fired":
            self.held_back += event.reason == "aim"
            self.lost += event.reason == "lost"
            return
        apart = apart_px(rig, event)
        self.apart_px.append(apart)
        self.by_seed[seed].append(apart <= RULES[event.rule][0])


def rules_of(calibration: AimCalibrationConfig) -> RunConfig:
    """Make a run with a rule of each radius and gate, on outputs of their own.

    Parameters
    ----------
    calibration
        Of the mirrors.

    Returns
    -------
    RunConfig
        The run; each rule has the name of its output.
    """
    rules = [
        RuleConfig(
            name,
            f"x({KEYPOINT}) > -1000",  # wherever it is
            ActionConfig(name, aim=AimAction(KEYPOINT, "5 ms", f"{radius:g} px", certainty=gate)),
            repeat=EVERY,
        )
        for name, (radius, gate) in RULES.items()
    ]
    outputs = {name: OutputConfig("simulated", aim={CAMERA: calibration}) for name in RULES}
    return RunConfig(cameras={CAMERA: CameraConfig("simulated")}, outputs=outputs, rules=rules)


def decide(
    rig: Rig,
    seed: int,
    observer: Observer,
    calibration: AimCalibrationConfig,
    seconds: float,
    latency_ms: float,
    delay_ms: float,
) -> Iterator[Event]:
    """Take one animal's frames to decisions.

    Parameters
    ----------
    rig
        Shows the frames.
    seed
        Of the animal.
    observer
        Finds their keypoints.
    calibration
        Of the mirrors.
    seconds
        How long, s.
    latency_ms
        From the exposure to the decision, at least; at most three times that, ms.
    delay_ms
        From the decision to the light, ms.

    Yields
    ------
    Event
        Each try of each rule.
    """
    config = rules_of(calibration)
    rules = RuleSet.of(config, observer.keypoints, dict.fromkeys(config.outputs, delay_ms))
    decider, tracker = rules.decider(0, 1), CausalFilter(observer.tracking, 1, len(observer.keypoints))
    latency = np.random.default_rng(seed)
    for index in range(round(seconds * rig.options.rate_hz)):
        t_ns = START_NS + rig.options.scene_time_ns(index)
        stamps = FrameStamps(index, t_ns, t_ns, t_ns)
        pose = observer.observe(rig, seed, stamps)
        tracker.step(pose)
        judged_ns = t_ns + round(latency.uniform(1.0, 3.0) * latency_ms * NS_PER_MS)
        for event, _ in decider.decide(tracker, CAMERA, stamps, judged_ns, True, pose.confidence):
            yield event


def apart_px(rig: Rig, event: Event) -> float:
    """Measure from the light to where the keypoint truly is when the light comes.

    Parameters
    ----------
    rig
        Shows the light.
    event
        The shot.

    Returns
    -------
    float
        The distance, px.
    """
    assert event.x is not None
    assert event.y is not None
    volts = (event.x, event.y)
    spot = rig.light(volts) or rig.place(volts)  # the border of the frame may cut the spot
    x, y = rig.truth(event.t_effect_ns - START_NS, KEYPOINTS.index(KEYPOINT))
    return math.hypot(spot[0] - x, spot[1] - y)
