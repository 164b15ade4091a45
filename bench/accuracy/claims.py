"""What the accuracy grid should show, and whether it does."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bench.accuracy.cells import ENSEMBLE, LEARNERS
from bench.accuracy.compare import HEADLINES, PIXEL, SUPERVISED, TITLES, figures, steps_shortfall
from bench.accuracy.reference_set import Network, ReferenceSet

KEPT = 0.5
"""Share of the ensemble's gain that the distilled network should keep."""
INWARD = 0.03
"""By how much a slope on labels may be less than that of supervised networks."""


@dataclass
class Claim:
    """Something that the grid should show."""

    text: str
    holds: bool
    why: str


def gain_kept(networks: Sequence[Network], references: ReferenceSet) -> list[dict[str, Any]]:
    """Compute what learners keep of an ensemble's gain, by number of labels and row of learners.

    Parameters
    ----------
    networks
        All that were measured.
    references
        What they are measured with.

    Returns
    -------
    list[dict[str, Any]]
        By figure, what the ensemble gains on the supervised networks of its folds, what the learner gains,
        and the share; None where the ensemble gains nothing.
    """
    found = []
    for labels in sorted({n.cell.labels for n in networks}):
        by_row = {
            row: [n for n in networks if n.cell.row == row and n.cell.labels == labels]
            for row in (SUPERVISED, ENSEMBLE, *LEARNERS)
        }
        for learner in LEARNERS:
            own = {row: by_row[row] for row in (SUPERVISED, ENSEMBLE, learner)}
            folds = set.intersection(*({n.cell.fold for n in of} for of in own.values()))
            if folds:
                values = [figures([n for n in of if n.cell.fold in folds], references) for of in own.values()]
                about = {"row": learner, "labels": labels, "folds": sorted(folds)}
                found.append(about | {"metrics": _kept(*values)})
    return found


def _kept(
    supervised: dict[str, dict[str, Any]],
    ensemble: dict[str, dict[str, Any]],
    learner: dict[str, dict[str, Any]],
) -> dict[str, dict[str, float | None]]:
    found: dict[str, dict[str, float | None]] = {}
    for key, own in supervised.items():
        if key in ensemble and key in learner:
            whole, part = (own["value"] - other[key]["value"] for other in (ensemble, learner))
            share = part / whole if whole > 0 else None
            found[key] = {"ensemble": whole, "learner": part, "kept": share}
    return found


def claims(rows: Sequence[dict[str, Any]], kept: Sequence[dict[str, Any]]) -> list[Claim]:
    """Judge each claim that the measured rows speak to.

    Parameters
    ----------
    rows
        What `table_rows` returned.
    kept
        What `gain_kept` returned.

    Returns
    -------
    list[Claim]
        The claims.
    """
    by_key = {(row["row"], row["labels"]): row for row in rows}
    numbers = sorted({row["labels"] for row in rows})
    found: list[Claim] = []
    for labels in numbers:
        if (row := by_key.get(("all", labels))) and row["against_supervised"]:
            found += _beats(row)
    found += _most_with_few(by_key, numbers)
    for row in rows:
        found += _moves(row)
        found += _reaches(row, by_key.get((SUPERVISED, row["labels"])))
    for own in kept:
        found += _keeps(own)
    return found


def _beats(row: dict[str, Any]) -> Iterable[Claim]:
    against, labels = row["against_supervised"], row["labels"]
    there = [key for key in HEADLINES if key in against]
    worse = [f"{TITLES[key]} {against[key]['value']:+.2f} px" for key in there if against[key]["value"] >= 0]
    still = steps_shortfall(row["steps"])
    why = f"{len(there) - len(worse)} of {len(there)} better"
    why += f"; not {', '.join(worse)}" if worse else ""
    why += (
        f"; but its steps are {', '.join(still)}: what does not move is smooth for nothing" if still else ""
    )
    yield Claim(
        f"{labels} labels: all losses beat supervised on every video figure, and the paws step as far",
        not worse and not still,
        why,
    )
    error = against["error_mean"]
    yield Claim(
        f"{labels} labels: with no worse pixel error",
        error["low"] <= 0,
        f"mean {error['value']:+.2f} px ({error['low']:+.2f} to {error['high']:+.2f}); worse only where the "
        "interval lies above nought",
    )


def _most_with_few(by_key: dict[tuple[str, int], dict[str, Any]], numbers: list[int]) -> Iterable[Claim]:
    few, many = (by_key.get(("all", n)) for n in (numbers[:1] + numbers[-1:] or (0, 0)))
    if len(numbers) < 2 or not few or not many:
        return
    one, other = few["against_supervised"], many["against_supervised"]
    if one and other:
        keys = [key for key in ("error_mean", *HEADLINES) if key in one and key in other]
        more = [key for key in keys if one[key]["relative"] < other[key]["relative"]]
        yield Claim(
            f"most with {numbers[0]} labels",
            len(more) > len(keys) / 2,
            f"the relative gain is greater with {numbers[0]} than with {numbers[-1]} labels in "
            f"{len(more)} of {len(keys)} figures: {', '.join(TITLES[key] for key in more) or 'none'}",
        )


def _moves(row: dict[str, Any]) -> Iterable[Claim]:
    for name, own in row["steps"].items():
        if row["row"] in ("all", ENSEMBLE, *LEARNERS):
            yield Claim(
                f"{row['labels']} labels, {row['row']}: step amplitude within 10 % of that of the {name}",
                own["within"],
                f"{own['amplitude']:.2f}; keypoints {own['least']:.2f} to {own['most']:.2f}",
            )


def _reaches(row: dict[str, Any], base: dict[str, Any] | None) -> Iterable[Claim]:
    own, right = row["reach"], base and base["reach"]
    if own and right and row["row"] in ("all", ENSEMBLE, *LEARNERS):
        yield Claim(
            f"{row['labels']} labels, {row['row']}: reach within {INWARD:g} of that of supervised networks",
            own["value"] >= right["value"] - INWARD,
            f"slope on labels {own['value']:.3f} ({own['low']:.3f} to {own['high']:.3f}), supervised "
            f"{right['value']:.3f}",
        )


def _keeps(own: dict[str, Any]) -> Iterable[Claim]:
    keys = [key for key in (*list(PIXEL)[:2], *HEADLINES) if key in own["metrics"]]
    gained = [key for key in keys if own["metrics"][key]["kept"] is not None]
    less = [key for key in gained if own["metrics"][key]["kept"] < KEPT]
    yield Claim(
        f"{own['labels']} labels, {own['row']}: the network keeps at least half of the ensemble's gain",
        bool(gained) and not less,
        f"in {len(gained) - len(less)} of the {len(gained)} figures in which the ensemble gains"
        + (f"; not {', '.join(TITLES[key] for key in less)}" if less else ""),
    )
