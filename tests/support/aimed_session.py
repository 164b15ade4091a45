"""Sessions of made keypoints whose rules aim light."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from support.random_session import random_config, write_random_session

from rt_pose.config.build import build
from rt_pose.config.rules import RuleConfig
from rt_pose.config.schema import OutputConfig
from rt_pose.session.read import Session

HOMOGRAPHY = [[0.03, 0.001, -5.0], [-0.002, 0.04, -5.0], [1e-5, -2e-5, 1.0]]
AIMS = {
    "middle": {"keypoint": "0.5 * nose + 0.5 * paw", "spot": "3 px", "certainty": 0.8, "duration": "2 ms"},
    "near": {"keypoint": "tail", "target": "right", "certainty": 0.5, "duration": "2 ms"},
}


def aimed_session(path: Path, seed: int, calm: bool = False) -> Session:
    """One with a spot around the middle of two keypoints, with controls, and one with a zone as target."""
    config = random_config(np.random.default_rng(seed))
    aims = {name: {"unit": "V", "homography": HOMOGRAPHY} for name in config.cameras}
    galvo = {"driver": "simulated", "options": {"delay_ms": 2.0}, "aim": aims}
    config.outputs["laser"] = build(OutputConfig, galvo, "test")
    more = {
        "middle": {"when": "speed(nose) > 50", "withhold": 0.3},
        "near": {"when": "inside(tail, right)"},
    }
    config.rules = [
        build(
            RuleConfig,
            {"name": name, "repeat": "20 ms", "do": {"output": "laser", "aim": aim}, **more[name]},
            "test",
        )
        for name, aim in AIMS.items()
    ]
    config.protocol, config.armed_at_start, config.budget_ms = [], True, 100.0
    write_random_session(path, seed, config=config, calm=calm)
    return Session.read(path)
