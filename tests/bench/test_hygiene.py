from __future__ import annotations

import gc
import itertools
from pathlib import Path

import pytest
from support.clip import write_clip
from support.tiny_package import make_tiny_package

from bench import hygiene
from bench.hygiene import Options, collections, measure, table
from rt_pose.errors import UserError


@pytest.mark.usefixtures("warm_programs")
def test_what_a_frame_allocates_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hygiene, "WARM_UP", 20)
    monkeypatch.setattr(hygiene, "PEAK_FRAMES", 20)
    monkeypatch.setattr(hygiene, "SNAPSHOT_FRAMES", 1)
    monkeypatch.setattr(hygiene, "MIN_FRAMES", 50)
    package = tmp_path / "package"
    make_tiny_package(package, keypoints=3)
    video = write_clip(tmp_path / "clip.mkv", frames=12)
    figures = measure(Options(model=str(package), video=video, frames=60, precision="float32"))
    stages = list(figures["peak_bytes"])
    assert stages[0] == "taken"
    assert stages[-2:] == ["published", "recorded"]
    # Pose, track and record of a frame live at its end: some line of ours made them.
    assert any(row["line"].startswith("rt_pose/loop/") and row["blocks"] >= 1 for row in figures["in_use"])
    assert figures["records_refused"] == 0
    assert abs(figures["kept_bytes_per_frame"]) < 10_000
    text = table(figures)
    assert "kept:" in text
    assert "collections:" in text
    gc.freeze()  # as the tests began: what was imported would be searched at each collection


def test_too_few_frames_are_refused() -> None:
    with pytest.raises(UserError, match="--frames"):
        measure(Options(model="none", video=Path("none.mp4"), frames=3))


def test_collections_are_counted() -> None:
    with collections() as runs:
        rings: list[list[object]] = []
        for _ in itertools.repeat(None, 5):
            ring: list[object] = []
            ring.append(ring)
            rings.append(ring)
        del rings, ring
        gc.collect()
    assert runs["gen2"] == 1
    assert runs["freed"] >= 5
