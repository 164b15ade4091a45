"""A seeded part of the torture: every kind of case, few of each, and what the program makes of a failure."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support.tiny_package import make_tiny_package
from support.torture_cases import hangs, raises

from bench.torture import cases, program
from bench.torture.rules import make_text, try_out

pytestmark = pytest.mark.usefixtures("warm_programs")
COUNTS = {"rules": 20, "yaml": 40, "package": 60, "session": 3, "labels": 30, "control": 1, "kill": 1}
"""Cases of each group; together less than a minute."""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_package(tmp_path_factory.mktemp("torture") / "package").path


def test_every_group_has_its_part_here() -> None:
    assert set(COUNTS) == set(cases.GROUPS)


@pytest.mark.parametrize("group", sorted(COUNTS))
def test_all_cases_hold(group: str, package: Path, tmp_path: Path) -> None:
    options = program.Options(
        model=package, work=tmp_path / "work", groups=[group], cases=COUNTS[group], seed=1
    )
    found = program.measure(options)["groups"][group]
    assert found["tried"] == COUNTS[group]
    assert found["failures"] == []


def test_rules_are_among_the_texts_and_others_too() -> None:
    dice, random_ = random.Random(20), np.random.default_rng(20)
    taken = [try_out(make_text(dice), dice, random_) for _ in range(400)]
    assert taken.count(True) > 50
    assert taken.count(False) > 100


@pytest.mark.parametrize(("case", "expected"), [(raises, "a traceback of 7"), (hangs, "no answer within")])
def test_what_raises_or_hangs_is_told_and_the_next_case_is_tried(
    case: Callable[[Path, int], str], expected: str, tmp_path: Path
) -> None:
    group = cases.Group(case, cases.GROUPS["rules"].prepare, limit_s=0.5)
    worker = program.Worker(group, tmp_path, seed=0)
    first, second = worker.attempt(7), worker.attempt(8)
    worker.end()
    assert expected in first
    assert expected.replace("7", "8") in second


def test_it_goes_on_where_it_stopped(package: Path, tmp_path: Path) -> None:
    options = program.Options(model=package, work=tmp_path / "work", groups=["rules"], cases=3)
    program.measure(options)
    options.cases = 5
    assert program.measure(options)["groups"]["rules"]["tried"] == 5
    lines = (options.work / "tried.jsonl").read_text().splitlines()
    assert [json.loads(line)["number"] for line in lines] == [0, 1, 2, 3, 4]


def test_the_table_names_what_failed() -> None:
    tried = [program.Tried("yaml", n, 0, "it broke" if n == 2 else "", 0.1) for n in range(4)]
    figures = program.summarise(tried)
    assert figures["groups"]["yaml"]["failed"] == 1
    assert "yaml, 1 times: it broke" in program.format_table(figures)
