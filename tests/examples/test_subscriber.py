"""The example of a subscriber listens to a real run."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from support.live_run import ScriptedObserver, config, run
from support.tiny_package import make_tiny_package

SUBSCRIBER = Path(__file__).resolve().parents[2] / "examples" / "subscriber.py"


class Listener(ScriptedObserver):
    """Starts the subscriber when the loop is ready."""

    def __init__(self) -> None:
        super().__init__()
        self.process: subprocess.Popen[str] | None = None

    def ready(self, description: dict[str, Any]) -> None:
        super().ready(description)
        command = [sys.executable, "-u", str(SUBSCRIBER), description["addresses"]["publish"]]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_it_prints_poses_and_events(tmp_path: Path) -> None:
    make_tiny_package(tmp_path / "package")
    listener = Listener()
    run(config(tmp_path / "package", seconds=4.0, armed_at_start=False), None, listener)
    assert listener.process is not None
    timer = threading.Timer(1.0, listener.process.terminate)
    timer.start()
    messages, _ = listener.process.communicate()
    timer.join()
    poses = [line for line in messages.splitlines() if re.match(r"frame \d+: x -?[\d.n]", line)]
    assert len(poses) > 20
    assert re.search(r"^(slow|quick) suppressed disarmed$", messages, re.MULTILINE)
