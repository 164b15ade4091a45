"""`python -m bench.views`: what the filter in space is worth.

Recorded poses (`--poses CAMERA=FILE ... --calibration FILE --fps RATE`) with views taken away, against
triangulation frame by frame; made-up movements before made-up cameras, whose truth is known; whole runs on
the simulated rig in space (`--model PACKAGE`), whose truth is known too; and its time. `--train-steps STEPS`
trains networks for that rig with and without the reprojection loss.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from bench.output import conditions, machine_line
from bench.program import Out, run
from bench.tables import Table, tables_text
from bench.views.live import measure_live
from bench.views.loss import ANIMALS, CLIP_FRAMES, TEST_ANIMALS, TEST_TIMES, TIMES, measure_loss
from bench.views.recorded import METHODS, measure_recorded
from bench.views.simulated import LEVELS, measure_simulated, measure_time
from rt_pose.errors import UserError

REGIONS = ("filtered", "smoothed", "50 ms ahead")
ESTIMATES = ("triangulated", "filtered", "smoothed")
PREDICTIONS = ("ours", "constant velocity, filtered", "constant velocity, two places", "the newest place")


@dataclass(kw_only=True)
class Options:
    """Options of the command line."""

    poses: Annotated[list[str], "recorded poses, CAMERA=FILE"] = field(default_factory=list)
    calibration: Annotated[Path | None, "the right calibration of the recorded poses' cameras"] = None
    fps: Annotated[float, "frames a second of the recorded poses"] = 30.0
    seeds: Annotated[int, "made-up recordings of each kind"] = 5
    seconds: Annotated[float, "of each made-up recording"] = 20.0
    model: Annotated[str, "package of `rt-pose demo --views 4`: live figures on the simulated rig"] = ""
    sessions: Annotated[int, "live sessions of each case"] = 3
    live_seconds: Annotated[float, "of each live session"] = 20.0
    train_steps: Annotated[int, "of each training with and without the reprojection loss; 0: none"] = 0
    rounds: Annotated[int, "of such trainings, three each"] = 3
    out: Out = None


def measure(options: Options) -> dict[str, Any]:
    """Measure everything that was asked for.

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
        Where poses are given without a calibration, or the other way round.
    """
    if bool(options.poses) != (options.calibration is not None):
        raise UserError("give both --poses and --calibration, or neither")
    recorded = []
    if options.calibration is not None:
        recorded = measure_recorded(options.poses, options.calibration, options.fps)
    return {
        "bench": "views",
        **conditions(),
        "time": measure_time(),
        "simulated": measure_simulated(options.seeds, options.seconds) if options.seeds else [],
        "recorded": recorded,
        "live": measure_live(options.model, options.sessions, options.live_seconds) if options.model else [],
        "loss": measure_loss(options.train_steps, options.rounds) if options.train_steps else [],
    }


def text(figures: dict[str, Any]) -> str:
    """Format the tables for people.

    Parameters
    ----------
    figures
        What `measure` returned.

    Returns
    -------
    str
        Markdown.
    """
    time = figures["time"]
    facts = [
        machine_line(figures) + ".",
        f"{time['keypoints']} keypoints, {time['views']} views, one prediction: {time['p50_us']:.0f} us a "
        f"frame (P50), {time['p99_us']:.0f} us (P99), n = {time['n']}.",
    ]
    tables = [
        *([_recorded(figures["recorded"])] if figures["recorded"] else []),
        *([_coverage(figures["simulated"]), _errors(figures["simulated"])] if figures["simulated"] else []),
        *([_live(figures["live"]), _live_errors(figures["live"])] if figures["live"] else []),
        *([_loss(figures["loss"])] if figures["loss"] else []),
    ]
    return tables_text("Several views in space", facts, tables)


def _recorded(rows: list[dict[str, Any]]) -> Table:
    cells = [
        [
            *(row["input"], str(row["views"]), method, str(row["n"])),
            *(_interval(row[method][key], 1, ".2f") for key in ("median", "p90", "of_linear")),
            _interval(row[method]["placed"], 100, ".1f"),
        ]
        for row in rows
        for method in METHODS
    ]
    frames = rows[0]["frames"]
    return Table(
        "Recorded poses, distance from the places that all views as proofread give",
        ["input", "views", "method", "n", "median, mm", "P90, mm", "median, of linear", "placed, %"],
        cells,
        f"{frames} frames, every choice of so many views; n keypoints that all methods place; 95 % intervals "
        "by bootstrap of blocks of 10 frames. The reference holds the views that are left, so that this "
        "compares methods; of all views as proofread it is the row `weighted` itself. linear: OpenCV's and "
        "aniposelib's; weighted: `rt-pose triangulate`; causal and smooth: its filters, parameters fitted to "
        "the same poses.",
    )


def _interval(figure: dict[str, float], scale: float, form: str) -> str:
    value, low, high = (f"{scale * figure[key]:{form}}" for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def _cell(value: dict[str, float], scale: float, form: str) -> str:
    return f"{scale * value['mean']:{form}} +- {scale * value['half']:{form}}"


def _coverage(rows: list[dict[str, Any]]) -> Table:
    return Table(
        "Truth within the regions, %",
        ["movement", "views", "region", *LEVELS],
        [
            [
                row["motion"],
                str(row["views"]),
                name,
                *(_cell(row[f"{name}, {level}"], 100, ".1f") for level in LEVELS),
            ]
            for row in rows
            for name in REGIONS
        ],
        f"{rows[0]['recordings']} recordings with a rig each; mean and half of its 95 % interval over these. "
        "100 frames/s, 2 px of noise, 3 % of keypoints anywhere on the image, 15 % missing; parameters of "
        "another recording.",
    )


def _errors(rows: list[dict[str, Any]]) -> Table:
    names = [*ESTIMATES, *PREDICTIONS]
    return Table(
        "Median error, mm: of the present, and of 50 ms later",
        ["movement", "views", *ESTIMATES, *(f"50 ms: {name}" for name in PREDICTIONS)],
        [
            [row["motion"], str(row["views"]), *(_cell(row[f"{name}, mm"], 1, ".2f") for name in names)]
            for row in rows
        ],
        "constant velocity, filtered: our filter with a velocity that does not decay, its other parameters "
        "fitted as ours; two places: the line through the last two that were triangulated.",
    )


def _live(rows: list[dict[str, Any]]) -> Table:
    regions = ("filtered", "50 ms ahead")
    return Table(
        "Live on the simulated rig: truth within the regions, %",
        ["cameras", "frames", "used", "late", "tracked", "n", "region", *LEVELS],
        [
            [
                *(row["case"], *(f"{row['counts'][key]:,}" for key in ("frames", "used", "late"))),
                *(_cell(row["tracked"], 100, ".1f"), f"{row['n']['mean'] * row['sessions']:,.0f}", name),
                *(_cell(row[f"{name}, {level}"], 100, ".1f") for level in LEVELS),
            ]
            for row in rows
            for name in regions
        ],
        f"{rows[0]['sessions']} sessions a case, 40 frames/s a camera, the loop and its network at real-time "
        "pace; mean and half of its 95 % interval over sessions. n: keypoints of all states that had a "
        "track; a state an exposure, the last one. late: observations that were too old and were not used.",
    )


def _live_errors(rows: list[dict[str, Any]]) -> Table:
    return Table(
        "Live on the simulated rig: median error, mm, of the present and of 50 ms later",
        ["cameras", *ESTIMATES[:2], *(f"50 ms: {name}" for name in PREDICTIONS)],
        [
            [row["case"], *(_cell(row[f"{name}, mm"], 1, ".2f") for name in (*ESTIMATES[:2], *PREDICTIONS))]
            for row in rows
        ],
        "triangulated: frame by frame, from all that came of an exposure, however late; constant velocity, "
        "filtered: place and velocity of our filter, which does not decay; two places: the line through the "
        "last two that were triangulated; the newest place: of our filter. Where all of them have one.",
    )


def _loss(rows: list[dict[str, Any]]) -> Table:
    errors = ("median, px", "mean, px", "median, mm", "P90, mm")
    return Table(
        "Trainings with and without the reprojection loss, on the simulated rig",
        ["training", *errors, "placed, %"],
        [
            [
                row["training"],
                *(_cell(row[key], 1, ".2f") for key in errors),
                _cell(row["placed"], 100, ".1f"),
            ]
            for row in rows
        ],
        f"{rows[0]['rounds']} rounds of {rows[0]['steps']} steps, each with its own animals and seed; mean "
        f"and half of its 95 % interval over rounds. {TIMES} labeled moments of {ANIMALS} animals and "
        f"{CLIP_FRAMES} unlabeled frames of each, by four cameras; judged on {TEST_ANIMALS} other animals, "
        f"{TEST_TIMES} moments of each. In space: triangulated frame by frame; placed: of the keypoints that "
        "two cameras can see.",
    )


def main() -> int:
    """Run the program.

    Returns
    -------
    int
        Exit status.
    """
    return run(Options, measure, text)
