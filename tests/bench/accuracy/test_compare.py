"""The accuracy table's figures: intervals over frames, paired differences, and who may win."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.disc_videos import write_disc_video

from bench.accuracy.amplitude_slope import amplitude_slope
from bench.accuracy.cells import RESULT, Cell
from bench.accuracy.claims import Claim, claims, gain_kept
from bench.accuracy.compare import (
    HEADLINES,
    figures,
    paired_differences,
    pairs_of,
    steps_shortfall,
    table_rows,
)
from bench.accuracy.grid import MEASURED, Grid
from bench.accuracy.measure import Measured, write_measured
from bench.accuracy.page import markdown, page, picture
from bench.accuracy.reference_set import (
    Network,
    ReferenceSet,
    ensemble,
    ensembles,
    measure_network,
    smooth_members,
    visible_mask,
)
from bench.accuracy.result import gather
from bench.accuracy.statistics import Interval, Sample, draws, mean, nested_draws, quantile
from rt_pose.errors import UserError
from rt_pose.types import FloatArray
from train.data.labels import LabeledFrames
from train.evaluation.spaces import fit_pose, fit_views

FRAMES, HELD, RATE_HZ = 250, 12, 250.0
NAMES = ["paw1_top", "paw2_top", "paw1_bot", "paw2_bot"]
VIEWS = [[0, 2], [1, 3]]


def walk(frames: int, phase: float = 0.0) -> FloatArray:
    """(T, 4, 2) px: two paws in two views that step, 9 times a second."""
    turn = 2 * np.pi * 9 * np.arange(frames) / RATE_HZ + phase
    out = np.stack([np.sin(turn), -np.sin(turn)], axis=-1)  # (T, paw)
    top = np.stack([100 + 30 * out, 50 + 2 * out], axis=-1)
    bottom = np.stack([100 + 30 * out, 250 + 8 * out], axis=-1)
    return np.concatenate([top, bottom], axis=1)


TRUTH = walk(FRAMES)
LABELS = walk(72, 0.3) + np.random.default_rng(9).normal(0, 1, (72, 4, 2))


def network(noise: float, seed: int, xy: FloatArray = TRUTH, fold: int = 0, bias: float = 0.0) -> Measured:
    """The truth with noise, more of it in some frames."""
    random = np.random.default_rng([seed, fold])
    held = walk(HELD, 0.7 + fold)
    some = np.arange(0, FRAMES, 25)
    seen = xy + random.normal(0, noise, xy.shape)
    still = seen[some]
    return Measured(
        [f"img{fold:02d}{i:02d}.png" for i in range(HELD)],
        held,
        held + bias + random.normal(0, noise, held.shape),
        seen,
        np.full(xy.shape[:2], 0.9),
        some,
        still,
        still + random.normal(0, noise / 10, still.shape),
        still + random.normal(0, noise / 20, still.shape),
    )


def reference_set(**references: FloatArray) -> ReferenceSet:
    made = {name.replace("_", " "): xy for name, xy in references.items()} or {"truth": TRUTH}
    seen = np.ones((FRAMES, 4), bool)
    return ReferenceSet(fit_pose(LABELS), fit_views(LABELS, VIEWS), seen, [0, 1, 2, 3], RATE_HZ, made)


def grid(references: ReferenceSet, rows: dict[str, Measured], labels: int = 15) -> list[Network]:
    return [measure_network(Cell(row, labels, 0, 0), measured, references) for row, measured in rows.items()]


def claim_with(found: list[Claim], text: str) -> Claim:
    return next(claim for claim in found if text in claim.text)


FROZEN = np.broadcast_to(TRUTH.mean(axis=0), TRUTH.shape)


def test_a_reference_may_come_of_several_folds_and_an_ensemble_may_not() -> None:
    members = [network(1.0, 0, fold=0), network(1.0, 1, fold=1)]
    xy, confidence = smooth_members(members, NAMES)
    assert confidence.shape == TRUTH.shape[:2]
    assert np.linalg.norm(xy - TRUTH, axis=-1).mean() < 1.2
    with pytest.raises(UserError, match="different frames"):
        ensemble(members, NAMES)


def test_who_is_better_and_steps_wins() -> None:
    networks = grid(reference_set(), {"supervised": network(4, 1), "all": network(2, 2)})
    rows = table_rows(networks, reference_set())
    assert all(rows[1]["against_supervised"][key]["value"] < 0 for key in HEADLINES)
    assert claim_with(claims(rows, []), "beat supervised").holds
    assert claim_with(claims(rows, []), "no worse pixel error").holds


def test_a_frozen_pose_is_better_in_every_figure_and_does_not_win() -> None:
    networks = grid(reference_set(), {"supervised": network(4, 1), "all": network(0.1, 2, FROZEN)})
    rows = table_rows(networks, reference_set())
    assert all(rows[1]["against_supervised"][key]["value"] < 0 for key in HEADLINES)
    claim = claim_with(claims(rows, []), "beat supervised")
    assert not claim.holds
    assert "what does not move" in claim.why
    assert rows[1]["steps"]["truth"]["amplitude"] < 0.1


def test_a_frozen_ensemble_is_no_witness_for_its_own_members() -> None:
    references = reference_set(smoothed_ensemble=network(0.1, 5, FROZEN).xy, smoothed_supervised=TRUTH)
    rows = table_rows(
        grid(references, {"supervised": network(4, 1), "all": network(0.1, 2, FROZEN)}), references
    )
    assert rows[1]["steps"]["smoothed ensemble"]["within"]
    assert not claim_with(claims(rows, []), "beat supervised").holds


@pytest.mark.parametrize(("share", "short"), [(1.0, False), (0.85, False), (0.5, True)])
def test_legs_that_others_swap_are_no_measure_and_a_pose_at_rest_is_short(share: float, short: bool) -> None:
    middle = TRUTH.mean(axis=0)
    less = middle + share * (TRUTH - middle)
    references = reference_set(smoothed_ensemble=less, smoothed_supervised=TRUTH)
    (row,) = table_rows(grid(references, {"all": network(0, 1, less)}), references)
    assert bool(steps_shortfall(row["steps"])) is short


@pytest.mark.parametrize(("share", "within"), [(1.0, True), (0.93, True), (0.85, False), (1.15, False)])
def test_steps_may_be_a_tenth_off(share: float, within: bool) -> None:
    middle = TRUTH.mean(axis=0)
    rows = table_rows(
        grid(reference_set(), {"all": network(0, 1, middle + share * (TRUTH - middle))}), reference_set()
    )
    assert rows[0]["steps"]["truth"]["amplitude"] == pytest.approx(share)
    assert rows[0]["steps"]["truth"]["within"] is within


def test_an_unsure_network_does_not_choose_its_own_frames() -> None:
    sure, references = network(4, 1), reference_set()
    unsure = replace(sure, confidence=np.where(np.arange(FRAMES) % 2, 0.9, 0.1)[:, None] * np.ones(4))
    one, other = (figures(grid(references, {"all": m}), references) for m in (sure, unsure))
    assert one["temporal_p99_9"] == other["temporal_p99_9"]
    assert "temporal_p99_9_sure" not in other  # no two neighbouring frames


def test_what_is_out_of_view_is_left_out() -> None:
    away = TRUTH.copy()
    away[:100, 2] += np.random.default_rng(0).uniform(-300, 300, (100, 2))
    references = reference_set()
    references.seen[:100, 2] = False
    found = figures(grid(references, {"all": network(0, 1, away)}), references)
    assert found["mirror_p99"]["value"] < 3  # its other view would be carried along
    references.seen[:] = True
    assert figures(grid(references, {"all": network(0, 1, away)}), references)["mirror_p99"]["value"] > 30


def test_a_row_is_held_against_the_same_folds_and_seeds() -> None:
    references = reference_set()
    base = [
        measure_network(Cell("supervised", 15, fold, 0), network(4, 1, fold=fold), references)
        for fold in (0, 1)
    ]
    own = [
        measure_network(Cell("all", 15, 0, seed), network(2, seed, fold=0), references) for seed in range(5)
    ]
    rows = table_rows([*base, *own], references)
    assert (rows[0]["folds"], rows[0]["held_out_frames"]) == ([0, 1], 24)
    assert (rows[1]["folds"], rows[1]["seeds"], rows[1]["held_out_frames"]) == ([0], [0], 12)
    together = replace(own[0], cell=Cell("ensemble", 15, 0, 3))
    assert [(n.cell.row, b.cell.fold) for n, b in pairs_of([together], base)] == [("ensemble", 0)]


def test_wins_are_counted_by_frame_and_by_network() -> None:
    references = reference_set()
    base = [
        measure_network(Cell("supervised", 15, fold, 0), network(4, 1, fold=fold, bias=20), references)
        for fold in (0, 1, 2)
    ]
    own = [
        measure_network(Cell("all", 15, fold, 0), network(2, 2, fold=fold), references) for fold in (0, 1, 2)
    ]
    found = paired_differences(own, base, references)
    assert (found["error_mean"]["won"], found["error_mean"]["lost"]) == (36, 0)
    assert (found["jitter_median"]["won"], found["jitter_median"]["lost"]) == (3, 0)
    assert found["error_mean"]["high"] < 0
    assert paired_differences(base, base, references)["error_mean"]["won"] == 0


def test_the_ensemble_is_smoother_and_nearer_than_its_members() -> None:
    members = {Cell("all", 60, 0, seed): network(3, seed) for seed in range(5)}
    made = ensembles(members, "all", [0, 1, 2, 3, 4], NAMES)
    (cell,) = made
    assert (cell.row, cell.labels, cell.fold) == ("ensemble", 60, 0)
    references = reference_set()
    whole, one = (measure_network(cell, m, references) for m in (made[cell], members[Cell("all", 60, 0, 0)]))
    assert np.nanmean(whole.measured.errors) < 0.7 * np.nanmean(one.measured.errors)
    assert np.linalg.norm(whole.measured.xy - TRUTH, axis=-1).mean() < 2
    assert whole.steps["truth"] == pytest.approx(1, abs=0.1)
    assert not ensembles(members, "all", [0, 1, 7], NAMES)


def test_a_pose_drawn_inward_does_not_reach() -> None:
    held = network(0.1, 0)
    centre = held.held_labels.mean(axis=0)
    inward = replace(held, held_xy=centre + 0.9 * (held.held_xy - centre))
    missed = replace(held, held_xy=held.held_xy.copy())
    missed.held_xy[3, 0] += 100.0
    for own, right in ((held, 1.0), (inward, 0.9), (missed, 1.0)):
        found = amplitude_slope(grid(reference_set(), {"all": own}), [0, 1])
        assert found is not None
        assert found["value"] == pytest.approx(right, abs=0.01)
        assert found["low"] <= found["value"] <= found["high"]
        assert found["n"] == 2 * HELD - (own is missed)


def test_reach_is_claimed_beside_supervised() -> None:
    held = network(0.5, 0)
    centre = held.held_labels.mean(axis=0)
    inward = replace(held, held_xy=centre + 0.9 * (held.held_xy - centre))
    for own, holds in ((held, True), (inward, False)):
        rows = table_rows(grid(reference_set(), {"supervised": held, "all": own}), reference_set())
        assert claim_with(claims(rows, []), "15 labels, all: reach within").holds is holds


def test_what_was_never_found_has_no_reach() -> None:
    held = network(0.5, 0)
    away = replace(held, held_xy=held.held_xy + 100.0)
    assert amplitude_slope(grid(reference_set(), {"all": away}), [0, 1]) is None


def test_members_of_other_frames_are_refused() -> None:
    with pytest.raises(UserError, match="different frames"):
        ensemble([network(1, 0, fold=0), network(1, 0, fold=1)], NAMES)


def test_a_grid_of_several_folds_is_gathered(tmp_path: Path) -> None:
    base = {"losses": {"heatmap_kl": {}, "temporal": {}}, "steps": 1, "network": {"width": 8, "height": 8}}
    base["views"] = [[NAMES[k] for k in view] for view in VIEWS]
    held = write_disc_video(tmp_path / "held.avi", frames=2)
    grid_ = Grid(tmp_path, tmp_path / "work", held, base, [0, 1])
    for fold in (0, 1):
        for cell in (Cell("supervised", 60, fold, 0), Cell("all", 60, fold, 0), Cell("all", 60, fold, 1)):
            folder = grid_.folder(cell)
            folder.mkdir(parents=True)
            noise = 4 if cell.row == "supervised" else 2
            write_measured(network(noise, cell.seed, fold=fold), folder / MEASURED)
            done = {"settings": grid_.settings(cell), "train_s": 1.0, "measure_s": 1.0}
            (folder / RESULT).write_text(json.dumps(done))
    shown = np.full(LABELS.shape[:2], 2, np.uint8)
    frames = LabeledFrames([f"{i}.png" for i in range(72)], [], LABELS, shown, NAMES)
    found = gather(grid_, frames, held, "paw")
    assert [(row["row"], row["networks"], row["folds"]) for row in found["rows"]] == [
        ("supervised", 2, [0, 1]),
        ("all", 2, [0, 1]),
        ("ensemble", 2, [0, 1]),
    ]
    assert "smoothed ensemble (4 of 60 labels)" in found["yardstick"]["reference"]
    assert all(claim["holds"] for claim in found["claims"] if "ensemble: step" in claim["text"])
    result = {"date": "2026-11-25", "failed": []} | found
    assert "ensemble, smoothed | 60 | 2 | 2 | 24" in " ".join(markdown(result).split())
    assert "<svg" in page(result)
    assert "<path" in picture(result)


def test_what_the_distilled_network_keeps_of_the_gain() -> None:
    references = reference_set()
    rows = {"supervised": network(4, 1), "ensemble": network(1, 2), "distilled": network(2, 3)}
    (kept,) = gain_kept(grid(references, rows), references)
    own = kept["metrics"]["error_mean"]
    assert own["kept"] == pytest.approx(own["learner"] / own["ensemble"])
    assert 0.5 < own["kept"] < 0.9
    assert claim_with(claims([], [kept]), "keeps at least half").holds
    rows["distilled"] = network(3.9, 3)
    (kept,) = gain_kept(grid(references, rows), references)
    assert not claim_with(claims([], [kept]), "keeps at least half").holds
    rows["ensemble"] = network(5, 2)
    (kept,) = gain_kept(grid(references, rows), references)
    assert kept["metrics"]["error_mean"]["kept"] is None
    assert not claim_with(claims([], [kept]), "keeps at least half").holds


def test_most_with_few_labels_is_seen() -> None:
    references = reference_set()
    few = grid(references, {"supervised": network(6, 1), "all": network(2, 2)}, 15)
    many = grid(references, {"supervised": network(3, 3), "all": network(2.5, 4)}, 60)
    assert claim_with(claims(table_rows([*few, *many], references), []), "most with 15").holds
    swapped = [replace(n, cell=replace(n.cell, labels=75 - n.cell.labels)) for n in (*few, *many)]
    assert not claim_with(claims(table_rows(swapped, references), []), "most with 15").holds


def test_seen_is_where_networks_are_confident_together() -> None:
    one, other = network(1, 0), network(1, 1)
    one.confidence[:10], other.confidence[:5] = 0.0, 0.0
    assert np.flatnonzero(~visible_mask([one, other])[:, 0]).tolist() == list(range(10))


def test_quantiles_are_those_of_numpy() -> None:
    values = np.random.default_rng(0).gamma(2, 3, 1001)
    sample = Sample.of(np.append(values, np.nan), np.arange(1002) % 40)
    for q in (0.0, 0.5, 0.9, 0.999, 1.0):
        found = quantile(q)(sample, np.ones((1, 40), np.int64))[0]
        assert found == np.percentile(values, 100 * q, method="inverted_cdf")
    assert mean(sample, np.ones((1, 40), np.int64))[0] == pytest.approx(values.mean())


def test_a_draw_holds_a_cluster_as_often_as_it_says() -> None:
    sample = Sample(np.array([1.0, 2.0, 10.0, 20.0]), np.array([0, 0, 1, 1]))
    counts = np.array([[2, 0], [1, 1], [1, 3], [0, 0]])
    assert mean(sample, counts)[:3].tolist() == [1.5, 8.25, (3 + 90) / 8]
    assert quantile(0.5)(sample, counts)[:3].tolist() == [1.0, 2.0, 10.0]
    assert np.isnan(mean(sample, counts)[3])
    assert np.isnan(quantile(0.5)(sample, counts)[3])


def test_intervals_are_as_wide_as_frames_are_few_not_keypoints_many() -> None:
    random = np.random.default_rng(3)
    by_frame = random.normal(5, 2, 36)
    values = np.repeat(by_frame, 17)  # all keypoints of a frame err alike
    sample = Sample.of(values, np.repeat(np.arange(36), 17))
    found = Interval.of(mean(sample, draws(36)))
    assert (found.high - found.low) / (2 * 1.96) == pytest.approx(by_frame.std() / 6, rel=0.15)


def test_differences_are_paired() -> None:
    random = np.random.default_rng(4)
    base = random.gamma(1, 20, 36)
    cluster = np.arange(36)
    counts = draws(36)
    one, other = Sample(base - 2, cluster), Sample(base, cluster)
    found = Interval.of(mean(one, counts) - mean(other, counts))
    assert (found.low, found.high) == pytest.approx((-2, -2))


def test_networks_and_blocks_are_both_drawn() -> None:
    counts = nested_draws(3, 10, number=500)
    assert counts.shape == (501, 30)
    assert counts[0].tolist() == [1] * 30
    assert (counts.sum(axis=1) == 30).all()
    one_network = counts[1:].reshape(500, 3, 10)
    assert (one_network.sum(axis=2) % 10 == 0).all()  # a network is there whole, once, twice or not at all
    values = np.repeat([1.0, 2.0, 6.0], 10)  # networks differ, blocks do not
    spread = mean(Sample(values, np.arange(30)), counts)[1:]
    assert spread.std() == pytest.approx(np.std([1, 2, 6]) / np.sqrt(3), rel=0.15)
