"""What was measured is used again while what it depends on stays, and never in place of a check."""

from __future__ import annotations

import copy
import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from support.tiny_package import make_tiny_package

from rt_pose.clock import FakeClock, HostClock
from rt_pose.config.schema import EngineConfig
from rt_pose.errors import UserError
from rt_pose.inference import choose_engine as infer
from rt_pose.inference import kept_choices, other_load
from rt_pose.inference.choose_engine import choose_engine
from rt_pose.inference.kept_choices import ChoiceFile, KeptChoice
from rt_pose.inference.other_load import OtherLoad
from rt_pose.package import Package

FLOAT32 = EngineConfig(precision="float32")
KEPT = KeptChoice(
    utc="2026-01-02 03:04 UTC",
    precision="float32",
    preprocess="compiled",
    preprocess_why="so it is",
    refused=["bf16 not taken: 1.50 times the time of float32 here"],
    threads=1,
    pinned=False,
    tuning="P90 ms: 1 thread free 1.00",
)


class NoClock(HostClock):
    """A clock that nothing may be measured by."""

    def now_ns(self) -> int:
        raise AssertionError("something is measured")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return make_tiny_package(tmp_path_factory.mktemp("package"))


@pytest.fixture
def package(written: Package) -> Package:
    return copy.deepcopy(written)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(infer, "MOST_OTHERS", 1.0)  # whatever else runs on the machine that tests
    return tmp_path / "rt-pose" / "engines"


def place(package: Package, config: EngineConfig = FLOAT32, tuned: bool = True) -> ChoiceFile:
    return ChoiceFile(package.sha256, config, tuned)


def test_the_second_start_measures_nothing_and_checks_the_golden_keypoints(package: Package) -> None:
    first = choose_engine(package, FLOAT32, tune=HostClock())
    second = choose_engine(package, FLOAT32, tune=NoClock())
    assert (second.engine.threads, second.engine.description) == (
        first.engine.threads,
        first.engine.description,
    )
    assert (second.tuning, second.preprocess_why) == (first.tuning, first.preprocess_why)
    assert "kept in" in str(first)
    assert "kept in" in str(second)
    package.golden.xy[0, 0, 0] += 1.0
    with pytest.raises(UserError, match=r"tolerance 0\.050 px"):
        choose_engine(package, FLOAT32, tune=HostClock())


def test_what_is_kept_is_taken_with_its_threads_and_reasons(package: Package) -> None:
    place(package).write(KEPT)
    choice = choose_engine(package, FLOAT32, tune=NoClock())
    assert choice.engine.description.endswith("float32, 1 thread free")
    assert choice.refused == KEPT.refused
    assert f"of {KEPT.utc}, kept in " in str(choice)


def test_nothing_is_kept_where_nothing_was_measured(package: Package, cache: Path) -> None:
    choice = choose_engine(package, replace(FLOAT32, threads=1), tune=NoClock())
    assert choice.kept == ""
    assert not cache.exists()


def test_what_cannot_be_read_counts_as_none(package: Package) -> None:
    file = place(package)
    file.write(KEPT)
    assert file.path is not None
    whole = json.loads(file.path.read_text())
    wrong = [{"preprocess": "another"}, {"pinned": "yes"}, {"threads": 1.5}]
    texts = ["", "[" * 100_000, "{}", "{" + "}" * 2_000_000, file.path.read_text()[:-3]]
    for text in [*texts, *(json.dumps(whole | {"choice": whole["choice"] | one}) for one in wrong)]:
        file.path.write_text(text)
        assert file.read() is None, text[:80]
    file.path.unlink()
    file.path.mkdir()
    assert file.read() is None


@pytest.mark.parametrize("wrong", [{"precision": "int8"}, {"threads": 10_000}, {"threads": 0}])
def test_what_may_not_run_here_is_measured_again(package: Package, wrong: dict[str, Any]) -> None:
    place(package).write(msgspec.structs.replace(KEPT, **wrong))
    choice = choose_engine(package, FLOAT32, tune=FakeClock())
    assert choice.engine.precision == "float32"
    assert choice.tuning != KEPT.tuning
    found = place(package).read()
    assert found is not None
    assert found.tuning == choice.tuning


def test_whatever_it_depends_on_has_a_place_of_its_own(
    package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = [
        place(package),
        place(package, tuned=False),
        ChoiceFile("another package", FLOAT32, tuned=True),
        *(place(package, replace(FLOAT32, **{key: value})) for key, value in OTHER_SETTINGS.items()),
    ]
    for name, other in (
        ("processor", lambda: {"model": "another"}),
        ("version", lambda package: "another"),
        ("os.sched_getaffinity", lambda pid: {7}),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(f"{kept_choices.__name__}.{name}", other)
            places.append(place(package))
    assert len({file.path for file in places}) == len(places)
    assert place(package).path == places[0].path
    assert place(package, replace(FLOAT32, priority="high")).path == places[0].path


OTHER_SETTINGS = {"precision": "auto", "threads": 1, "preprocess": "compiled", "backend": "openvino"}


def test_what_was_measured_beside_others_is_not_kept(
    package: Package, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(infer, "MOST_OTHERS", -1.0)
    choice = choose_engine(package, FLOAT32, tune=FakeClock())
    assert "not kept: other programs took " in str(choice)
    assert not cache.exists()


def test_the_share_of_others_is_what_is_not_our_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of core 0 alone, the only one that we may use, 60 of 100 ticks were work, 10 of them our own."""
    stat = tmp_path / "stat"
    monkeypatch.setattr(other_load, "STAT", stat)
    monkeypatch.setattr(other_load.os, "sched_getaffinity", lambda pid: {0})
    own = SimpleNamespace(user=1.0, system=1.0)
    monkeypatch.setattr(other_load.os, "times", lambda: own)
    stat.write_text("cpu  9 9 9 9\ncpu0 100 0 0 500 0 0 0 0 7 7\ncpu1 0 0 0 0 0 0 0 0\nintr 5\n")
    load = OtherLoad()
    own.user += 10 / os.sysconf("SC_CLK_TCK")
    stat.write_text("cpu  9 9 9 9\ncpu0 120 10 20 530 10 5 5 0 99 99\ncpu1 900 0 0 0 0 0 0 0\nintr 5\n")
    assert load.share() == pytest.approx(0.5)
    stat.unlink()
    assert OtherLoad().share() == 0.0


def test_a_folder_that_cannot_be_written_is_said_and_stops_nobody(
    package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert "not kept: " in str(choose_engine(package, FLOAT32, tune=FakeClock()))


def test_the_newest_are_kept(package: Package, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_choices, "MOST_FILES", 2)
    for number in range(4):
        ChoiceFile(f"package {number}", FLOAT32, tuned=True).write(KEPT)
    newest = ChoiceFile("package 3", FLOAT32, tuned=True)
    assert len(list(cache.iterdir())) == 2
    assert newest.read() == KEPT
