"""The network once more on a session's film."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from support.discs import KEYPOINTS, write_discs
from support.tiny_package import make_tiny_package

import rigs
from rt_pose.audit.from_video import format_moved, from_video
from rt_pose.clock import HostClock
from rt_pose.config.rules import ActionConfig, RuleConfig, ZoneConfig
from rt_pose.config.schema import (
    CameraConfig,
    CropConfig,
    EngineConfig,
    OutputConfig,
    PublishConfig,
    RunConfig,
)
from rt_pose.errors import UserError
from rt_pose.session.read import Session
from rt_pose.session.run import run_session


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session of discs through the real program, filmed."""
    folder = tmp_path_factory.mktemp("filmed")
    make_tiny_package(folder / "package", keypoints=KEYPOINTS)
    video = write_discs(folder / "discs.mkv", 75)
    config = RunConfig(
        model=str(folder / "package"),
        cameras={
            "top": CameraConfig(
                "video", {"path": str(video), "skip_when_late": False}, CropConfig(300, 240, min_seen=0.3)
            )
        },
        outputs={"stimulus": OutputConfig("simulated", {})},
        zones={"right": ZoneConfig([230.0, 128.0, 40.0])},
        rules=[RuleConfig("right", "inside(k0, right)", ActionConfig("stimulus", "5 ms"))],
        engine=EngineConfig(precision="float32", threads=1),
        publish=PublishConfig("tcp://127.0.0.1:*", "tcp://127.0.0.1:*"),
        budget_ms=500.0,
        frames="every",
        armed_at_start=True,
    )
    assert run_session(config, folder / "session", rigs.register, HostClock()).ok
    return folder / "session"


def test_the_film_gives_nearly_the_same_poses_and_the_same_events(recorded: Path) -> None:
    session = Session.read(recorded)
    comparison, moved = from_video(session)
    assert moved.frames + moved.not_filmed == len(session.observations)
    assert moved.frames > 40
    assert {o.window is None for o in session.observations} == {True, False}, "looked at whole, then followed"
    assert moved.largest_px is not None
    assert 0.0 < moved.largest_px < 1.0, "H.264 moves discs by a fraction of a pixel"
    assert not moved.notes
    assert [t.event.frame_index for t in comparison.before] == [e.event.frame_index for e in session.events]
    assert len(comparison.before) == 2
    assert len(comparison.after) == 2
    assert any("largest pose difference" in line for line in format_moved(moved))


def test_frames_that_were_not_decided_on_stay_out(recorded: Path) -> None:
    session = Session.read(recorded)
    del session.observations[10:20]
    _, moved = from_video(session)
    assert moved.frames + moved.not_filmed == len(session.observations)


def test_a_frame_that_is_not_in_the_film_keeps_its_logged_pose(recorded: Path, tmp_path: Path) -> None:
    copy = tmp_path / "session"
    shutil.copytree(recorded, copy)
    table = copy / "top.times.csv"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join([*lines[:-6], *(f"-1{line}" for line in lines[-6:])]))
    session = Session.read(copy)
    _, whole = from_video(Session.read(recorded))
    comparison, moved = from_video(session)
    assert moved.not_filmed == whole.not_filmed + 6
    assert len(comparison.after) == 2


def test_another_package_is_told(recorded: Path, tmp_path: Path) -> None:
    package = tmp_path / "package"
    shutil.copytree(recorded.parent / "package", package)
    from rt_pose.package import read_package, write_package

    read = read_package(package)
    read.manifest.training = {"note": "another"}
    write_package(package, read.manifest, read.golden, lambda _: None)
    _, moved = from_video(Session.read(recorded), str(package))
    assert any(note.startswith("another package than the session's") for note in moved.notes)
    assert moved.largest_px is not None
    assert moved.largest_px < 1.0


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda s: (s.path / "top.times.csv").unlink(), "camera 'top' was not filmed"),
        (lambda s: setattr(s.info.package, "path", "/nowhere/package"), "say where it is: --model FOLDER"),
        (lambda s: s.info.package.keypoints.append("tail"), "the session's rules and filter are for"),
    ],
)
def test_what_cannot_be_looked_at(
    recorded: Path, tmp_path: Path, spoil: Callable[[Session], None], expected: str
) -> None:
    shutil.copytree(recorded, tmp_path / "session")
    session = Session.read(tmp_path / "session")
    spoil(session)
    with pytest.raises(UserError, match=expected):
        from_video(session)


def test_a_project_that_was_moved_has_its_package_still(recorded: Path, tmp_path: Path) -> None:
    """Wherever session and package went together, by the path that the run was given."""
    project = tmp_path / "moved"
    shutil.copytree(recorded.parent / "package", project / "models" / "fly" / "package")
    shutil.copytree(recorded, project / "sessions" / "first")
    for path in ("models/fly/package", "/home/me/old/models/fly/package"):
        session = Session.read(project / "sessions" / "first")
        session.info.package.path = path
        _, moved = from_video(session)
        assert not moved.notes
        assert moved.frames > 40
