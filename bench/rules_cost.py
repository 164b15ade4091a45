"""What rules cost a frame: three of them, judged by the mean and by probability, on a wandering keypoint set.

    python -m bench.rules_cost

Timed is `Decider.decide` with the prediction it asks for, frame by frame, as the loop calls it; the filter's
own step is not in it. Prints a table and one JSON line last; `--write` keeps the JSON.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np

from bench.program import parse
from rt_pose.clock import NS_PER_MS, Clock, HostClock
from rt_pose.config.rules import ActionConfig, RuleConfig, ZoneConfig
from rt_pose.config.schema import OutputConfig, RunConfig
from rt_pose.decisions.decide import Decider, make_rules
from rt_pose.package import TrackingSpec
from rt_pose.session.describe import machine
from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.types import FrameStamps, Pose

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


def config(whens: list[str], probability: float | None) -> RunConfig:
    """Make a run with rules of these conditions.

    Parameters
    ----------
    whens
        The conditions.
    probability
        Probability at which each comes true; None judges the mean.

    Returns
    -------
    RunConfig
        Zones, an output and the rules.
    """
    do = ActionConfig(output="laser", pulse="5 ms")
    return RunConfig(
        outputs={"laser": OutputConfig("simulated")},
        zones={
            "spot": ZoneConfig(circle=[150.0, 120.0, 40.0]),
            "box": ZoneConfig(box=[100.0, 80.0, 200.0, 160.0]),
            "tent": ZoneConfig(polygon=[[100.0, 160.0], [150.0, 60.0], [200.0, 160.0], [150.0, 130.0]]),
        },
        rules=[RuleConfig(f"rule{i}", when, do, probability=probability) for i, when in enumerate(whens)],
    )


def measure(whens: list[str], probability: float | None, frames: int, clock: Clock) -> dict[str, float]:
    """Time the decisions on each frame.

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
    random = np.random.default_rng(0)
    k = len(KEYPOINTS)
    spec = TrackingSpec([2e6] * k, [0.05] * k, [1.0] * k, [0.5] * k)
    tracker = CausalFilter(spec, 1, k)
    decider = Decider(make_rules(config(whens, probability), KEYPOINTS, {"laser": 2.0}), 0)
    at, velocity = np.array([[150.0, 120.0]] * k), np.zeros((k, 2))
    taken = np.zeros(frames)
    for i in range(frames + WARM_UP):
        velocity = 0.9 * velocity + random.normal(0.0, 0.8, (k, 2))
        velocity += 0.01 * (np.array([150.0, 120.0]) - at)
        at = at + velocity
        t_ns = i * PERIOD_NS
        stamps = FrameStamps(i, t_ns, t_ns, t_ns)
        pose = Pose("top", stamps, at[None], np.tile(2.0 * np.eye(2), (1, k, 1, 1)), np.ones((1, k)))
        tracker.step(pose)
        begun = clock.now_ns()
        decider.decide(tracker, "top", stamps, t_ns + LATENCY_NS, True, pose.confidence)
        taken[max(0, i - WARM_UP)] = (clock.now_ns() - begun) / 1e3
    p50, p99, most = np.percentile(taken, [50, 99, 100])
    return {"p50_us": round(p50, 1), "p99_us": round(p99, 1), "max_us": round(most, 1), "n": frames}


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
    for name, whens in SETS.items():
        for how, probability in (("mean", None), ("probability", 0.95)):
            row = measure(whens, probability, options.frames, clock)
            rows.append({"rules": name, "by": how, **row})
            print(f"{name:52} {how:12} {row['p50_us']:8.1f} {row['p99_us']:8.1f} {row['max_us']:8.1f}")
    result = {"bench": "rules-cost", "machine": machine(), "rows": rows}
    if options.write:
        Path(options.write).write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
