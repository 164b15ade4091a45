"""The README's four commands, from a labeled folder to a replayed session: as written, but small."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import av
import numpy as np
import pytest
from support.labeled_folder import KEYPOINTS, SIZE, draw_discs, make_labeled_folder
from support.pages import BLOCKS, ROOT

from rt_pose.cli.main import main

FRAMES = 30
SMALL = """
    --steps 20 --validate_every 20 --threads 1
    --network.backbone tiny --network.width 96 --network.height 64 --network.head_width 16
    --optimiser.learning_rate 5e-3 --optimiser.backbone_factor 1.0
    --optimiser.freeze_backbone_steps 0 --optimiser.warmup_steps 5
"""
ANY_PORTS = "--publish.address tcp://127.0.0.1:* --publish.control tcp://127.0.0.1:*"
ENGINE = "--engine.threads 1 --engine.precision float32"
SETTINGS = {"train fit": SMALL, "run": f"{ANY_PORTS} {ENGINE}"}
"""Added to a command, by its verb."""


def write_video(path: Path) -> None:
    """The drawn discs on their way, 30 frames a second."""
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "gray"
        for i in range(FRAMES):
            xy = np.array([[30.0 + i, 30.0], [60.0, 20.0 + 0.8 * i], [90.0 - i, 60.0]])
            image = draw_discs(xy, SIZE, seed=i)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="gray")))
        container.mux(stream.encode(None))


@pytest.mark.timeout(600)  # one after the other, on a busy machine
def test_they_lead_from_labels_to_a_replayed_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    make_labeled_folder(tmp_path / "FOLDER", frames=40)
    write_video(tmp_path / "VIDEO.mp4")
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    (block,) = [b for b in BLOCKS if b.page == "README.md" and "train fit" in b.text]
    assert len(block.commands) == 4
    for command in block.commands:
        words = shlex.split(command)[1:]
        added = next((s for verb, s in SETTINGS.items() if command.startswith(f"rt-pose {verb} ")), "")
        status = main([*words, *shlex.split(added)])
        assert status == 0, f"{command}\n{capfd.readouterr()}"
    table = (tmp_path / "poses.csv").read_text().splitlines()
    assert len(table) == 3 + FRAMES
    assert all(name in table[1] for name in KEYPOINTS)
    report = json.loads((tmp_path / "sessions" / "first" / "report.json").read_text())
    assert report["frames"]["processed"] > 0
    answers = json.loads((tmp_path / "sessions" / "first" / "replay.json").read_text())
    assert answers["replay"]["identical"]
