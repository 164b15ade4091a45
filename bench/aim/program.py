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

from dataclasses import dataclass
from typing import Annotated, Any

from bench.aim.figures import row, table
from bench.aim.observers import make_observer
from bench.aim.rig import Rig, calibrate_rig
from bench.aim.shots import RULES, Tally, decide
from bench.output import conditions
from bench.program import Out, run, say
from rigs.simulated.options import SimulatedOptions
from rt_pose.errors import UserError

FIRST_SEED = 1000
"""The demo's network is trained on animals of smaller seeds."""


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
        Where there is no animal; see also `make_observer`.
    """
    if options.seeds < 1:
        raise UserError(f"--seeds: expected 1 or more, got {options.seeds}")
    observer = make_observer(options.model, options.noise_px)
    tallies = {name: Tally() for name in RULES}
    seeds = list(range(FIRST_SEED, FIRST_SEED + options.seeds))
    residuals: list[float] = []
    times = (options.seconds, options.latency_ms, options.delay_ms)
    for seed in seeds:
        rig = Rig(seed)
        calibration, residual_px = calibrate_rig(rig)
        residuals.append(residual_px)
        for event in decide(rig, seed, observer, calibration, *times):
            tallies[event.rule].add(event, rig, seed)
        say(f"seed {seed}: {sum(len(t.apart_px) for t in tallies.values())} shots so far")
    return {
        "bench": "aim",
        **conditions(),
        "keypoints": observer.says,
        "seeds": seeds,
        "seconds": options.seconds,
        "rate_hz": SimulatedOptions().rate_hz,
        "ahead_ms": [options.latency_ms + options.delay_ms, 3 * options.latency_ms + options.delay_ms],
        "calibration_residual_px": max(residuals),
        "rows": [row(*RULES[name], tally) for name, tally in tallies.items()],
    }


def main() -> int:
    """Measure what the command line asks for.

    Returns
    -------
    int
        Exit status.
    """
    return run(Options, measure, table)
