"""The recorder as a real process: whatever is killed, what was written before can be read."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import select
import signal
from collections.abc import Callable, Iterator
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import numpy as np
import pytest
from support.patience import PATIENCE_S, wait_until
from support.synthetic_session import (
    SyntheticLoop,
    frames_on_disk,
    run_until_killed,
    start_recorder,
    supervise_recorder,
    write_info,
    write_session,
)

from rt_pose.session.read import Session
from rt_pose.session.video_file import read_times, read_video

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def session_dir(tmp_path: Path) -> Path:
    write_info(tmp_path)
    return tmp_path


@pytest.fixture
def endpoint(session_dir: Path) -> Iterator[str]:
    return f"ipc://{session_dir}/r"


def test_everything_arrives(tmp_path: Path) -> None:
    write_session(tmp_path / "s", frames=200)
    session = Session.read(tmp_path / "s")
    assert session.cut == ""
    assert [f.stamps.index for f in session.frames] == list(range(200))
    assert len(session.observations) == 192
    assert session.end is not None
    times = read_times(tmp_path / "s", "top")
    assert times is not None
    lost = sum(d.count for d in session.drops if d.stage == "recorder")
    assert len(times.frame) + lost == 200
    assert len(list(read_video(tmp_path / "s", "top", range(200), 1))) == len(times.frame)


def test_without_video_only_the_log_is_written(session_dir: Path, endpoint: str) -> None:
    process = start_recorder(session_dir, endpoint, video=False)
    loop = SyntheticLoop(endpoint)
    for i in range(5):
        loop.frame(i)
    loop.end(5)
    process.join(PATIENCE_S)
    loop.close()
    assert process.exitcode == 0
    assert len(Session.read(session_dir).frames) == 5
    assert not (session_dir / "top.mkv").exists()


def test_recorder_killed(session_dir: Path, endpoint: str) -> None:
    process = start_recorder(session_dir, endpoint)
    loop, frames = SyntheticLoop(endpoint), itertools.count()

    def send_until(done: Callable[[], bool]) -> None:
        wait_until(lambda: loop.frame(next(frames)) or done())

    send_until(lambda: frames_on_disk(session_dir) > 100)
    early = frames_on_disk(session_dir)
    send_until(lambda: frames_on_disk(session_dir) > early)  # by then the log has followed
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join(PATIENCE_S)
    send_until(lambda: loop.sink.refused > 0)  # the loop goes on, and counts what it could not hand over
    loop.close()

    session = Session.read(session_dir)
    assert session.cut != ""
    indices = [f.stamps.index for f in session.frames]
    assert indices == list(range(len(indices)))
    assert len(indices) >= early
    times = read_times(session_dir, "top")
    assert times is not None
    recorded = [row for row, _ in read_video(session_dir, "top", range(next(frames)), 1)]
    assert recorded == list(range(len(recorded)))
    assert min(len(recorded), len(times.frame)) >= early - KEPT_BACK
    np.testing.assert_array_equal(times.frame, np.sort(times.frame))


KEPT_BACK = 60
"""Frames that may lie in the film's open cluster."""


def test_loop_killed(session_dir: Path, endpoint: str) -> None:
    recorder = start_recorder(session_dir, endpoint)
    expected, announce = SPAWN.Pipe(duplex=False)
    loop = SPAWN.Process(target=run_until_killed, args=(endpoint, 0.005, announce))
    loop.start()
    ring_name = expected.recv()
    wait_until(lambda: frames_on_disk(session_dir) > 60)
    os.kill(loop.pid or 0, signal.SIGKILL)
    loop.join(PATIENCE_S)
    recorder.join(PATIENCE_S)
    SharedMemory(ring_name).unlink()

    assert recorder.exitcode == 0, "the recorder must end by itself"
    session = Session.read(session_dir)
    assert session.cut == ""
    assert session.end is None
    assert len(session.frames) > 50
    assert len(session.observations) > 50


def test_supervisor_killed(session_dir: Path, endpoint: str) -> None:
    expected, announce = SPAWN.Pipe(duplex=False)
    supervisor = SPAWN.Process(target=supervise_recorder, args=(session_dir, endpoint, announce))
    supervisor.start()
    recorder = os.pidfd_open(expected.recv())
    loop = SyntheticLoop(endpoint)
    loop.frame(0)
    os.kill(supervisor.pid or 0, signal.SIGKILL)
    supervisor.join(PATIENCE_S)
    ended, _, _ = select.select([recorder], [], [], PATIENCE_S)
    os.close(recorder)
    loop.close()
    assert ended, "the recorder outlived its supervisor"
    session = Session.read(session_dir)
    assert session.cut == ""
    assert len(session.frames) == 1


def test_ctrl_c_is_left_to_the_supervisor(session_dir: Path, endpoint: str) -> None:
    process = start_recorder(session_dir, endpoint)
    loop = SyntheticLoop(endpoint)
    loop.frame(0)
    os.kill(process.pid or 0, signal.SIGINT)
    process.join(0.3)
    assert process.exitcode is None
    loop.frame(1)
    os.kill(process.pid or 0, signal.SIGTERM)
    process.join(PATIENCE_S)
    loop.close()
    assert process.exitcode == 0
    session = Session.read(session_dir)
    assert session.cut == ""
    assert len(session.frames) == 2


def test_a_folder_that_holds_a_log_is_refused(session_dir: Path, endpoint: str, capfd) -> None:
    (session_dir / "log.mcap").write_bytes(b"precious")
    process = start_recorder(session_dir, endpoint)
    process.join(PATIENCE_S)
    assert process.exitcode == 1
    message = capfd.readouterr().err
    assert "recorder: cannot write" in message
    assert "Traceback" not in message
    assert (session_dir / "log.mcap").read_bytes() == b"precious"
