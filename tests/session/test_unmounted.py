"""A disk that is unmounted in mid-run: it is told, the run goes on, and the disk keeps what it was given."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from support.live_run import ScriptedObserver, config, run
from support.small_disk import mounted, pull
from support.tiny_package import make_tiny_package

from rt_pose.audit.replay import replay
from rt_pose.cli.live import _conclude
from rt_pose.config.schema import RecordConfig
from rt_pose.errors import ExitCode
from rt_pose.session.folder import SessionFolder
from rt_pose.session.read import RUNNING, Session


class PullsTheDisk(ScriptedObserver):
    """Unmounts the session's disk with the first frames, and notes when warnings come."""

    def __init__(self, disk: Path) -> None:
        super().__init__()
        self.session = -1
        """Descriptor of the session's folder, by which the disk can be read afterwards."""
        self.processed_before = 0
        self.delays: dict[str, float] = {}
        self._disk, self._pulled = disk, 0.0

    def stats(self, stats: dict[str, Any]) -> None:
        super().stats(stats)
        if self.session < 0 and stats["frames"]["processed"]:
            self.processed_before = stats["frames"]["processed"]
            self.session = os.open(self._disk / "session", os.O_RDONLY)
            pull(self._disk)
            self._pulled = time.monotonic()

    def warn(self, message: str) -> None:
        super().warn(message)
        self.delays[message] = time.monotonic() - self._pulled


@pytest.mark.alone
def test_a_disk_that_is_unmounted_is_told_and_keeps_the_session(tmp_path: Path, capfd: Any) -> None:
    package = make_tiny_package(tmp_path / "package", keypoints=3).path
    with mounted(tmp_path / "disk", "size=400m") as disk:
        watch = PullsTheDisk(disk)
        result = run(config(package, seconds=2.0, record=RecordConfig(video=True)), disk / "session", watch)
        (delay,) = (s for message, s in watch.delays.items() if "was moved or its disk unmounted" in message)
        assert delay < 5.0
        assert result.exit_code == ExitCode.INCOMPLETE
        assert f"the session is not in {disk / 'session'} any more: its disk was unmounted" in result.status
        assert result.summary["cameras"]["top"]["processed"] > watch.processed_before
        assert list(disk.iterdir()) == [], "nothing is put into the place of the disk"
        kept = tmp_path / "kept"
        shutil.copytree(f"/proc/self/fd/{watch.session}", kept)
        os.close(watch.session)
    assert sorted(file.name for file in kept.iterdir()) == [
        *("log.mcap", "session.json", "top.mkv", "top.times.csv"),
    ]
    assert json.loads((kept / "session.json").read_text())["status"] == "complete"
    session = Session.read(kept)
    assert (session.cut, len(session.observations)) == ("", result.summary["cameras"]["top"]["processed"])
    assert {record.do for record in session.controls}.isdisjoint({"emergency", "disarm"}), "outputs go on"
    assert replay(kept).identical
    assert _conclude(result, plot=True) == ExitCode.INCOMPLETE
    printed = capfd.readouterr()
    assert "its disk was unmounted" in printed.err
    assert not any(word in printed.err for word in ("Traceback", "Exception ignored", "no report"))
    assert "session:" not in printed.out


def test_nothing_is_written_into_the_place_of_a_disk_that_is_gone(tmp_path: Path) -> None:
    with mounted(tmp_path / "disk", "size=1m") as disk:
        folder = SessionFolder.claim(disk, {"schema": 1, "status": RUNNING})
        pull(disk)
        assert "its disk was unmounted" in folder.write({"schema": 1, "status": "complete"})
        folder.discard(["log.mcap"])
        folder.close()
        assert disk.is_dir()
        assert list(disk.iterdir()) == []
