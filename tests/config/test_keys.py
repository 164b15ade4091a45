"""`--help` shows every key; the shipped configurations load."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest

import rigs
from rt_pose.cli.main import VERBS, parser_of
from rt_pose.config.build import load
from rt_pose.config.check import check_run
from rt_pose.config.files import read_config
from rt_pose.config.keys import keys_of
from rt_pose.config.schema import RunConfig
from rt_pose.drivers import report_drivers
from train.config import TrainConfig
from train.distillation.config import DistillConfig

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
TRAININGS = sorted((CONFIGS / "train").glob("*.yaml"))
RUNS = sorted(p for p in CONFIGS.rglob("*.yaml") if p not in TRAININGS)


def sections(hint: object) -> Iterator[type]:
    """Dataclasses in a type, however they are wrapped."""
    if dataclasses.is_dataclass(hint):
        yield typing.cast(type, hint)
    for arg in typing.get_args(hint):
        yield from sections(arg)


def fields(kind: type) -> Iterator[str]:
    """Names of the fields of a configuration and of everything in it."""
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        yield field.name
        for inner in sections(hints[field.name]):
            yield from fields(inner)


@pytest.mark.parametrize(
    ("verb", "kind"), [("run", RunConfig), ("train fit", TrainConfig), ("train distill", DistillConfig)]
)
def test_help_shows_every_field_of_every_section_with_its_meaning(verb: str, kind: type) -> None:
    keys = list(keys_of(kind))
    assert [key.name.removesuffix(".NAME").rpartition(".")[2] for key in keys] == list(fields(kind))
    assert all(key.text for key in keys), [key.name for key in keys if not key.text]
    shown = parser_of(verb).format_help()
    for key in keys:
        assert f"--{key.name} {key.type}" in shown if key.type else f"  {key.name}\n" in shown
    assert "--rules.NAME.do.train.period str (required)" in shown or kind is not RunConfig


@pytest.mark.parametrize("verb", VERBS)
def test_every_key_that_a_verb_takes_says_what_it_means(verb: str) -> None:
    kind = parser_of(verb).kind
    assert kind is None or all(key.text for key in keys_of(kind))


@pytest.mark.parametrize("path", RUNS, ids=lambda p: str(p.relative_to(CONFIGS)))
def test_shipped_runs(path: Path) -> None:
    rigs.register()
    check_run(load(RunConfig, path))
    source = read_config(path)
    report_drivers(source)
    source.check()


@pytest.mark.parametrize("path", TRAININGS, ids=lambda p: p.name)
def test_shipped_trainings(path: Path) -> None:
    assert load(TrainConfig, path).steps > 0
