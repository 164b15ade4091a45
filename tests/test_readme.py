"""What the README says is so."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonargparse import ArgumentParser
from support.tiny_package import make_tiny_package

import rigs
from rt_pose.cli.main import VERBS
from rt_pose.clock import HostClock
from rt_pose.config.build import build
from rt_pose.config.schema import CameraConfig, OutputConfig, PublishConfig, RecordConfig, RunConfig
from rt_pose.decisions.decide import make_rules
from rt_pose.session.run import RunObserver, run_session

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """The README's only code block of a language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return str(found)


class Listener(RunObserver):
    """Starts the README's subscriber when the loop is ready."""

    def __init__(self, program: Path) -> None:
        self._program = program
        self.process: subprocess.Popen[str] | None = None

    def ready(self, description: dict[str, Any]) -> None:
        command = [sys.executable, "-u", str(self._program), description["addresses"]["publish"]]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_the_subscriber_runs_as_written(tmp_path: Path) -> None:
    """It hears poses and events of a real run."""
    make_tiny_package(tmp_path / "package", keypoints=3)
    program = tmp_path / "subscriber.py"
    program.write_text(block("python"))
    plain = yaml.safe_load(block("yaml"))
    plain["rules"][0] |= {"when": "speed(k0) > 1 or speed(k0) <= 1", "hold": "1 s", "deadline": "1 s"}
    config = build(RunConfig, plain, "README")
    config.model, config.armed_at_start = str(tmp_path / "package"), False
    config.cameras = {"top": CameraConfig("simulated")}
    config.publish = PublishConfig("tcp://127.0.0.1:*", "tcp://127.0.0.1:*")
    config.record, config.seconds, config.start_on = RecordConfig(video=False), 4.0, "launch"
    listener = Listener(program)
    run_session(config, None, rigs.register, HostClock(), listener)
    assert listener.process is not None
    timer = threading.Timer(1.0, listener.process.terminate)
    timer.start()
    messages, _ = listener.process.communicate()
    timer.join()
    poses = [line for line in messages.splitlines() if re.match(r"frame \d+: x -?[\d.n]", line)]
    assert len(poses) > 20
    assert "reach suppressed disarmed" in messages


def test_the_trigger_example_is_a_valid_configuration() -> None:
    config = build(RunConfig, yaml.safe_load(block("yaml")), "README")
    mouse = yaml.safe_load((ROOT / "configs" / "train" / "mirror-mouse.yaml").read_text())
    (rule,) = make_rules(config, mouse["keypoints"], {"laser": 2.0})
    assert rule.deadline_ns == 30_000_000
    assert config.outputs == {"laser": OutputConfig("simulated", {"delay_ms": 2})}


def test_every_command_in_it_is_a_verb() -> None:
    commands = re.findall(r"^rt-pose (.+)$", README, re.MULTILINE)
    assert len(commands) > 5
    for command in commands:
        assert any(command.split()[: len(v.split())] == v.split() for v in VERBS), command


def test_every_option_of_a_verb_in_it_is_known() -> None:
    """In blocks and in running text, where a verb and its options stand in one piece of code."""
    running = re.sub(r"^```.*?^```", "", README, flags=re.MULTILINE | re.DOTALL)
    code = re.findall(r"`([^`]+)`", running) + re.findall(r"^rt-pose .+$", README, re.MULTILINE)
    expected = 0
    for text in code:
        words = " ".join(text.split()).removeprefix("rt-pose ")
        verb = next((v for v in VERBS if f"{words} ".startswith(f"{v} ")), None)
        for option in re.findall(r"(?<!\S)--([\w.-]+)", words) if verb else ():
            parser = ArgumentParser()
            VERBS[str(verb)][0](parser)
            known = {o for action in parser._actions for o in action.option_strings}
            # A key of a rule or a camera is none of the parser's.
            assert f"--{option}" in known, f"{verb}: --{option}"
            expected += 1
    assert expected > 20


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"\b(?:configs|rigs|docs|bench)/[\w./-]+\.\w+", README)))
)
def test_every_file_it_names_is_there(path: str) -> None:
    assert (ROOT / path).is_file()


def test_the_floor_plan_names_every_room() -> None:
    plan = README.split("## Floor plan")[1].split("```")[1]
    rooms = [p.name for p in (ROOT / "rt_pose").iterdir() if p.is_dir() and p.name != "__pycache__"]
    for room in [*rooms, "train", "rigs", "bench", "tests", "configs"]:
        assert f"{room}/" in plan
