"""The example in JavaScript listens to a loop's publisher."""

from __future__ import annotations

import re
import selectors
import shutil
import subprocess
from pathlib import Path

import pytest
from support.published_poses import PosePublisher

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "subscriber.js"


def is_there() -> bool:
    """Whether node and its package for ZeroMQ are here; `NODE_PATH` may say where the package lies."""
    node = shutil.which("node")
    find = [str(node), "-e", "require('zeromq')"]
    return (
        node is not None
        and subprocess.run(find, cwd=EXAMPLE.parent, capture_output=True, check=False).returncode == 0
    )


def test_it_prints_poses_and_events() -> None:
    if not is_there():
        pytest.skip("node with its package zeromq is not here: `npm install zeromq`")
    publisher = PosePublisher("json")
    command = ["node", str(EXAMPLE), publisher.address]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    with selectors.DefaultSelector() as output:
        output.register(process.stdout, selectors.EVENT_READ)
        publisher.send_until(lambda: output.select(0))
    lines = [process.stdout.readline() for _ in range(2)]
    process.terminate()
    process.communicate()
    publisher.close()
    assert re.fullmatch(r"frame \d+: x \d+\.\d y \d+\.\d p 0\.75, \d+\.\d ms old\n", lines[0]), lines
    assert lines[1] == "reach suppressed disarmed\n"
