"""A seeded part of the torture: every kind of case, few of each, and what the program makes of a failure."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from support.labeled_folder import make_labeled_folder
from support.tiny_package import make_tiny_package
from support.torture_cases import hangs, raises

from bench.torture import cases, flood, program
from bench.torture.control import SUBSCRIPTION_EVERY, make_messages
from bench.torture.rules import make_text, try_out
from rt_pose.errors import UserError
from rt_pose.session.locks import lock

pytestmark = pytest.mark.usefixtures("warm_programs")
COUNTS = {"rules": 5, "yaml": 20, "package": 20, "log": 6, "session": 2, "labels": 6, "control": 0}
COUNTS |= {"kill-supervisor": 1, "kill-loop": 0, "kill-recorder": 0, "kill-standby": 0}
COUNTS |= {"kill-processor": 0, "kill-viewer": 0}
"""Cases of each group; `session/test_run.py` and `loop/test_control_fuzz.py` try what has none here."""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_package(tmp_path_factory.mktemp("torture") / "package").path


@pytest.fixture
def worker() -> Iterator[program.Worker]:
    made = program.Worker()
    yield made
    made.end()


def attempt(worker: program.Worker, group: cases.Group, folder: Path, number: int) -> str:
    worker.begin_case(group, folder, number, seed=0)
    worker.link.poll(group.limit_s)
    return worker.result()


def test_every_group_has_its_part_here() -> None:
    assert set(COUNTS) == set(cases.GROUPS)


def test_all_cases_hold(worker: program.Worker, package: Path, tmp_path: Path) -> None:
    found = {}
    for name, count in COUNTS.items():
        group, folder = cases.GROUPS[name], tmp_path / name
        folder.mkdir()
        if name == "session":  # recorded already
            shutil.copytree(tmp_path / "log" / "session", folder / "session")
        if name == "labels":
            make_labeled_folder(folder / "labels", frames=3)
        if count:
            assert worker.prepare(group, folder, package) == ""
        found |= {(name, number): attempt(worker, group, folder, number) for number in range(count)}
    assert {case: why for case, why in found.items() if why} == {}


def test_rules_are_among_the_texts_and_others_too() -> None:
    dice, random_ = random.Random(20), np.random.default_rng(20)
    taken = [try_out(make_text(dice), dice, random_) for _ in range(400)]
    assert taken.count(True) > 50
    assert taken.count(False) > 100


@pytest.mark.parametrize(("case", "expected"), [(raises, "a traceback of 7"), (hangs, "no answer within")])
def test_what_raises_or_hangs_is_told_and_the_next_case_is_tried(
    worker: program.Worker, case: Callable[[Path, int], str], expected: str, tmp_path: Path
) -> None:
    group = cases.Group(case, cases.GROUPS["rules"].prepare, cases=9, limit_s=0.5 if case is hangs else 30.0)
    assert expected in attempt(worker, group, tmp_path, 7)
    assert expected.replace("7", "8") in attempt(worker, group, tmp_path, 8)


def test_it_goes_on_where_it_stopped(package: Path, tmp_path: Path) -> None:
    options = program.Options(model=package, work=tmp_path / "work", groups=["rules"], cases=3, jobs=2)
    program.measure(options)
    options.cases = 5
    assert program.measure(options)["groups"]["rules"]["tried"] == 5
    lines = (options.work / "tried.jsonl").read_text().splitlines()
    assert sorted(json.loads(line)["number"] for line in lines) == [0, 1, 2, 3, 4]
    descriptor = lock(options.work)
    assert descriptor is not None, "the program has let go of it"
    with pytest.raises(UserError, match="another program tries its cases there"):
        program.measure(options)
    os.close(descriptor)


def test_the_table_names_what_failed() -> None:
    tried = [program.Tried("yaml", n, 0, "it broke" if n == 2 else "", 0.1) for n in range(4)]
    figures = program.summarise(tried)
    assert figures["groups"]["yaml"]["failed"] == 1
    assert "yaml, 1 times: it broke" in program.format_table(figures)


def test_messages_are_requests_and_subscriptions_and_those_of_a_seed() -> None:
    messages = make_messages(1000, seed=3)
    assert sum(message.subscribes is not None for message in messages) == 1000 // SUBSCRIPTION_EVERY
    assert messages == make_messages(1000, seed=3)
    assert messages != make_messages(1000, seed=4)


def test_the_table_of_the_flood_has_a_row_a_run(tmp_path: Path, package: Path) -> None:
    kinds = [(pair, kind) for pair in range(2) for kind in flood.KINDS]
    options = flood.Options(model=str(package), video=tmp_path / "none.mp4", work=tmp_path)
    plain = flood.plain_options(options)
    for pair, kind in kinds:
        counts = {"requests": 9, "done": 4, "refused": 5, "unanswered": 0, "subscriptions": 1}
        figures = {"captured": 7, "processed": 6, "superseded": 1, "messages": counts, "precision": "bf16"}
        figures["image_to_decision_ms"] = {"p50": 1.0, "p99": 2.5, "max": 3.0}
        with (tmp_path / "flood.jsonl").open("a") as file:
            file.write(json.dumps({"pair": pair, "kind": kind, "options": plain, **figures}) + "\n")
    text = flood.format_table(flood.measure(options))
    assert [f"{pair + 1}, {kind}" in text for pair, kind in kinds] == [True] * 4
    assert "2.50" in text
    assert text.splitlines()[0].endswith("; bf16.")
