"""The example of a subscriber listens to a real run."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from support.live_run import ScriptedObserver, config, run, send_orders
from support.tiny_package import make_tiny_package

SUBSCRIBER = Path(__file__).resolve().parents[2] / "examples" / "subscriber.py"


POSE, EVENT = r"frame \d+: x -?[\d.n]", r"(slow|quick) suppressed disarmed$"


class Listener(ScriptedObserver):
    """Starts the subscriber when the loop is ready, and ends the run when it has printed enough."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def ready(self, description: dict[str, Any]) -> None:
        super().ready(description)
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def count(self, pattern: str) -> int:
        return sum(re.match(pattern, line) is not None for line in self.lines)

    def _listen(self) -> None:
        command = [sys.executable, "-u", str(SUBSCRIBER), self.description["addresses"]["publish"]]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for line in process.stdout:
                self.lines.append(line)
                if self.count(POSE) >= 20 and self.count(EVENT):
                    break
            process.terminate()
        send_orders(self.description, "stop")


def test_it_prints_poses_and_events(tmp_path: Path) -> None:
    make_tiny_package(tmp_path / "package")
    listener = Listener()
    result = run(config(tmp_path / "package", seconds=100.0, armed_at_start=False), None, listener)
    assert result.summary["reason"] == "stop ordered (control)", "the subscriber had printed enough by then"
    assert listener.count(POSE) >= 20
    assert listener.count(EVENT) > 0
