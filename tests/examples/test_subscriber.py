"""The example of a subscriber listens to a real run."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from support.tiny_package import make_tiny_package

import rigs
from rt_pose.clock import HostClock
from rt_pose.config.rules import ActionConfig, RuleConfig
from rt_pose.config.schema import CameraConfig, OutputConfig, PublishConfig, RecordConfig, RunConfig
from rt_pose.session.run import Notices, run_session

SUBSCRIBER = Path(__file__).resolve().parents[2] / "examples" / "subscriber.py"


class Listener(Notices):
    """Starts the subscriber when the loop is ready."""

    def __init__(self) -> None:
        self.process: subprocess.Popen[str] | None = None

    def ready(self, description: dict[str, Any]) -> None:
        command = [sys.executable, "-u", str(SUBSCRIBER), description["addresses"]["publish"]]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_it_prints_poses_and_events(tmp_path: Path) -> None:
    make_tiny_package(tmp_path / "package", keypoints=3)
    config = RunConfig(
        model=str(tmp_path / "package"),
        cameras={"top": CameraConfig("simulated")},
        outputs={"laser": OutputConfig("simulated")},
        rules=[
            RuleConfig(
                "always",
                "speed(k0) > 1 or speed(k0) <= 1",
                ActionConfig("laser", "5 ms"),
                hold="1 s",
                deadline="1 s",
            )
        ],
        publish=PublishConfig("tcp://127.0.0.1:*", "tcp://127.0.0.1:*"),
        record=RecordConfig(video=False),
        seconds=4.0,
    )
    listener = Listener()
    run_session(config, None, rigs.register, HostClock(), listener)
    assert listener.process is not None
    timer = threading.Timer(1.0, listener.process.terminate)
    timer.start()
    said, _ = listener.process.communicate()
    timer.join()
    poses = [line for line in said.splitlines() if re.match(r"frame \d+: x -?[\d.n]", line)]
    assert len(poses) > 20
    assert "always suppressed disarmed" in said
