"""What a start does not wait for."""

from __future__ import annotations

import subprocess
import sys

HELP = ("numpy", "av", "zmq", "numba", "torch", "cv2", "rich")
SUPERVISOR = ("numba", "openvino", "torch", "cv2", "scipy", "pandas")
PROGRAM = f"""
import sys
import rt_pose.cli.main
print(*[name for name in {HELP!r} if name in sys.modules])
import rigs, rt_pose.session.console, rt_pose.session.run
rigs.register()
print(*[name for name in {SUPERVISOR!r} if name in sys.modules])
"""


def test_neither_the_help_nor_the_supervisor_loads_what_it_does_not_need() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["", ""]
