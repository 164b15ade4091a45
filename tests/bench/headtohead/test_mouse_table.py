"""The table of the mouse: both programs on the same frames, paired by fold, and who is no worse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from support.disc_videos import write_disc_video

from bench.accuracy.measure import Measured, write_measured
from bench.accuracy.reference_set import measure_network
from bench.headtohead import mouse_table
from bench.headtohead.answers import OtherDay, write_other_day
from bench.headtohead.mouse import OTHER_DAY_FILE, MouseNetwork
from bench.headtohead.mouse_table import Entry, entries_of, tables
from bench.headtohead.other_day import DayNetwork, DayReference
from rt_pose.types import FloatArray
from train.data.labels import LabeledFrames

NAMES = ["paw1_top", "paw2_top", "paw1_bot", "paw2_bot"]
FRAMES, HELD = 100, 12


def walk(frames: int, phase: float = 0.0) -> FloatArray:
    """(T, 4, 2) px: two paws in two views that step."""
    turn = np.arange(frames) / 4.0 + phase
    out = np.stack([np.sin(turn), -np.sin(turn)], axis=-1)
    top = np.stack([100 + 30 * out, 50 + 2 * out], axis=-1)
    bottom = np.stack([100 + 30 * out, 250 + 8 * out], axis=-1)
    return np.concatenate([top, bottom], axis=1)


LABELS = walk(60, 0.3) + np.random.default_rng(9).normal(0, 1, (60, 4, 2))
REFERENCE = DayReference(NAMES, walk(FRAMES))


def measured(noise: float, seed: int, fold: int) -> Measured:
    random = np.random.default_rng([seed, fold])
    labels = walk(HELD, 0.7 + fold)
    seen = walk(FRAMES) + random.normal(0, noise, (FRAMES, 4, 2))
    some = np.arange(0, FRAMES, 25)
    still = seen[some]
    return Measured(
        [f"img{fold}-{i}.png" for i in range(HELD)],
        labels,
        labels + random.normal(0, noise, labels.shape),
        seen,
        np.full((FRAMES, 4), 0.9),
        some,
        still,
        still + random.normal(0, noise / 10, still.shape),
        np.full_like(still, np.nan),
    )


def entry(network: MouseNetwork, noise: float, seed: int) -> Entry:
    found = measured(noise, seed, network.fold)
    return Entry(network, found, DayNetwork(found.xy, found.confidence), {"train_s": 10.0})


def test_the_truer_program_is_no_worse_and_the_other_is(tmp_path: Path) -> None:
    entries = [entry(MouseNetwork("litpose", "resnet18", False, fold), 3.0, 1) for fold in (0, 1)]
    entries += [entry(MouseNetwork("rt-pose", "lite0", False, fold), 1.0, 2) for fold in (0, 1, 2)]
    entries += [entry(MouseNetwork("rt-pose", "tiny", False, 1), 9.0, 3)]
    labels = LabeledFrames([], [], LABELS, np.ones(LABELS.shape[:2], np.uint8), NAMES)
    video = write_disc_video(tmp_path / "second.mov", 4)
    references = mouse_table._reference_set(entries, labels, video)
    groups: dict[str, list[tuple[Entry, mouse_table.Network]]] = {}
    for one in entries:
        network = measure_network(one.of.cell, one.measured, references)
        groups.setdefault(one.of.group, []).append((one, network))
    truer, worse = mouse_table._differences(groups, references, REFERENCE)
    assert (truer["own"], truer["folds"], worse["folds"]) == ("rt-pose-lite0", [0, 1], [1])
    assert truer["figures"]["error_mean"]["value"] < 0
    assert truer["figures"]["error_mean"]["no_worse"]
    assert truer["day"]["p50"]["no_worse"]
    assert not worse["figures"]["error_mean"]["no_worse"]
    found = {
        "left_out_of_other_day": 0.01,
        "groups": [mouse_table._group(name, own, references, REFERENCE) for name, own in groups.items()],
        "differences": [truer, worse],
    }
    text = "\n".join(table.markdown() for table in tables(found))
    assert "rt-pose-lite0 minus litpose-resnet18" in text
    assert "**no**" in text
    assert "moved by bf16" not in text, "theirs has no bf16"
    json.dumps(found)


def test_what_is_done_is_found_by_its_folder(tmp_path: Path) -> None:
    folders = ["litpose/litpose-resnet18-f0", "litpose/litpose-resnet18-semi-f2"]
    folders += ["rt-pose-lite0/cells/supervised-60-f1-s0", "rt-pose-lite0/cells/all-60-f1-s0"]
    for name in [*folders, "litpose/litpose-resnet18-f1"]:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        write_measured(measured(1.0, 0, 0), folder / "measured.npz")
        if name in folders:
            (folder / "result.json").write_text('{"train_s": 1.5}')
        write_other_day(OtherDay(walk(FRAMES), np.ones((FRAMES, 4))), folder / OTHER_DAY_FILE)
    found = entries_of(tmp_path, NAMES, REFERENCE)
    assert [one.of for one in found] == [
        MouseNetwork("litpose", "resnet18", False, 0),
        MouseNetwork("litpose", "resnet18", True, 2),
        MouseNetwork("rt-pose", "lite0", True, 1),
        MouseNetwork("rt-pose", "lite0", False, 1),
    ]
    assert found[0].settings["train_s"] == 1.5
