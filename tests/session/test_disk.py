"""A disk is tried before a session goes onto it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from support.small_disk import mounted

from rt_pose.clock import HostClock
from rt_pose.config.schema import RecordConfig, RunConfig
from rt_pose.errors import UserError
from rt_pose.files import MIB
from rt_pose.session.disk import LOG_BYTES_A_FRAME, check_disk, needed_mib_s, write_rate_mib_s
from rt_pose.types import CameraInfo

CAMERA = dataclasses.asdict(CameraInfo("top", "d", "1", 1000, 1000, 1, 100.0))


class SlowClock(HostClock):
    """On which everything takes 10,000 times as long."""

    def now_ns(self) -> int:
        return 10_000 * super().now_ns()


def test_the_rate_is_measured_and_nothing_stays(tmp_path: Path) -> None:
    assert write_rate_mib_s(tmp_path / "not" / "made", HostClock()) > 0.5
    assert list(tmp_path.iterdir()) == []


def test_what_a_session_needs() -> None:
    log_only = RunConfig(record=RecordConfig(video=False))
    assert needed_mib_s(log_only, {"top": CAMERA}) == pytest.approx(100 * LOG_BYTES_A_FRAME / MIB)
    film = needed_mib_s(RunConfig(), {"top": CAMERA, "side": CAMERA | {"rate_hz": None}})
    assert film == pytest.approx(130 * (10_000 + LOG_BYTES_A_FRAME) / MIB)


def test_a_disk_that_is_too_slow_or_too_small_is_refused(tmp_path: Path) -> None:
    check_disk(tmp_path / "s", RunConfig(seconds=1.0), {"top": CAMERA}, HostClock())
    with pytest.raises(
        UserError, match=r"takes 0\.0 MiB/s, and a session of these cameras writes 1\.2 MiB/s"
    ):
        check_disk(tmp_path / "s", RunConfig(), {"top": CAMERA}, SlowClock())
    with mounted(tmp_path / "disk", "size=16m") as disk:
        check_disk(disk, RunConfig(seconds=1.0), {"top": CAMERA}, HostClock())
        with pytest.raises(UserError, match=r"60 s of these cameras take 74 MiB or more, 16 MiB are free"):
            check_disk(disk, RunConfig(seconds=60.0), {"top": CAMERA}, HostClock())


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write into"):
        write_rate_mib_s(tmp_path / "file" / "session", HostClock())
