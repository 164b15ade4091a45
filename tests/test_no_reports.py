"""Nothing is reported to the makers of libraries: no connection, no process forked, no file at home."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys, threading

seen = []
WATCHED = ("os.fork", "subprocess.Popen", "socket.connect", "socket.getaddrinfo")
sys.addaudithook(lambda event, args: seen.append(event) if event in WATCHED else None)
from rt_pose.inference.engines.openvino import openvino_core

openvino_core()
for thread in threading.enumerate():
    if thread is not threading.main_thread():
        thread.join(5)
print(seen)
"""


def test_opening_the_engine_reports_nothing(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"
    assert list(tmp_path.iterdir()) == []
