"""How well identities are kept where animals cross: `python -m bench.identity [--seeds 10] [--minutes 5]`.

Simulated animals run across each other; detections come from their truth, with noise, misses, merged and
false ones (`detections.py`), not from a network. The program's tracker is compared with two that assign by
the distance of centroids. The tracker of another program is not run here. The filter's parameters are fitted
to another animal's detections, as `rt-pose train calibrate` does.

`--fit 10` first chooses the rates at which animals that overlap are exchanged unnoticed, on recordings of
seeds 100 and on, so that no recording is scored by which anything was chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Annotated, Any

import numpy as np

from bench.accuracy.statistics import Counts, draws
from bench.identity.detections import Recording, record
from bench.identity.scores import Score, calibration, interval, log_score, score, summarise
from bench.identity.trackers import Assigns, CentroidTracker, OwnTracker, run_tracker
from bench.output import conditions, machine_line, markdown_table
from bench.program import Out, run, say
from rigs.simulated.animal import KEYPOINTS
from rt_pose.errors import UserError
from rt_pose.loop.latency import summary
from rt_pose.offline.innovations import Recorded, fit_parameters
from rt_pose.package import TrackingSpec
from rt_pose.reports.render import number
from rt_pose.tracking.identities import IndividualOptions
from rt_pose.types import FloatArray

OURS = "rt-pose"
HUNGARIAN, GREEDY, SINGLE = "centroids, Hungarian", "centroids, greedy", "rt-pose, one hypothesis"
FIT_SECONDS, FIT_SEED = 60.0, 10_000
"""Length of the recording of one animal to which the filter is fitted, and its seed."""
CHOICE_SEED = 100
"""The first of the recordings on which the rates of exchanges are chosen."""
RATES_HZ = tuple(product((0.0, 0.02, 0.05, 0.1, 0.2), (0.05, 0.2, 0.5, 1.0)))
"""Pairs that are tried: where both of two that overlap are seen, and where one is not."""
CALIBRATION = {
    "of_crossing": "of a crossing: the ratio of what was stated after it and before",
    "since_birth": "since birth",
}


@dataclass(kw_only=True)
class Options:
    """Options of the command line."""

    seeds: Annotated[int, "recordings, of seeds 0 and on"] = 10
    fit: Annotated[
        int, "recordings, of seeds 100 and on, to choose the rates of exchanges; 0: as they are"
    ] = 0
    minutes: Annotated[float, "length of each"] = 5.0
    animals: Annotated[int, "how many there are", (2, 3, 4)] = 4
    rate: Annotated[float, "frames a second"] = 30.0
    out: Out = None


def main(argv: list[str] | None = None) -> int:
    """Measure what the command line asks for.

    Parameters
    ----------
    argv
        The command line; that of the process where none is given.

    Returns
    -------
    int
        Exit status.
    """
    return run(Options, measure, format_tables, argv)


def measure(options: Options) -> dict[str, Any]:
    """Run all trackers on all recordings.

    Parameters
    ----------
    options
        The command line.

    Returns
    -------
    dict[str, Any]
        The figures.

    Raises
    ------
    UserError
        Where an option is out of range.
    """
    limits = (("seeds", 1, CHOICE_SEED), ("fit", 0, 1000), ("minutes", 0.01, 600.0), ("rate", 5.0, 500.0))
    for name, low, high in limits:
        if not low <= getattr(options, name) <= high:
            raise UserError(f"--{name}: expected {low:g} to {high:g}, got {getattr(options, name):g}")
    spec = fit_spec(options.rate)
    choice = choose_rates(options, spec) if options.fit else None
    own = IndividualOptions() if choice is None else _with_rates(choice["chosen"])
    ours = partial(OwnTracker, options.animals, spec, options.rate)
    makers: dict[str, Callable[[], Assigns]] = {
        OURS: partial(ours, own),
        SINGLE: partial(ours, replace(own, hypotheses=1)),
        HUNGARIAN: partial(CentroidTracker, options.animals, True),
        GREEDY: partial(CentroidTracker, options.animals, False),
    }
    scores: dict[str, list[Score]] = {name: [] for name in makers}
    taken: dict[str, list[float]] = {name: [] for name in makers}
    for seed in range(options.seeds):
        recording = record(seed, options.animals, 60.0 * options.minutes, options.rate)
        for name, make in makers.items():
            found, times = _run_one(make(), recording)
            scores[name].append(found)
            taken[name] += times
        say(f"seed {seed}: {scores[OURS][-1].crossings} crossings")
    return _figures(options, spec, own, choice, scores, taken)


def fit_spec(rate_hz: float) -> TrackingSpec:
    """Fit the filter to what is detected of one animal.

    Parameters
    ----------
    rate_hz
        Frames a second.

    Returns
    -------
    TrackingSpec
        Its parameters.
    """
    frames = record(FIT_SEED, 1, FIT_SECONDS, rate_hz).frames
    shape = (len(frames), len(KEYPOINTS))
    seen = Recorded(
        1.0 / rate_hz, np.full((*shape, 2), np.nan), np.full((*shape, 2, 2), np.nan), np.zeros(shape)
    )
    for i, frame in enumerate(frames):
        for d in np.flatnonzero(frame.label == 0):
            seen.xy[i], seen.cov[i], seen.confidence[i] = frame.xy[d], frame.cov[d], frame.confidence[d]
    settings = TrackingSpec([], [], [], [])
    fitted = fit_parameters(
        [seen],
        gate_chi2=settings.gate_chi2,
        restart_frames=settings.restart_frames,
        min_confidence=settings.min_confidence,
    )
    return fitted.spec()


def choose_rates(options: Options, spec: TrackingSpec) -> dict[str, Any]:
    """Choose the rates of exchanges under which what came true was stated with the highest probability.

    Parameters
    ----------
    options
        The command line.
    spec
        Parameters of the filter.

    Returns
    -------
    dict[str, Any]
        `first_seed` and `seeds` of the recordings, `tried`: the pairs of rates (1/s) with their `log_score`,
        and the pair that is `chosen`.

    Raises
    ------
    UserError
        Where nothing crossed.
    """
    scores: list[list[Score]] = [[] for _ in RATES_HZ]
    for seed in range(CHOICE_SEED, CHOICE_SEED + options.fit):
        recording = record(seed, options.animals, 60.0 * options.minutes, options.rate)
        for rates, found in zip(RATES_HZ, scores, strict=True):
            tracker = OwnTracker(options.animals, spec, options.rate, _with_rates(rates))
            found.append(_run_one(tracker, recording)[0])
        say(f"seed {seed}: {len(RATES_HZ)} pairs of rates tried")
    tried = [(rates, log_score(found)) for rates, found in zip(RATES_HZ, scores, strict=True)]
    if any(np.isnan(value) for _, value in tried):
        raise UserError("--fit: no animal crossed another in these recordings; give longer --minutes")
    return {
        "first_seed": CHOICE_SEED,
        "seeds": options.fit,
        "tried": [{"rates": list(rates), "log_score": value} for rates, value in tried],
        "chosen": list(max(tried, key=lambda row: row[1])[0]),
    }


def _with_rates(rates: Sequence[float]) -> IndividualOptions:
    """The program's own options with other rates of exchanges."""
    seen_hz, hidden_hz = rates
    return IndividualOptions(confusion_hz=seen_hz, hidden_confusion_hz=hidden_hz)


def format_tables(figures: dict[str, Any]) -> str:
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
    parts = [
        f"{figures['animals']} simulated animals, {figures['seeds']} seeds of {figures['minutes']:g} min, "
        f"{figures['rate_hz']:g} frames a second; {machine_line(figures)}. Detections are made from the "
        "truth, with noise, misses, merged and false ones. Intervals are of 95 %: Wilson's for the share of "
        "crossings, by bootstrap over seeds for the others. The trackers of other programs were not run.",
        _choice_text(figures),
        _trackers_table(figures),
        f"Switches a crossing, rt-pose over the better of the two by centroids: "
        f"{_cell(figures['ratio'], '.2f')}.",
    ]
    for name, title in CALIBRATION.items():
        head = [f"stated identity_p {title}", "n", "mean stated", "was right"]
        rows = [
            [
                f"{row['low']:g} to {row['high']:g}",
                f"{row['n']:,}",
                f"{row['stated']:.4f}",
                _cell(row["right"], ".4f"),
            ]
            for row in figures["calibration"][name]
        ]
        parts.append(markdown_table(head, rows))
    suspected = figures["suspected"]
    parts.append(
        f"Of {suspected['n']:,} animals that rt-pose gave another number in a crossing, "
        f"{suspected['below_0_9']:,} had a stated identity_p below 0.9 after it, "
        f"{suspected['below_0_99']:,} one below 0.99."
    )
    return "\n\n".join(parts)


def _choice_text(figures: dict[str, Any]) -> str:
    """By what the rates of exchanges were chosen."""
    choice, (seen_hz, hidden_hz) = figures["choice"], figures["exchanges_hz"]
    rates = f"{seen_hz:g} a second where both are seen, {hidden_hz:g} where one is not"
    if choice is None:
        return f"Animals that overlap are exchanged unnoticed, as the program has it, {rates}."
    rows = [[*(f"{hz:g} /s" for hz in one["rates"]), f"{one['log_score']:.4f}"] for one in choice["tried"]]
    last = choice["first_seed"] + choice["seeds"] - 1
    return (
        f"The rates at which animals that overlap are exchanged unnoticed were chosen on seeds "
        f"{choice['first_seed']} to {last}, of which none is scored below: {rates}.\n\n"
        + markdown_table(["both seen", "one hidden", "mean log probability of what came true"], rows)
    )


def _run_one(tracker: Assigns, recording: Recording) -> tuple[Score, list[float]]:
    assigned = run_tracker(tracker, recording)
    return score(recording, assigned), assigned.taken_ms[1:]  # the first may compile


def _figures(
    options: Options,
    spec: TrackingSpec,
    own: IndividualOptions,
    choice: dict[str, Any] | None,
    scores: dict[str, list[Score]],
    taken: dict[str, list[float]],
) -> dict[str, Any]:
    drawn = draws(options.seeds)
    suspected = [p for one in scores[OURS] for p in one.suspected]
    return {
        "bench": "identity",
        **conditions(),
        "animals": options.animals,
        "seeds": options.seeds,
        "minutes": options.minutes,
        "rate_hz": options.rate,
        "filter": {name: getattr(spec, name) for name in ("q_px2_s3", "tau_s", "gain", "floor_px2")},
        "exchanges_hz": [own.confusion_hz, own.hidden_confusion_hz],
        "choice": choice,
        "trackers": {
            name: {**summarise(found, drawn), "frame_ms": summary(taken[name])}
            for name, found in scores.items()
        },
        "ratio": interval(_ratio(scores, drawn)),
        "calibration": {name: calibration(scores[OURS], name, drawn) for name in CALIBRATION},
        "suspected": {
            "n": len(suspected),
            "below_0_9": sum(p < 0.9 for p in suspected),
            "below_0_99": sum(p < 0.99 for p in suspected),
        },
    }


def _ratio(scores: dict[str, list[Score]], drawn: Counts) -> FloatArray:
    """Switches of rt-pose over those of the better tracker by centroids, in each draw of the recordings."""
    switches = {name: np.array([s.switches for s in found]) for name, found in scores.items()}
    better = min((HUNGARIAN, GREEDY), key=lambda name: int(switches[name].sum()))
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio: FloatArray = (drawn @ switches[OURS]) / (drawn @ switches[better])
    return ratio


def _trackers_table(figures: dict[str, Any]) -> str:
    head = ["tracker", "crossings", "switches", "switches a crossing", "crossings that exchanged", "IDF1"]
    head += ["ms a frame, P50", "P99"]
    rows = []
    for name, found in figures["trackers"].items():
        exchanged = {end: found[f"exchanged_{end}"] for end in ("value", "low", "high")}
        times = found["frame_ms"]
        rows.append(
            [
                name,
                f"{found['crossings']:,}",
                f"{found['switches']:,}",
                _cell(found["switches_per_crossing"], ".4f"),
                _cell(exchanged, ".4f"),
                _cell(found["idf1"], ".3f"),
                f"{times['p50']:.3f}",
                f"{times['p99']:.3f}",
            ]
        )
    return markdown_table(head, rows)


def _cell(found: dict[str, Any], form: str) -> str:
    if found["value"] is None:
        return number(None)
    ends = f"{number(found['low'], form)} to {number(found['high'], form)}"
    return f"{number(found['value'], form)} ({ends})"
