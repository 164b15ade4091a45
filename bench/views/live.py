"""Live figures: whole runs on the simulated rig in space, whose truth is known at every time.

A session a seed and case: cameras, network, loop, log. Its observations are then taken in again, as replay
does, and every state of the filter is compared with where the animal truly was, then and 50 ms later. No rule
acts, so that the animal is undisturbed. The seeds are of animals that the demo's network was not trained on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.program import say
from bench.short_run import short_run
from bench.views.simulated import HORIZON_MS, coverage, mean_with_half, median_distance
from rigs.simulated.behaviour import Reactions
from rigs.simulated.options import SimulatedOptions
from rigs.simulated.solid_scene import SolidScene
from rigs.simulated.views_run import GROUP, views_run
from rt_pose.audit.recompute import ReplaySetup, logged_pose
from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.config.schema import PublishConfig, RecordConfig, RunConfig
from rt_pose.errors import UserError
from rt_pose.records import GroupRecord
from rt_pose.session.read import Session
from rt_pose.types import FloatArray, Track3D
from rt_pose.views.group_tracker import GroupTracker, observation_of
from rt_pose.views.triangulation import triangulate

RATE_HZ = 40.0
HORIZON_NS = HORIZON_MS * NS_PER_MS
SETTLE_NS = NS_PER_S
"""From the first exposure on; tracks begin, and caches are cold."""
FIRST_SEED = 2000
"""No animal that a network of the demo is trained on has such a seed."""


@dataclass(frozen=True)
class Case:
    """Cameras, and what is wrong with the last of them."""

    name: str
    views: int
    faults: dict[str, float] = field(default_factory=dict)
    late: str = "20 ms"
    """How much older than the newest an observation may be."""


CASES = (
    Case("4 views", 4),
    Case("3 views", 3),
    Case("2 views", 2),
    Case("3 views, one 30 ms late, 40 allowed", 3, {"late": 1.0, "late_ms": 30.0}, "40 ms"),
    Case("3 views, one 60 ms late, 20 allowed", 3, {"late": 1.0, "late_ms": 60.0}),
    Case("3 views, one lacks half its frames", 3, {"drop": 0.5}),
)


def measure_live(model: str, seeds: int, seconds: float) -> list[dict[str, Any]]:
    """Run the cases.

    Parameters
    ----------
    model
        Folder of a package that was trained on frames of all views, as by `rt-pose demo --views 4`.
    seeds
        Sessions of each case, each with an animal of its own.
    seconds
        Of each.

    Returns
    -------
    list[dict[str, Any]]
        A row a case.
    """
    rows = []
    for case in CASES:
        scores, counts = [], Counter[str]()
        for seed in range(FIRST_SEED, FIRST_SEED + seeds):
            config = live_config(case, model, seed, seconds)
            with short_run(config) as run:
                session = run.session()
                scores.append(_score(session, seed))
            counts.update(_counts(session))
            say(f"{case.name}, seed {seed}: {scores[-1]['n']:.0f} states")
        figures = {key: mean_with_half([score[key] for score in scores]) for key in scores[0]}
        rows.append({"case": case.name, "sessions": seeds, "counts": dict(counts), **figures})
    return rows


def live_config(case: Case, model: str, seed: int, seconds: float) -> RunConfig:
    """Make the run of a case.

    Parameters
    ----------
    case
        The case.
    model
        Folder of the package.
    seed
        Of the animal.
    seconds
        Length of the run.

    Returns
    -------
    RunConfig
        The shipped configuration of several views, without rules.
    """
    config = views_run(case.views, "bench views", rate_hz=RATE_HZ)
    last = list(config.cameras.values())[-1]
    last.options["faults"] = dict(case.faults)
    config.views[GROUP].late = case.late
    config.model, config.seed, config.seconds = model, seed, seconds
    config.rules, config.outputs = [], {}
    config.publish = PublishConfig(address="tcp://127.0.0.1:*", control="tcp://127.0.0.1:*")
    config.record = RecordConfig(video=False)
    return config


def states_of(session: Session) -> Iterator[tuple[GroupRecord, GroupTracker]]:
    """Take the observations of a session in again, in the order in which the loop did.

    Parameters
    ----------
    session
        A session with a group of views.

    Yields
    ------
    tuple[GroupRecord, GroupTracker]
        A turn in which something was used, and the filter after it.
    """
    tracker = ReplaySetup.of(session).group_of(GROUP)
    seen = {observation.seq: observation for observation in session.observations}
    for record in session.groups:
        tracker.step([(seq, logged_pose(seen[seq])) for seq in (*record.used, *record.late)])
        if record.used:
            yield record, tracker


def _counts(session: Session) -> dict[str, int]:
    used, late = (sum(len(getattr(r, name)) for r in session.groups) for name in ("used", "late"))
    return {"frames": len(session.frames), "used": used, "late": late}


def _score(session: Session, seed: int) -> dict[str, float]:
    """Errors and coverage of one session; of an exposure, the last state counts."""
    last: dict[int, tuple[Track3D, Track3D]] = {}
    for _, tracker in states_of(session):
        newest_ns = tracker.group.newest_ns
        assert newest_ns is not None
        last[newest_ns] = tracker.group.predict(newest_ns), tracker.group.predict(newest_ns + HORIZON_NS)
    times = np.array(sorted(last), np.int64)
    times = times[times >= times[:1] + SETTLE_NS]
    if not len(times):
        raise UserError("bench views: no keypoint was placed in space; look at the messages above")
    now = [last[int(t)][0] for t in times]
    ahead = [last[int(t)][1] for t in times]
    truth, later = (_truth(session, seed, times + shift) for shift in (0, HORIZON_NS))
    xyz, velocity = np.stack([s.xyz for s in now]), np.stack([s.velocity for s in now])
    soon = np.stack([s.xyz for s in ahead])
    straight = xyz + velocity * (HORIZON_MS / 1e3)
    # All methods are compared where all have an estimate.
    placed, line = _triangulated(session, times)
    both = np.isfinite(soon[..., 0]) & np.isfinite(line[..., 0])
    errors = {"ours": soon, "constant velocity, filtered": straight, "the newest place": xyz}
    errors["constant velocity, two places"] = line
    return {
        "n": float(np.isfinite(xyz[..., 0]).sum()),
        "tracked": float(np.isfinite(xyz[..., 0]).mean()),
        "n compared": float(both.sum()),
        **coverage("filtered", xyz - truth, np.stack([s.cov[:, :3, :3] for s in now])),
        **coverage("50 ms ahead", soon - later, np.stack([s.cov[:, :3, :3] for s in ahead])),
        "filtered, mm": median_distance(xyz - truth),
        "triangulated, mm": median_distance(placed - truth),
        **{f"{name}, mm": median_distance((found - later)[both]) for name, found in errors.items()},
    }


def _truth(session: Session, seed: int, times: NDArray[np.int64]) -> FloatArray:
    """(T, K, 3) mm: where the animal was at scene times of the session."""
    options = SimulatedOptions(rate_hz=RATE_HZ, view=0)
    scene = SolidScene(seed, options)
    first = session.frames[0].stamps
    begin_ns = first.t_scene_ns - options.scene_time_ns(first.index)
    undisturbed = Reactions(scene.timing)
    return np.stack([scene.places(int(t) - begin_ns, undisturbed)[0] for t in times])


def _triangulated(session: Session, times: NDArray[np.int64]) -> tuple[FloatArray, FloatArray]:
    """(T, K, 3) each: places frame by frame, and 50 ms later on the line through the last two."""
    setup = ReplaySetup.of(session)
    group = setup.group_of(GROUP).group
    cameras, keypoints = group.cameras, group.shape[1]
    views = {camera.name: v for v, camera in enumerate(cameras)}
    exposed: dict[int, FloatArray] = {}
    for seen in session.observations:
        xy = exposed.setdefault(seen.stamps.t_scene_ns, np.full((len(cameras), keypoints, 2), np.nan))
        noise = setup.tracking_of(seen.camera)
        xy[views[seen.camera]] = observation_of(logged_pose(seen), noise)[0]
    order = np.array(sorted(exposed), np.int64)
    xy = np.stack([exposed[int(t)] for t in order], axis=1)  # (V, F, K, 2)
    places = triangulate(cameras, xy.reshape(len(cameras), -1, 2)).xyz.reshape(-1, keypoints, 3)
    seconds = np.diff(order, prepend=order[:1] - 1) / NS_PER_S
    speed = np.diff(places, axis=0, prepend=places[:1]) / seconds[:, None, None]
    rows = np.searchsorted(order, times)
    return places[rows], (places + speed * (HORIZON_MS / 1e3))[rows]
