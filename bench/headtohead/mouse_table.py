"""Everything that was measured of the mouse in one table: both programs on the same frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.accuracy.amplitude_slope import amplitude_slope
from bench.accuracy.cells import RESULT, halves
from bench.accuracy.compare import PIXEL, TITLES, VIDEO, figures, paired_differences, steps
from bench.accuracy.grid import MEASURED
from bench.accuracy.measure import Measured, read_measured
from bench.accuracy.reference_set import (
    Network,
    ReferenceSet,
    measure_network,
    smooth_members,
    visible_mask,
)
from bench.headtohead.answers import read_other_day
from bench.headtohead.litpose_settings import LABELS, TRAINING_FRAMES
from bench.headtohead.mouse import DATA, OTHER_DAY, OTHER_DAY_FILE, RECORDING, MouseNetwork
from bench.headtohead.other_day import (
    DAY_METRICS,
    OTHER_PAW,
    OTHER_PAW_TITLE,
    REFERENCE,
    DayNetwork,
    DayReference,
    day_differences,
    day_figures,
    on_paws,
    read_reference,
)
from bench.headtohead.steps import result_of
from bench.tables import Table
from rt_pose.errors import UserError
from rt_pose.video import probe
from train.data.labels import LabeledFrames, read_labels
from train.evaluation.spaces import fit_pose, fit_views

NO_WORSE, NO_WORSE_SHARE = 0.05, 0.005
"""A difference is none where the upper end of its interval is at most this part of the other's figure, or, of
a share, this."""
STEPPERS = "paw"
LITPOSE = "litpose"
KEYS = (*PIXEL, *(metric.key for metric in VIDEO))
DAY_TITLES = {metric.key: metric.title for metric in DAY_METRICS} | {OTHER_PAW: OTHER_PAW_TITLE}
SHARES = {metric.key for metric in DAY_METRICS if metric.share} | {OTHER_PAW}


@dataclass
class Entry:
    """A network that was trained and shown all frames."""

    of: MouseNetwork
    measured: Measured
    day: DayNetwork
    settings: dict[str, Any]
    """Steps, seconds and the like, as its training left them."""


def entries_of(work: Path, keypoints: Sequence[str], reference: DayReference) -> list[Entry]:
    """Read all networks that are done.

    Parameters
    ----------
    work
        Folder of this comparison.
    keypoints
        Names, in the order of the labels file.
    reference
        Of the other day.

    Returns
    -------
    list[Entry]
        Lightning Pose's first.
    """
    found = []
    for path in sorted(work.glob("litpose/litpose-*-f*")):
        group, fold = path.name.rsplit("-f", 1)
        found.append(_entry(path, MouseNetwork(LITPOSE, *_parts(group), int(fold)), keypoints, reference))
    for path in sorted(work.glob(f"rt-pose-*/cells/*-{TRAINING_FRAMES}-f*-s*")):
        row, _, fold, _ = path.name.rsplit("-", 3)
        backbone = path.parent.parent.name.removeprefix("rt-pose-")
        network = MouseNetwork("rt-pose", backbone, row == "all", int(fold[1:]))
        found.append(_entry(path, network, keypoints, reference))
    return [entry for entry in found if entry is not None]


def _parts(group: str) -> tuple[str, bool]:
    backbone = group.removeprefix(f"{LITPOSE}-")
    return backbone.removesuffix("-semi"), backbone.endswith("-semi")


def _entry(
    folder: Path, network: MouseNetwork, keypoints: Sequence[str], reference: DayReference
) -> Entry | None:
    files = [folder / name for name in (RESULT, MEASURED, OTHER_DAY_FILE)]
    if not all(file.is_file() for file in files):
        return None
    day = on_paws(read_other_day(files[2]), keypoints, reference)
    return Entry(network, read_measured(files[1]), day, result_of(folder) or {})


def gather(shared: Path, work: Path) -> dict[str, Any] | None:
    """Compare all networks that are done.

    Parameters
    ----------
    shared
        Folder of the data sets.
    work
        Folder of this comparison.

    Returns
    -------
    dict[str, Any] or None
        The figures, for JSON; None where nothing is done.

    Raises
    ------
    UserError
        Where networks saw different frames.
    """
    frames = read_labels(shared / DATA, LABELS, "gray")
    reference = read_reference(shared / REFERENCE, probe(shared / OTHER_DAY).frames)
    entries = entries_of(work, frames.keypoints, reference)
    if not entries:
        return None
    references = _reference_set(entries, frames, halves(shared / DATA / RECORDING, work / LITPOSE)[1])
    groups: dict[str, list[tuple[Entry, Network]]] = {}
    for entry in entries:
        network = measure_network(entry.of.cell, entry.measured, references)
        groups.setdefault(entry.of.group, []).append((entry, network))
    return {
        "keypoints": len(frames.keypoints),
        "left_out_of_other_day": reference.left_out,
        "groups": [_group(name, own, references, reference) for name, own in groups.items()],
        "differences": _differences(groups, references, reference),
    }


def _reference_set(entries: Sequence[Entry], frames: LabeledFrames, video: Path) -> ReferenceSet:
    """What all networks are measured with: no program chooses the frames on which it is."""
    if len({entry.measured.xy.shape for entry in entries}) > 1:
        raise UserError("head to head: networks were shown different recordings")
    views: dict[str, list[int]] = {}
    for k, name in enumerate(frames.keypoints):
        views.setdefault(name.rsplit("_", 1)[0], []).append(k)
    measured = [entry.measured for entry in entries]
    references = ReferenceSet(
        fit_pose(frames.xy),
        fit_views(frames.xy, [places for places in views.values() if len(places) == 2]),
        visible_mask(measured),
        [k for k, name in enumerate(frames.keypoints) if name.startswith(STEPPERS)],
        probe(video).rate_hz,
    )
    references.steppers = [k for k in references.steppers if references.present[k]]
    references.references["all networks, smoothed"] = smooth_members(measured, frames.keypoints)[0]
    return references


def _group(
    name: str, own: Sequence[tuple[Entry, Network]], references: ReferenceSet, reference: DayReference
) -> dict[str, Any]:
    networks = [network for _, network in own]
    return {
        "group": name,
        "folds": [entry.of.fold for entry, _ in own],
        "held_out_frames": len({held for network in networks for held in network.measured.held_names}),
        "train_s": [entry.settings.get("train_s") for entry, _ in own],
        "figures": figures(networks, references),
        "day": day_figures([entry.day for entry, _ in own], reference),
        "steps": steps(networks),
        "slope": amplitude_slope(networks, references.steppers),
    }


def _differences(
    groups: dict[str, list[tuple[Entry, Network]]], references: ReferenceSet, reference: DayReference
) -> list[dict[str, Any]]:
    """Of each group of ours from each of theirs of the same kind, on the folds that both have."""
    found = []
    for base_name, base in groups.items():
        for name, own in groups.items():
            if own[0][0].of.program == LITPOSE or base[0][0].of.program != LITPOSE:
                continue
            theirs = {entry.of.fold: (entry, network) for entry, network in base}
            pairs = [(one, theirs[one[0].of.fold]) for one in own if one[0].of.fold in theirs]
            if own[0][0].of.semi != base[0][0].of.semi or not pairs:
                continue
            found.append(_difference(name, base_name, pairs, references, reference))
    return found


def _difference(
    name: str,
    base_name: str,
    pairs: Sequence[tuple[tuple[Entry, Network], tuple[Entry, Network]]],
    references: ReferenceSet,
    reference: DayReference,
) -> dict[str, Any]:
    own, base = [network for (_, network), _ in pairs], [network for _, (_, network) in pairs]
    own_day, base_day = [entry.day for (entry, _), _ in pairs], [entry.day for _, (entry, _) in pairs]
    apart = paired_differences(own, base, references)
    day = day_differences(own_day, base_day, reference)
    limits = {key: NO_WORSE * one["value"] for key, one in figures(base, references).items()}
    day_limits = {
        key: NO_WORSE_SHARE if key in SHARES else NO_WORSE * one["value"]
        for key, one in day_figures(base_day, reference).items()
    }
    for found, bounds in ((apart, limits), (day, day_limits)):
        for key, one in found.items():
            one["limit"] = bounds[key]
            one["no_worse"] = bool(one["high"] <= bounds[key])
    return {
        "own": name,
        "base": base_name,
        "folds": sorted(entry.of.fold for (entry, _), _ in pairs),
        "figures": apart,
        "day": day,
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
        Figures by group, then differences.
    """
    groups = found["groups"]
    heads = [f"{group['group']} ({len(group['folds'])} folds)" for group in groups]
    lines = [
        [title, *(_interval(group["figures"].get(key)) for group in groups)]
        for key, title in TITLES.items()
        if any(key in group["figures"] for group in groups)
    ]
    day = [
        [title, *(_interval(group["day"].get(key), key in SHARES) for group in groups)]
        for key, title in DAY_TITLES.items()
    ]
    slope = ["amplitude slope of paws on labels", *(_interval(group["slope"]) for group in groups)]
    made = [
        Table(
            "Held-out labels, and the second half of the recording, px",
            ["", *heads],
            [*lines, slope],
            "95 % intervals over held-out frames; over networks and blocks of frames.",
        ),
        Table(
            "Another day, 500 frames",
            ["", *heads],
            day,
            f"Against the median of five networks; {found['left_out_of_other_day']:.1%} of the points are "
            "left out, as they do not agree.",
        ),
    ]
    return [*made, *(_difference_table(one) for one in found["differences"])]


def _difference_table(one: dict[str, Any]) -> Table:
    lines = []
    for titles, part in ((TITLES, one["figures"]), (DAY_TITLES, one["day"])):
        for key, title in titles.items():
            if key in part:
                own, share = part[key], key in SHARES
                verdict = "yes" if own["no_worse"] else "**no**"
                lines.append([title, _interval(own, share, sign=True), _value(own["limit"], share), verdict])
    folds = ", ".join(map(str, one["folds"]))
    return Table(
        f"{one['own']} minus {one['base']}",
        ["", "difference", "bound", "no worse"],
        lines,
        f"Paired, folds {folds}; negative is better. No worse: the upper end is at most the bound.",
    )


def _interval(found: dict[str, Any] | None, share: bool = False, sign: bool = False) -> str:
    if found is None:
        return "-"
    value, low, high = (_value(found[key], share, sign) for key in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def _value(value: float, share: bool, sign: bool = False) -> str:
    plus = "+" if sign else ""
    return f"{value:{plus}.2%}" if share else f"{value:{plus}.2f}"
