"""Random sessions of several animals and several cameras: whether replay finds every decision again.

Whole runs of the program on the simulated rig. Drawn from a seed: animals, cameras, whether these place one
animal in space, faults of the cameras, rules with holds, pauses, probabilities and withheld events, limits.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from bench.program import say
from bench.short_run import short_run
from rigs.faults import FaultOptions
from rigs.simulated.viewpoint import VIEWS
from rigs.simulated.views_run import GROUP, views_run
from rt_pose.audit.replay import replay
from rt_pose.config.rules import ActionConfig, RuleConfig, ZoneConfig
from rt_pose.config.schema import (
    CameraConfig,
    LimitsConfig,
    OutputConfig,
    PublishConfig,
    RecordConfig,
    RunConfig,
)

IN_SPACE = (
    "height(nose) > 40",
    "speed(tail_base) > 120",
    "distance(nose, tail_base) < 95",
    "x(neck) > 0 and not height(nose) > 45",
)
OF_ONE = ("inside(nose, middle)", "speed(nose) > 60", "distance(nose, tail_base) < 60 or speed(neck) > 90")
OF_SEVERAL = (
    "inside(any.nose, middle)",
    "speed(each.nose) > 60",
    "distance(individual0.nose, individual1.nose) < 80",
)
RATE_HZ = 30.0


def measure_replays(
    model: str, several: str, sessions: int, seconds: float, seed: int
) -> list[dict[str, Any]]:
    """Run sessions and replay each.

    Parameters
    ----------
    model
        Package of one animal, trained on frames of all views.
    several
        Package of several animals; without it every session has one.
    sessions
        How many.
    seconds
        Of each.
    seed
        Of all that is drawn.

    Returns
    -------
    list[dict[str, Any]]
        A row a session.
    """
    rows = []
    for number in range(sessions):
        random = np.random.default_rng((seed, number))
        config = random_config(random, model, several, seconds)
        with short_run(config) as run:
            found = replay(run.folder)
        row = {
            "session": number,
            "animals": config.individual_count,
            "cameras": len(config.cameras),
            "in_space": bool(config.views),
            "ended_well": run.result.ok,
            "observations": found.observations,
            "tracks": found.tracks,
            "tracks_in_space": found.tracks_in_space,
            "events": found.events,
            "commands": found.commands,
            "conclusion": found.conclusion,
            "bit_for_bit": found.bit_for_bit,
            "differences": found.differences[:3],
        }
        say(f"session {number}: {row['animals']} animal(s), {row['cameras']} camera(s): {found.conclusion}")
        rows.append(row)
    return rows


def random_config(random: np.random.Generator, model: str, several: str, seconds: float) -> RunConfig:
    """Draw a run.

    Parameters
    ----------
    random
        What is drawn with.
    model, several, seconds
        As of `measure_replays`.

    Returns
    -------
    RunConfig
        With the simulated rig, armed.
    """
    in_space = not several or random.random() < 0.5
    cameras = int(random.integers(2 if in_space else 1, 5))
    animals = 1 if in_space else int(random.integers(2, 5))
    config = views_run(cameras, "bench scale") if in_space else RunConfig()
    config.cameras = {
        name: CameraConfig("simulated", _camera(random, animals, view if in_space else None))
        for view, name in enumerate(VIEWS[:cameras])
    }
    if in_space:
        config.views[GROUP].late = f"{random.choice([0, 20, 60])} ms"
    config.individuals, config.model = animals, model if in_space else several
    config.zones = {"middle": ZoneConfig([160.0, 128.0, 70.0])}
    limits = LimitsConfig(max_pulses_per_minute=int(random.integers(4, 40)))
    config.outputs = {
        "stimulus": OutputConfig("simulated", {"world": "arena"}, limits=limits),
        "tone": OutputConfig("simulated", {"world": "arena", "delay_ms": 25.0}),
    }
    config.rules, config.armed_at_start = _rules(random, list(config.cameras), in_space), True
    config.publish = PublishConfig(address="tcp://127.0.0.1:*", control="tcp://127.0.0.1:*")
    config.record = RecordConfig(video=False)
    config.seconds, config.seed = seconds, int(random.integers(1 << 31))
    return config


def _camera(random: np.random.Generator, animals: int, view: int | None) -> dict[str, Any]:
    late = random.random() < 0.4
    faults = FaultOptions(
        drop=float(random.choice([0.0, 0.05])),
        jitter_ms=float(random.choice([0.0, 8.0])),
        late=0.2 if late else 0.0,
        late_ms=float(random.choice([25.0, 70.0])),
    )
    options = {"world": "arena", "rate_hz": RATE_HZ, "animals": animals, "faults": asdict(faults)}
    return options if view is None else options | {"view": view}


def _rules(random: np.random.Generator, cameras: list[str], in_space: bool) -> list[RuleConfig]:
    """One or two rules of a camera's pixels, and in space two of these."""
    flat = [(when, "") for when in random.permutation(OF_ONE if in_space else OF_SEVERAL)[:2].tolist()]
    space = [(when, "arena") for when in random.permutation(IN_SPACE)[:2].tolist()] if in_space else []
    rules = []
    for i, (when, view) in enumerate([*flat, *space]):
        rule = RuleConfig(
            name=f"rule{i}",
            when=when,
            do=ActionConfig(output=str(random.choice(["stimulus", "tone"])), pulse="5 ms"),
            hold=f"{random.uniform(0, 60):.3f} ms",
            refractory=f"{random.uniform(100, 600):.3f} ms",
            withhold=float(random.choice([0.0, 0.3])),
        )
        if random.random() < 0.5:
            rule.probability = float(random.uniform(0.4, 0.95))
            rule.release = rule.probability * float(random.uniform(0.4, 1.0))
        if view:
            rule.view = view
        else:
            rule.camera = str(random.choice(cameras))
        rules.append(rule)
    return rules
