"""Yoked playback: times read from one session, fired at in another."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from support.delivered import delivered
from support.log_lines import log_into
from support.random_session import write_random_session

from rt_pose.audit.recompute import DecisionReplay, ReplaySetup
from rt_pose.config.build import to_plain
from rt_pose.config.schema import RunConfig
from rt_pose.errors import UserError
from rt_pose.session import yoke
from rt_pose.session.read import Session
from rt_pose.session.yoke import effect_times_s, with_yoke_times


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunConfig, str]:
    """A session in which one rule fired several times, and that rule."""
    folder = tmp_path_factory.mktemp("yoke")
    for seed in range(30):
        config = write_random_session(folder / str(seed), seed)
        session = Session.read(folder / str(seed))
        for rule in config.rules:
            if len(fired(session, rule.name)) >= 3:
                return folder / str(seed), config, rule.name
    raise AssertionError("no random session fired three times")


def fired(session: Session, rule: str) -> list[int]:
    """Ids of a rule's events that fired."""
    return [r.event.id for r in session.events if r.event.rule == rule and r.event.outcome == "fired"]


@pytest.fixture(autouse=True)
def with_outputs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sessions that are yoked to were made up without a thread for their outputs."""
    monkeypatch.setattr(yoke.Session, "read", lambda path: delivered(READ(path)))


READ = Session.read


def yoked(config: RunConfig, rule: str, path: Path) -> RunConfig:
    rules = [dataclasses.replace(r, yoke=str(path)) if r.name == rule else r for r in config.rules]
    return dataclasses.replace(config, rules=rules)


def test_times_become_part_of_the_configuration(master: tuple[Path, RunConfig, str]) -> None:
    path, config, rule = master
    resolved = with_yoke_times(yoked(config, rule, path))
    times = next(r.yoke_times_s for r in resolved.rules if r.name == rule)
    assert times is not None
    assert len(times) == len(fired(Session.read(path), rule))
    assert np.all(np.diff(times) >= 0)
    assert all("yoke_times_s" in r for r in to_plain(resolved)["rules"])
    assert with_yoke_times(config) == config


def test_what_gave_the_animal_nothing_is_not_yoked(
    master: tuple[Path, RunConfig, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command that was refused, in its queue or later, is no stimulus; one without an answer may be one."""
    path, config, rule = master
    session = READ(path)
    first, second, third, *rest = fired(session, rule)
    times = effect_times_s(delivered(session), rule)
    assert len(times) == 3 + len(rest)
    known = delivered(session, refused=first, late=second, unanswered=third)
    assert effect_times_s(known, rule) == times[2:]
    assert effect_times_s(session, rule) == [], "no output ran, so all of them were cut"
    monkeypatch.setattr(yoke.Session, "read", lambda _: known)
    lines: list[str] = []
    log_into(lines, with_yoke_times, yoked(config, rule, path))
    assert f"2 of the {len(times)} events that fired" in "\n".join(lines)


def test_the_same_inputs_fire_at_the_same_times_without_the_animal(
    master: tuple[Path, RunConfig, str],
) -> None:
    """Fed with the master's own frames, the yoked rule fires where the master did, whatever it withholds."""
    path, config, rule = master
    session = Session.read(path)
    resolved = with_yoke_times(yoked(config, rule, path))
    setup = dataclasses.replace(ReplaySetup.of(session), config=dataclasses.replace(resolved, protocol=[]))
    decisions = DecisionReplay(setup)
    again = []
    for item in session.inputs:
        if hasattr(item, "do"):
            decisions.order(item)
        else:
            again += [(item.seq, e.reason) for e in decisions.observe(item).events if e.rule == rule]
    assert len(again) == len(effect_times_s(session, rule))
    assert "yoked" in {reason for _, reason in again}


def test_what_cannot_be_yoked(master: tuple[Path, RunConfig, str], tmp_path: Path) -> None:
    path, config, rule = master
    with pytest.raises(UserError, match="no such folder"):
        with_yoke_times(yoked(config, rule, tmp_path / "gone"))
    other = dataclasses.replace(
        config, rules=[dataclasses.replace(config.rules[0], name="rule", yoke=str(path))]
    )
    with pytest.raises(UserError, match="has no rule of that name, did you mean 'rule"):
        with_yoke_times(other)
