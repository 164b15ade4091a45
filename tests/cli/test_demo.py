"""What the demo finds out before it trains."""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path

import pytest
from support.small_disk import mounted

from rigs.simulated.animal import KEYPOINTS
from rt_pose.cli import demo
from rt_pose.cli.demo import MARKER, run_demo
from rt_pose.config.build import load
from rt_pose.config.check import check_run
from rt_pose.config.schema import PublishConfig, RunConfig
from rt_pose.config.shipped import FOLDER
from rt_pose.decisions.rule_set import RuleSet
from rt_pose.errors import UserError


class Trained(Exception):
    """The training would begin now."""


def test_beside_another_run_it_takes_free_ports_before_it_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    held: list[PublishConfig] = []
    published = demo._published

    def keep(wanted: PublishConfig, ports: dict[str, str]) -> PublishConfig:
        held.append(published(wanted, ports))
        return held[0]

    def train(out: Path, animals: int, views: int) -> Path:
        for address in (held[0].address, held[0].control):
            with socket.socket() as other, pytest.raises(OSError, match="in use"):
                other.bind(("127.0.0.1", int(address.rpartition(":")[2])))
        raise Trained

    monkeypatch.setattr(demo, "_published", keep)
    monkeypatch.setattr(demo, "_train", train)
    with socket.socket() as taken:
        with suppress(OSError):  # another rt-pose of this machine has it: just as well
            taken.bind(("127.0.0.1", int(PublishConfig.address.rpartition(":")[2])))
            taken.listen()
        with pytest.raises(Trained):
            run_demo(tmp_path / "demo", 1.0)
    assert held[0].address != PublishConfig.address
    messages = capsys.readouterr().out
    assert f"the usual ports are in use: poses go out over {held[0].address}" in messages


def test_a_folder_it_must_not_replace_is_left_alone(tmp_path: Path) -> None:
    kept = tmp_path / "thesis.tex"
    kept.write_text("everything")
    with pytest.raises(UserError, match="holds files that no demo made; give another --out"):
        run_demo(tmp_path, 1.0)
    with pytest.raises(UserError, match="is a file; give another --out"):
        run_demo(kept, 1.0)
    assert kept.read_text() == "everything"


def test_an_earlier_demo_stays_where_there_is_no_room_for_another(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "size=1m") as disk:
        (disk / MARKER).touch()
        (disk / "report.html").touch()
        with pytest.raises(UserError, match="at least 300 MiB are needed"):
            run_demo(disk, 1.0)
        assert (disk / "report.html").is_file()


def test_the_rules_of_several_animals_look_at_each(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="demo --animals: animals must be between 1 and 4, got 5"):
        run_demo(tmp_path / "demo", 1.0, animals=5)
    config = load(RunConfig, FOLDER / "demo.yaml")
    demo._let_in(config, 2)
    check_run(config)
    rules = RuleSet.of(config, KEYPOINTS, {"stimulus": 1.0}).rules
    assert [rule.individual for rule in rules] == ["each"]
    assert config.cameras["top"].options["animals"] == config.individuals == 2


def test_several_cameras_stand_around_one_animal(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="demo --views: expected 2 to 4 cameras, got 5"):
        run_demo(tmp_path / "demo", 1.0, views=5)
    with pytest.raises(UserError, match="--views trains for one animal in space; leave out --animals"):
        run_demo(tmp_path / "demo", 1.0, animals=2, views=3)
    config = demo._configure(1.0, 1, 4)
    assert list(config.cameras) == config.views["arena"].cameras == ["front", "side", "back", "top"]
    assert [camera.options["view"] for camera in config.cameras.values()] == [0, 1, 2, 3]
    assert {camera.options["world"] for camera in config.cameras.values()} == {"arena"}
