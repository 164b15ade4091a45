"""Aimed light on the simulated rig: how many shots hit, behind a gate of the covariance and without one.

    python -m bench.aim [--model PACKAGE] [--seeds N] [--seconds S] [--out STEM]

The network of the package sees rendered frames of animals that it was not trained on. Without a package the
keypoints are the true ones with noise of a stated covariance, and unseen where they are covered: then the
covariance is right, and what is left is the movement. Its noise changes from frame to frame, from half to
twice `noise_px`. Filter and rules are those of a run. A shot is judged `latency` to three times `latency`
after the exposure, as it falls out, and its light comes `delay` later. The mirrors are calibrated as a user
does it, from spots found in frames. Where a shot's light falls is found in a rendered frame too, and compared
with where the keypoint truly is then: a hit is within the spot's radius. Every rule tries ten times a second;
what differs is p of the ellipse that must lie inside the spot. 0 % is the centre alone, which always does:
firing always.
"""

from __future__ import annotations

import math
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Annotated, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bench.output import conditions, machine_line, markdown_table
from bench.program import Out, run, say
from rigs.simulated.animal import KEYPOINTS
from rigs.simulated.behaviour import Reactions
from rigs.simulated.galvo import place_of
from rigs.simulated.options import SimulatedOptions
from rigs.simulated.render import Renderer
from rigs.simulated.scene import Scene
from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.config.rules import ActionConfig, AimAction, RuleConfig
from rt_pose.config.schema import AimCalibrationConfig, CameraConfig, EngineConfig, OutputConfig, RunConfig
from rt_pose.decisions.rule_set import RuleSet
from rt_pose.errors import UserError
from rt_pose.inference.choose_engine import choose_engine
from rt_pose.package import Package, TrackingSpec, read_package
from rt_pose.session.aim_calibration import Pairs, calibrate, find_spot, grid
from rt_pose.tracking.causal_filter import CausalFilter
from rt_pose.types import Event, FrameStamps, Pose

CAMERA, KEYPOINT = "top", "nose"
GATES = (0.0, 0.5, 0.9, 0.99)
"""p of the ellipse."""
RADII_PX = (4.0, 6.0, 9.0)
EVERY = "100 ms"
FIRST_SEED = 1000
"""The demo's network is trained on animals of smaller seeds."""
GRID_V, GRID_STEPS, THRESHOLD = (-4.0, -4.0, 4.0, 4.0), 5, 250
Z_95 = 1.959964
MOVEMENT_Q, MOVEMENT_TAU = 1e6, 0.1
"""Of the filter where there is no package: px^2/s^3 and s, about those that an uncalibrated package has."""


@dataclass(kw_only=True)
class Options:
    """Options of the command line."""

    model: Annotated[str, "folder of a model package for the simulated animal, e.g. of `rt-pose demo`"] = ""
    noise_px: Annotated[float, "without a package: standard deviation of the keypoints on each axis"] = 1.0
    seeds: Annotated[int, "animals, each in an arena of its own"] = 6
    seconds: Annotated[float, "of each"] = 60.0
    latency_ms: Annotated[float, "from the exposure to the decision, at least; at most three times that"] = (
        10.0
    )
    delay_ms: Annotated[float, "from the decision to the light"] = 3.0
    out: Out = None


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


class Rig:
    """The simulated rig of one seed, frame by frame and without a clock."""

    def __init__(self, seed: int) -> None:
        """Render nothing yet.

        Parameters
        ----------
        seed
            Of animal and arena.
        """
        self.options = SimulatedOptions()
        self.scene = Scene(seed, self.options)
        self._renderer = Renderer(seed, CAMERA, self.options, self.scene)
        self.reactions = Reactions.to(self.scene.timing, [])
        shape = (self.options.height, self.options.width, self.options.channels)
        self._frame, self._dark = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)

    def frame(self, index: int) -> NDArray[np.uint8]:
        """Render a frame.

        Parameters
        ----------
        index
            Its index.

        Returns
        -------
        NDArray[np.uint8]
            (H, W, C); the next frame overwrites it.
        """
        t_ns = self.options.scene_time_ns(index)
        self._renderer.draw(self.scene.postures(t_ns, self.reactions), index, t_ns, self._frame)
        return self._frame

    def truth(self, t_ns: int, keypoint: int) -> tuple[float, float]:
        """Look up where a keypoint is.

        Parameters
        ----------
        t_ns
            Scene time, ns.
        keypoint
            Its index.

        Returns
        -------
        tuple[float, float]
            Its place, px.
        """
        x, y = self.scene.truth(t_ns, self.reactions)[0][0, keypoint]
        return float(x), float(y)

    def place(self, volts: tuple[float, float]) -> tuple[float, float]:
        """Compute where the light falls, also outside the frame.

        Parameters
        ----------
        volts
            Of the mirrors, V.

        Returns
        -------
        tuple[float, float]
            The place, px.
        """
        x, y = self.scene.view.pixels(np.array(place_of(volts)))
        return float(x), float(y)

    def light(self, volts: tuple[float, float]) -> tuple[float, float] | None:
        """Find where the camera sees the light, on an empty floor.

        Parameters
        ----------
        volts
            Of the mirrors, V.

        Returns
        -------
        tuple[float, float] | None
            Centre of the spot, px; None where it is not in view.
        """
        self._frame[:] = 0
        self._renderer.shine([place_of(volts)], self._frame)
        return find_spot(self._frame, self._dark, THRESHOLD)


class Observer(Protocol):
    """What finds the keypoints of a frame."""

    keypoints: list[str]
    tracking: TrackingSpec
    says: str

    def observe(self, rig: Rig, seed: int, stamps: FrameStamps) -> Pose:
        """Find the keypoints.

        Parameters
        ----------
        rig
            Shows the frame.
        seed
            Of the animal.
        stamps
            Of the frame.

        Returns
        -------
        Pose
            Its keypoints.
        """
        ...


class NetworkObserver:
    """The network of a package, on rendered frames."""

    def __init__(self, package: Package) -> None:
        self._estimator = choose_engine(package, EngineConfig(precision="float32")).estimator
        self.keypoints, self.tracking = package.manifest.keypoints, package.manifest.tracking
        self.says = f"network {package.sha256[:12]}"

    def observe(self, rig: Rig, seed: int, stamps: FrameStamps) -> Pose:  # noqa: ARG002
        """See `Observer.observe`."""
        found = self._estimator.estimate(rig.frame(stamps.index))
        return Pose(CAMERA, stamps, found.xy, found.cov, found.confidence)


class NoisyTruth:
    """The true keypoints with noise; a covered one is unseen."""

    def __init__(self, noise_px: float) -> None:
        self._noise_px = noise_px
        self.keypoints = KEYPOINTS
        k = len(KEYPOINTS)
        self.tracking = TrackingSpec([MOVEMENT_Q] * k, [MOVEMENT_TAU] * k, [1.0] * k, [0.0] * k)
        self.says = f"true ones with noise of {noise_px / 2:g} to {2 * noise_px:g} px on each axis"

    def observe(self, rig: Rig, seed: int, stamps: FrameStamps) -> Pose:
        """See `Observer.observe`."""
        true, visible = rig.scene.truth(stamps.t_scene_ns - NS_PER_S, rig.reactions)
        random = np.random.default_rng((seed, stamps.index))
        sd = self._noise_px * 2.0 ** random.uniform(-1.0, 1.0)
        xy = np.where(visible[..., None], true + random.normal(0.0, sd, true.shape), np.nan)
        cov = np.broadcast_to(sd * sd * np.eye(2), (*visible.shape, 2, 2)).copy()
        return Pose(CAMERA, stamps, xy, cov, visible.astype(np.float64))


def observer_of(options: Options) -> Observer:
    """Make what finds the keypoints.

    Parameters
    ----------
    options
        The command line.

    Returns
    -------
    Observer
        The network of the package, or the noisy truth where none is given.

    Raises
    ------
    UserError
        Where the package does not know the keypoint that is aimed at.
    """
    if not options.model:
        return NoisyTruth(options.noise_px)
    package = read_package(options.model)
    if KEYPOINT not in package.manifest.keypoints:
        raise UserError(f"--model {options.model}: has no keypoint '{KEYPOINT}'; give that of `rt-pose demo`")
    return NetworkObserver(package)


def measure(options: Options) -> dict[str, Any]:
    """Let every rule try on every animal.

    Parameters
    ----------
    options
        The command line.

    Returns
    -------
    dict[str, Any]
        The figures, for JSON.

    Raises
    ------
    UserError
        See `observer_of`.
    """
    observer = observer_of(options)
    tallies = {(radius, gate): Tally() for radius in RADII_PX for gate in GATES}
    residuals = []
    for seed in range(FIRST_SEED, FIRST_SEED + options.seeds):
        rig = Rig(seed)
        calibration, residual_px = calibrate_rig(rig)
        residuals.append(residual_px)
        _shoot(rig, seed, observer, calibration, options, tallies)
        say(f"seed {seed}: {sum(len(t.apart_px) for t in tallies.values())} shots so far")
    return {
        "bench": "aim",
        **conditions(),
        "keypoints": observer.says,
        "seeds": list(range(FIRST_SEED, FIRST_SEED + options.seeds)),
        "seconds": options.seconds,
        "rate_hz": SimulatedOptions().rate_hz,
        "ahead_ms": [options.latency_ms + options.delay_ms, 3 * options.latency_ms + options.delay_ms],
        "calibration_residual_px": max(residuals),
        "rows": [row(radius, gate, tally) for (radius, gate), tally in tallies.items()],
    }


def calibrate_rig(rig: Rig) -> tuple[AimCalibrationConfig, float]:
    """Calibrate the mirrors with spots.

    Parameters
    ----------
    rig
        The rig.

    Returns
    -------
    tuple[AimCalibrationConfig, float]
        The calibration, and its largest residual, px.
    """
    seen = [(rig.light(volts), volts) for volts in map(tuple, grid(GRID_V, GRID_STEPS).tolist())]
    found = [(px, volts) for px, volts in seen if px is not None]
    pairs = Pairs(np.array([px for px, _ in found]), np.array([volts for _, volts in found]))
    config, fitted = calibrate(pairs, "V", 2.0, "the spots")
    return config, fitted.largest


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
    names = {_name(radius, gate): (radius, gate) for radius in RADII_PX for gate in GATES}
    rules = [
        RuleConfig(
            name,
            f"x({KEYPOINT}) > -1000",  # wherever it is
            ActionConfig(name, aim=AimAction(KEYPOINT, "5 ms", f"{radius:g} px", certainty=gate)),
            repeat=EVERY,
        )
        for name, (radius, gate) in names.items()
    ]
    outputs = {name: OutputConfig("simulated", aim={CAMERA: calibration}) for name in names}
    return RunConfig(cameras={CAMERA: CameraConfig("simulated")}, outputs=outputs, rules=rules)


def _name(radius_px: float, gate: float) -> str:
    return f"r{radius_px:g}-p{100 * gate:g}"


def _shoot(
    rig: Rig,
    seed: int,
    observer: Observer,
    calibration: AimCalibrationConfig,
    options: Options,
    tallies: dict[tuple[float, float], Tally],
) -> None:
    """Take one animal's frames to decisions and score every shot."""
    keypoints = observer.keypoints
    config = rules_of(calibration)
    rules = RuleSet.of(config, keypoints, dict.fromkeys(config.outputs, options.delay_ms))
    decider, tracker = rules.decider(0, 1), CausalFilter(observer.tracking, 1, len(keypoints))
    by_name = {_name(*key): tally for key, tally in tallies.items()}
    radius_of = {_name(radius, gate): radius for radius, gate in tallies}
    latency = np.random.default_rng(seed)
    for index in range(round(options.seconds * rig.options.rate_hz)):
        t_ns = NS_PER_S + rig.options.scene_time_ns(index)
        stamps = FrameStamps(index, t_ns, t_ns, t_ns)
        pose = observer.observe(rig, seed, stamps)
        tracker.step(pose)
        judged_ns = t_ns + round(latency.uniform(1.0, 3.0) * options.latency_ms * NS_PER_MS)
        decided = decider.decide(tracker, CAMERA, stamps, judged_ns, True, pose.confidence)
        for event, _ in decided:
            tally = by_name[event.rule]
            tally.tries += 1
            if event.outcome != "fired":
                tally.held_back += event.reason == "aim"
                tally.lost += event.reason == "lost"
                continue
            apart = _apart_px(rig, event, keypoints.index(KEYPOINT))
            tally.apart_px.append(apart)
            tally.by_seed[seed].append(apart <= radius_of[event.rule])


def _apart_px(rig: Rig, event: Event, keypoint: int) -> float:
    """From the light to where the keypoint truly is when it comes."""
    assert event.x is not None
    assert event.y is not None
    volts = (event.x, event.y)
    spot = rig.light(volts) or rig.place(volts)  # the border of the frame may cut the spot
    x, y = rig.truth(event.t_effect_ns - NS_PER_S, keypoint)
    return math.hypot(spot[0] - x, spot[1] - y)


def row(radius_px: float, gate: float, tally: Tally) -> dict[str, Any]:
    """Sum up one rule.

    Parameters
    ----------
    radius_px
        Of the spot.
    gate
        p of the ellipse.
    tally
        What became of its tries.

    Returns
    -------
    dict[str, Any]
        Counts, the share of shots that hit with its interval (Wilson, 95 %), and that share by seed.
    """
    shots = [hit for hits in tally.by_seed.values() for hit in hits]
    low, high = wilson(sum(shots), len(shots))
    return {
        "radius_px": radius_px,
        "gate": gate,
        "tries": tally.tries,
        "held_back": tally.held_back,
        "lost": tally.lost,
        "shots": len(shots),
        "hits": sum(shots),
        "share": sum(shots) / len(shots) if shots else None,
        "low": low,
        "high": high,
        "median_px": float(np.median(tally.apart_px)) if shots else None,
        "p99_px": float(np.percentile(tally.apart_px, 99)) if shots else None,
        "share_by_seed": {seed: round(sum(hits) / len(hits), 4) for seed, hits in tally.by_seed.items()},
    }


def wilson(hits: int, n: int) -> tuple[float | None, float | None]:
    """Compute Wilson's 95 % interval of a share.

    Parameters
    ----------
    hits, n
        How many of how many.

    Returns
    -------
    tuple[float | None, float | None]
        Its ends; None where there is nothing to tell from.
    """
    if n == 0:
        return None, None
    share, z2 = hits / n, Z_95 * Z_95
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_95 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def table(figures: dict[str, Any]) -> str:
    """Format the figures for people.

    Parameters
    ----------
    figures
        What `measure` returned.

    Returns
    -------
    str
        Markdown.
    """
    head = ["spot, px", "gate", "tries", "held back", "lost", "shots", "hits", "share of hits", "95 %"]
    head += ["by seed", "median, px", "P99, px"]
    rows = [_cells(one) for one in figures["rows"]]
    seeds = figures["seeds"]
    return "\n\n".join(
        [
            f"Aimed light on the simulated rig: {len(seeds)} animals (seeds {seeds[0]} to {seeds[-1]}), "
            f"{figures['seconds']:g} s each at {figures['rate_hz']:g} frames a second; keypoints: "
            f"{figures['keypoints']}; light {figures['ahead_ms'][0]:g} to "
            f"{figures['ahead_ms'][1]:g} ms after the exposure; {machine_line(figures)}. A hit: "
            "the light is within the spot's radius of the true nose at the time of effect. Mirrors "
            f"calibrated from spots, largest residual {figures['calibration_residual_px']:.2f} px. Shots of "
            "one animal are not independent: compare the shares by seed with the interval.",
            markdown_table(head, rows),
        ]
    )


def _cells(one: dict[str, Any]) -> list[str]:
    gate = "always" if one["gate"] == 0.0 else f"{100 * one['gate']:g} %"
    counts = [str(one[key]) for key in ("tries", "held_back", "lost", "shots", "hits")]
    if not one["shots"]:
        return [f"{one['radius_px']:g}", gate, *counts, *["-"] * 5]
    shares = one["share_by_seed"].values()
    return [
        f"{one['radius_px']:g}",
        gate,
        *counts,
        f"{100 * one['share']:.1f} %",
        f"{100 * one['low']:.1f} to {100 * one['high']:.1f}",
        f"{100 * min(shares):.0f} to {100 * max(shares):.0f}",
        f"{one['median_px']:.2f}",
        f"{one['p99_px']:.2f}",
    ]


if __name__ == "__main__":
    sys.exit(run(Options, measure, table))
