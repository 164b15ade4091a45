"""What animals and cameras cost, and whether replay finds all decisions again where there are several.

    python -m bench.scale --model PACKAGE [--several PACKAGE] [--out STEM]

Latency against animals (1, 2, 4) and cameras (1, 2, 4) at 640x480, each at the highest rate that holds: no
frame dropped, and P99 of exposure to decision within the budget. Cameras play recordings of the simulated rig
from memory; with one animal two and four cameras also place it in space. Then random sessions of several
animals, and of several cameras in space, are run on the simulated rig and replayed.

`rt-pose demo --views 4` trains the package, `rt-pose demo --animals 4` that of several animals; any others
with the same keypoints do. Nothing else may run on the machine.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

from bench.output import conditions, machine_line, precision_words
from bench.program import Out, run
from bench.scale.latency import ScalePlan, measure_latency
from bench.scale.replays import measure_replays
from bench.tables import Table, tables_text
from rt_pose.config.schema import EngineConfig, Precision
from rt_pose.errors import UserError
from rt_pose.package import read_package

COUNTS = (1, 2, 4)


@dataclass(kw_only=True)
class Options:
    """Options of the command line."""

    model: Annotated[str, "package of one animal, trained on frames of all views"]
    several: Annotated[str, "package of several animals; without it there is one"] = ""
    animals: Annotated[list[int], "numbers of animals", COUNTS] = field(default_factory=list)
    cameras: Annotated[list[int], "numbers of cameras", COUNTS] = field(default_factory=list)
    budget: Annotated[float, "longest P99 of exposure to decision at a rate that holds, ms"] = 50.0
    seconds: Annotated[float, "of the run at the rate that holds; 0: no latencies"] = 20.0
    trial: Annotated[float, "of a trial of a rate, s"] = 5.0
    rates: Annotated[int, "rates that are tried at most"] = 7
    precision: Precision = "auto"
    sessions: Annotated[int, "random sessions that are replayed; 0: none"] = 20
    session_seconds: Annotated[float, "of each"] = 5.0
    seed: Annotated[int, "of the random sessions"] = 0
    out: Out = None


def measure(options: Options) -> dict[str, Any]:
    """Measure latencies, and replay random sessions.

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
        Where an option is out of range, or a package is of another number of animals.
    """
    limits = (("budget", 1.0, 1e4), ("trial", 2.0, 60.0), ("rates", 1, 20), ("session_seconds", 2.0, 600.0))
    for name, low, high in limits:
        if not low <= getattr(options, name) <= high:
            option = name.replace("_", "-")
            raise UserError(f"--{option}: expected {low:g} to {high:g}, got {getattr(options, name):g}")
    _check_packages(options)
    latency, replays = [], []
    if options.seconds > 0:
        with tempfile.TemporaryDirectory(prefix="rt-pose-scale-") as folder:
            plan = ScalePlan(
                model=options.model,
                several=options.several,
                folder=Path(folder),
                animals=options.animals or list(COUNTS),
                cameras=options.cameras or list(COUNTS),
                budget_ms=options.budget,
                seconds=options.seconds,
                trial_s=options.trial,
                rates=options.rates,
                engine=EngineConfig(precision=options.precision),
            )
            latency = measure_latency(plan)
    if options.sessions:
        wanted = options.model, options.several, options.sessions, options.session_seconds, options.seed
        replays = measure_replays(*wanted)
    settings = {
        key: value for key, value in asdict(options).items() if key not in ("out", "model", "several")
    }
    return {"bench": "scale", **conditions(), "settings": settings, "latency": latency, "replays": replays}


def _check_packages(options: Options) -> None:
    if read_package(options.model).manifest.individuals != 1:
        raise UserError(f"--model {options.model}: finds several animals; expected a package of one")
    if options.several and read_package(options.several).manifest.individuals == 1:
        raise UserError(f"--several {options.several}: finds one animal; expected a package of several")


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
    settings = figures["settings"]
    facts = [
        f"{machine_line(figures)}; {_precision(figures)}. A rate holds where no frame is dropped and P99 "
        f"of exposure to decision is at most {settings['budget']:g} ms in two of three trials of "
        f"{settings['trial']:g} s.",
    ]
    tables = [_latency_table(figures["latency"])] if figures["latency"] else []
    if figures["replays"]:
        tables.append(_replay_table(figures["replays"]))
    return tables_text("Several animals, several cameras", facts, tables)


def _precision(figures: dict[str, Any]) -> str:
    """The precision that the networks had; where no run says it, the one asked for."""
    asked = figures["settings"]["precision"]
    return precision_words([*figures["latency"], *([] if asked == "auto" else [{"precision": asked}])])


def _latency_table(rows: list[dict[str, Any]]) -> Table:
    cells = []
    for row in rows:
        times = [_ms(row.get(name)) for name in ("exposure_to_decision_ms", "in_space_ms")]
        rate = "-" if row["rate_hz"] is None else f"{row['rate_hz']:.1f}"
        place = "in space" if row["in_space"] else "in the plane"
        cells.append(
            [
                *(str(row["animals"]), str(row["cameras"]), place, rate, f"{row['throughput_hz']:.1f}"),
                *(*times[0], str(row.get("dropped", "-")), *times[1]),
            ]
        )
    return Table(
        "Latency at the rate that holds, 640x480",
        [
            *("animals", "cameras", "decisions", "frames/s a camera", "back to back"),
            *("n", "P50 ms", "P99 ms", "dropped", "in space: n", "P50 ms", "P99 ms"),
        ],
        cells,
        "Exposure to decision of every frame of all cameras; in space: from the newest exposure used to the "
        "decision of the group. Back to back: frames/s a camera where none is left out, each waits.",
    )


def _ms(found: dict[str, Any] | None) -> list[str]:
    if found is None:
        return ["-"] * 3
    return [f"{found['n']:,}", f"{found['p50']:.2f}", f"{found['p99']:.2f}"]


def _replay_table(rows: list[dict[str, Any]]) -> Table:
    kinds = sorted({(row["in_space"], row["animals"], row["cameras"]) for row in rows})
    cells = []
    for kind in [*kinds, None]:
        of = [row for row in rows if kind in (None, (row["in_space"], row["animals"], row["cameras"]))]
        place, animals, cameras = (
            ("all", "", "") if kind is None else ("in space" if kind[0] else "plane", *kind[1:])
        )
        sums = [
            f"{sum(row[key] for row in of):,}"
            for key in ("observations", "tracks", "tracks_in_space", "events", "commands")
        ]
        same = sum(row["conclusion"] == "identical" for row in of)
        exact = sum(row["bit_for_bit"] for row in of)
        cells.append([place, str(animals), str(cameras), str(len(of)), str(same), str(exact), *sums])
    return Table(
        "Random sessions, replayed",
        [
            *("decisions", "animals", "cameras", "sessions", "identical", "bit for bit"),
            *("observations", "tracks", "tracks in space", "events", "commands"),
        ],
        cells,
    )


def main() -> int:
    """Run the command line.

    Returns
    -------
    int
        Exit status.
    """
    return run(Options, measure, text)
