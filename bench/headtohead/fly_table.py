"""The flies in one table: poses, identities and times of both programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench.accuracy.statistics import Interval
from bench.headtohead.flies import METHODS, send_frames, their_program, tracks_file
from bench.headtohead.fly_data import CLIP, SPLIT, read_truth
from bench.headtohead.fly_scores import (
    TITLES,
    compare_poses,
    crossings,
    identity_figures,
    pose_figures,
)
from bench.headtohead.our_chain import our_chain, time_ours
from bench.headtohead.steps import once, result_of
from bench.headtohead.tracks import read_tracks
from bench.peers.alternate import TimeFrames, alternate
from bench.tables import Table
from rt_pose.clock import NS_PER_MS, HostClock
from rt_pose.errors import UserError

THEIRS, OURS = "sleap", "rt-pose"
MS_PER_S = 1000.0
IDENTITY_TITLES = {
    "num_switches": "identity switches",
    "idf1": "IDF1",
    "mota": "MOTA",
    "num_misses": "animals missed",
    "num_false_positives": "false animals",
    "num_fragmentations": "fragmentations",
}
WHOLE = ("num_switches", "num_misses", "num_false_positives", "num_fragmentations")


def time_both(
    shared: Path, work: Path, python: Path, threads: int, rounds: int, block: int, precision: str
) -> dict[str, Any]:
    """Time both programs on the frames that are measured, in alternating blocks; done once a precision.

    Parameters
    ----------
    shared
        Folder of the data sets.
    work
        Folder of this comparison.
    python
        Python of sleap-nn's environment.
    threads
        Of each program.
    rounds, block
        How many rounds, and frames a block.
    precision
        Of our engine.

    Returns
    -------
    dict[str, Any]
        Times by program.

    Raises
    ------
    UserError
        Where one of them is not trained.
    """
    place = work / "flies"
    trained = [name for name in (OURS, f"{OURS}-own") if result_of(place / name)]
    if not trained or not result_of(place / THEIRS):
        raise UserError(f"{place}: train both first, with `--part sleap-train` and `--part sleap-ours`")
    truth = read_truth(shared, SPLIT)
    settings = {"threads": threads, "rounds": rounds, "block": block, "ours": trained, "precision": precision}

    def do() -> dict[str, Any]:
        clock = HostClock()
        height, width = truth.images[0].shape[:2]
        programs: dict[str, TimeFrames] = {}
        engines: dict[str, str] = {}
        with their_program(place / THEIRS, python, threads) as peer:
            engines[THEIRS] = send_frames(peer, truth)

            def time_theirs(places: range) -> list[float]:
                peer.order({"do": "time", "n": len(places)})
                return [ns / NS_PER_MS for ns in peer.answer()["ns"]]

            programs[THEIRS] = time_theirs
            for name in trained:
                chain = our_chain(place / name / "fit" / "package", truth.rate_hz, threads, precision)
                engines[name] = str(chain.choice)
                programs[name] = partial(time_ours, chain, chain.tracker((width, height)), truth, clock)
            times, left_out = alternate(programs, rounds, block, [peer.pid], clock)
        return {
            "left_out": left_out,
            "engines": engines,
            "times": {name: own.figures() for name, own in times.items()},
        }

    return once(place / f"time-{precision}", settings, do)


def gather(shared: Path, work: Path, motmetrics: Path) -> dict[str, Any] | None:
    """Compare what is done.

    Parameters
    ----------
    shared
        Folder of the data sets.
    work
        Folder of this comparison.
    motmetrics
        Python of py-motmetrics' environment.

    Returns
    -------
    dict[str, Any] or None
        The figures, for JSON; None where nothing is done.
    """
    place = work / "flies"
    files = {f"{THEIRS}, {method}": tracks_file(place / THEIRS, method) for method in METHODS}
    files |= {name: tracks_file(place / name) for name in (OURS, f"{OURS}-own")}
    files = {name: file for name, file in files.items() if file.is_file()}
    if not files:
        return None
    truth = read_truth(shared, SPLIT)
    tracks = {name: read_tracks(file) for name, file in files.items()}
    poses = {
        name: pose_figures(own, truth) for name, own in tracks.items() if name != f"{THEIRS}, {METHODS[0]}"
    }
    base = f"{THEIRS}, {METHODS[-1]}"
    return {
        "clip": Path(CLIP).name,
        "split": asdict(SPLIT),
        "learned": (result_of(place / "data") or {}).get("train"),
        "frames": len(truth.images),
        "crossings": crossings(truth),
        "training": {
            name: {k: v for k, v in (result_of(place / name) or {}).items() if k != "settings"}
            for name in (THEIRS, OURS, f"{OURS}-own")
        },
        "poses": {
            name: {key: asdict(Interval.of(drawn)) for key, drawn in own.items()}
            for name, own in poses.items()
        },
        "differences": {
            name: compare_poses(own, poses[base])
            for name, own in poses.items()
            if base in poses and name != base
        },
        "identities": {
            name: identity_figures(own, truth, files[name].parent, motmetrics) for name, own in tracks.items()
        },
        "times": [found for found in map(result_of, sorted(place.glob("time-*"))) if found],
    }


def tables(found: dict[str, Any]) -> list[Table]:
    """Format the figures for people.

    Parameters
    ----------
    found
        What `gather` returned.

    Returns
    -------
    list[Table]
        Poses, differences, identities, times.
    """
    poses, split = found["poses"], found["split"]
    trained = "; ".join(
        f"{name}: {own['wall_s'] / 60:.1f} minutes, {own['steps']} steps"
        for name, own in found["training"].items()
        if own
    )
    note = (
        f"Measured on {_frames(split['test'])} of {found['clip']}; learned from {found['learned']} that "
        f"differ, of {' and '.join(map(_frames, split['train']))} ({trained}). "
        "95 % intervals over blocks of frames."
    )
    made = [
        Table(
            "Two flies: poses",
            ["", *poses],
            [[title, *(_interval(own[key]) for own in poses.values())] for key, title in TITLES.items()],
            note,
        ),
        *(
            Table(
                f"{name} minus {THEIRS}",
                ["", "difference", "shown to be better"],
                [
                    [title, _interval(own[key]), "yes" if own[key]["better"] else "no"]
                    for key, title in TITLES.items()
                ],
                "Paired, on the same draws of blocks.",
            )
            for name, own in found["differences"].items()
        ),
        _identities(found),
    ]
    return [*made, *map(_times, found["times"])]


def _frames(part: Sequence[int]) -> str:
    return f"frames {part[0]} to {part[1] - 1}"


def _identities(found: dict[str, Any]) -> Table:
    names = found["identities"]
    lines = [
        [title, *(_identity(own[key], key) for own in names.values())]
        for key, title in IDENTITY_TITLES.items()
    ]
    note = (
        f"By py-motmetrics; {found['frames']} frames, in which the boxes overlap {found['crossings']} times."
    )
    return Table("Two flies: identities", ["", *names], lines, note)


def _identity(value: float, key: str) -> str:
    return f"{value:.0f}" if key in WHOLE else f"{value:.3f}"


def _times(found: dict[str, Any]) -> Table:
    base = found["times"][THEIRS]["ms"]
    lines = []
    for name, own in found["times"].items():
        ms, rate = own["ms"], MS_PER_S / float(np.mean(own["all_ms"]))
        ratios = [f"{base[key] / ms[key]:.2f}" for key in ("p50", "p99")]
        lines.append(
            [
                f"{name}: {found['engines'][name]}",
                str(ms["n"]),
                f"{ms['p50']:.2f}",
                f"{ms['p99']:.2f}",
                f"{rate:.1f}",
                *ratios,
            ]
        )
    settings = found["settings"]
    return Table(
        f"Two flies: network and tracker, ours in {settings['precision']}",
        ["program", "n", "P50, ms", "P99, ms", "frames a second", "P50 ratio", "P99 ratio"],
        lines,
        f"{settings['threads']} threads each; blocks of {settings['block']} in turn, {settings['rounds']} "
        f"rounds, {found['left_out']} left out; a ratio is sleap-nn's time over ours.",
    )


def _interval(found: dict[str, Any]) -> str:
    return f"{found['value']:.3f} ({found['low']:.3f} to {found['high']:.3f})"
