"""What rules cost a frame: three of them, judged by the mean and by probability, on a wandering keypoint set.

    python -m bench.rules_cost

Timed is `Decider.decide` with the prediction it asks for, frame by frame, as the loop calls it; the filter's
own step is not in it. Rules in space are judged once a turn of their group, on the same animal before three
cameras. Prints a table and one JSON line last; `--write` keeps the JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated

import numpy as np

from bench.calibration import make_rig
from bench.program import parse
from rt_pose.clock import NS_PER_MS, Clock, HostClock
from rt_pose.config.rules import ActionConfig, RuleConfig, ZoneConfig
from rt_pose.config.schema import OutputConfig, RunConfig
from rt_pose.config.views import ViewsConfig
from rt_pose.decisions.decide import Decider, make_rules
from rt_pose.package import TrackingSpec
from rt_pose.session.describe import machine
from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.types import FloatArray, FrameStamps, Pose
from rt_pose.views.filter3d import TrackingSpec3D
from rt_pose.views.live import ViewGroup

KEYPOINTS = ["nose", "neck", "tail", "paw"]
PERIOD_NS, LATENCY_NS, WARM_UP = 10 * NS_PER_MS, 8 * NS_PER_MS, 200
SETS = {
    "a condition of one keypoint each": [
        "inside(nose, spot)",
        "speed(paw) > 200",
        "distance(nose, tail) < 80",
    ],
    "position and speed of the same keypoint": [
        "inside(nose, spot) and speed(nose) > 150",
        "inside(paw, spot) and speed(paw) < 300",
        "inside(neck, box) and speed(neck) > 100",
    ],
    "an angle of three keypoints, a polygon, a heading": [
        "angle(nose, neck, tail) > 120 deg",
        "inside(nose, tent) and speed(nose) > 100",
        "heading(tail, neck) > 45 deg",
    ],
}
SETS_IN_SPACE = {
    "in space: a height, a speed, a distance": [
        "height(nose) > 60",
        "speed(paw) > 200",
        "distance(nose, tail) < 80",
    ],
    "in space: a ball, a box, and a height with a speed": [
        "inside(nose, ball)",
        "inside(paw, shelf)",
        "height(neck) > 55 and speed(neck) > 100",
    ],
    "in space: an angle, a ball with a speed, a facing": [
        "angle(nose, neck, tail) > 120 deg",
        "inside(nose, ball) and speed(nose) > 100",
        "facing(tail, neck, ball) < 45 deg",
    ],
}
GROUP, CAMERAS = "arena", 3


def config(whens: list[str], probability: float | None, view: str = "") -> RunConfig:
    """Make a run with rules of these conditions.

    Parameters
    ----------
    whens
        The conditions.
    probability
        Probability at which each comes true; None judges the mean.
    view
        The group of views that judges them; empty for a camera.

    Returns
    -------
    RunConfig
        Zones, an output and the rules.
    """
    do = ActionConfig(output="laser", pulse="5 ms")
    return RunConfig(
        views={view: ViewsConfig("calibration.toml", ["a", "b", "c"], up=[0.0, 0.0, 1.0])} if view else {},
        outputs={"laser": OutputConfig("simulated")},
        zones={
            "spot": ZoneConfig(circle=[150.0, 120.0, 40.0]),
            "box": ZoneConfig(box=[100.0, 80.0, 200.0, 160.0]),
            "tent": ZoneConfig(polygon=[[100.0, 160.0], [150.0, 60.0], [200.0, 160.0], [150.0, 130.0]]),
            "ball": ZoneConfig(sphere=[0.0, 0.0, 50.0, 20.0], unit="mm"),
            "shelf": ZoneConfig(box=[-20.0, -20.0, 40.0, 20.0, 20.0, 70.0], unit="mm"),
        },
        rules=[
            RuleConfig(f"rule{i}", when, do, probability=probability, view=view)
            for i, when in enumerate(whens)
        ],
    )


def measure(whens: list[str], probability: float | None, frames: int, clock: Clock) -> dict[str, float]:
    """Time the decisions on each frame of a camera.

    Parameters
    ----------
    whens
        The conditions of the rules.
    probability
        Probability at which each comes true; None judges the mean.
    frames
        Number of frames.
    clock
        Times them.

    Returns
    -------
    dict[str, float]
        P50, P99 and maximum, us, and n.
    """
    k = len(KEYPOINTS)
    spec = TrackingSpec([2e6] * k, [0.05] * k, [1.0] * k, [0.5] * k)
    tracker = CausalFilter(spec, 1, k)
    decider = Decider(make_rules(config(whens, probability), KEYPOINTS, {"laser": 2.0}), 0)
    taken = []
    for i, at in enumerate(islice(_wandering(np.array([150.0, 120.0])), frames + WARM_UP)):
        stamps = _stamps(i)
        pose = Pose("top", stamps, at[None], np.tile(2.0 * np.eye(2), (1, k, 1, 1)), np.ones((1, k)))
        tracker.step(pose)
        begun = clock.now_ns()
        decider.decide(tracker, "top", stamps, stamps.t_scene_ns + LATENCY_NS, True, pose.confidence)
        taken.append(clock.now_ns() - begun)
    return _figures(taken)


def measure_in_space(
    whens: list[str], probability: float | None, frames: int, clock: Clock
) -> dict[str, float]:
    """Time the decisions on each turn of a group of cameras, all of which see every keypoint.

    Parameters
    ----------
    whens
        The conditions of the rules.
    probability
        Probability at which each comes true; None judges the mean.
    frames
        Number of turns.
    clock
        Times them.

    Returns
    -------
    dict[str, float]
        P50, P99 and maximum, us, and n.
    """
    k, cameras = len(KEYPOINTS), make_rig(np.random.default_rng(0), CAMERAS)
    each = np.ones(k)
    group = ViewGroup(GROUP, cameras, TrackingSpec3D(2e6 * each, 0.05 * each, each), 20 * NS_PER_MS)
    decider = Decider(make_rules(config(whens, probability, GROUP), KEYPOINTS, {"laser": 2.0}), 0)
    cov, confidence, taken = np.tile(2.0 * np.eye(2), (k, 1, 1)), np.ones((1, k)), []
    for i, at in enumerate(islice(_wandering(np.array([0.0, 0.0, 50.0])), frames + WARM_UP)):
        stamps = _stamps(i)
        for view, camera in enumerate(cameras):
            group.observe(view, stamps.t_scene_ns, camera.project(at), cov)
        begun = clock.now_ns()
        decider.decide(group, GROUP, stamps, stamps.t_scene_ns + LATENCY_NS, True, confidence)
        taken.append(clock.now_ns() - begun)
    return _figures(taken)


def _wandering(middle: FloatArray) -> Iterator[FloatArray]:
    """(K, axes) places of the keypoints, each on a way of its own about the middle."""
    random = np.random.default_rng(0)
    at = np.tile(middle, (len(KEYPOINTS), 1))
    velocity = np.zeros_like(at)
    while True:
        velocity = 0.9 * velocity + random.normal(0.0, 0.8, at.shape)
        velocity += 0.01 * (middle - at)
        at = at + velocity
        yield at


def _stamps(index: int) -> FrameStamps:
    t_ns = index * PERIOD_NS
    return FrameStamps(index, t_ns, t_ns, t_ns)


def _figures(taken_ns: list[int]) -> dict[str, float]:
    """Those of all but the first frames."""
    kept = np.array(taken_ns[WARM_UP:]) / 1e3
    p50, p99, most = np.percentile(kept, [50, 99, 100])
    return {"p50_us": round(p50, 1), "p99_us": round(p99, 1), "max_us": round(most, 1), "n": len(kept)}


@dataclass
class Options:
    """Options of the command line."""

    frames: int = 3000
    write: Annotated[str, "JSON file to write"] = ""


def main() -> None:
    """Measure all of them, print a table and, last, one JSON line."""
    options = parse(Options)
    clock = HostClock()
    rows = []
    print(f"{'three rules':52} {'judged by':12} {'P50':>8} {'P99':>8} {'max':>8}  us a frame")
    for sets, timed in ((SETS, measure), (SETS_IN_SPACE, measure_in_space)):
        for name, whens in sets.items():
            for how, probability in (("mean", None), ("probability", 0.95)):
                row = timed(whens, probability, options.frames, clock)
                rows.append({"rules": name, "by": how, **row})
                print(f"{name:52} {how:12} {row['p50_us']:8.1f} {row['p99_us']:8.1f} {row['max_us']:8.1f}")
    result = {"bench": "rules-cost", "machine": machine(), "rows": rows}
    if options.write:
        Path(options.write).write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
