"""A recorder stands by before there is a session: it writes nothing, and its end is noticed."""

from __future__ import annotations

from pathlib import Path

from rt_pose.clock import HostClock
from rt_pose.session.recorder_watch import RecorderWatch


def test_one_that_is_dismissed_has_written_nothing(tmp_path: Path) -> None:
    recorder = RecorderWatch(HostClock())
    recorder.dismiss()
    assert not recorder.process.is_alive()
    assert list(tmp_path.iterdir()) == []


def test_one_that_died_before_it_began_is_told(tmp_path: Path) -> None:
    recorder = RecorderWatch(HostClock())
    recorder.process.kill()
    recorder.process.join()
    recorder.begin(tmp_path, f"ipc://{tmp_path}/r", None)
    assert any("the recorder died (exit code -9)" in news for news in recorder.news())
    recorder.dismiss()
    assert recorder.over
