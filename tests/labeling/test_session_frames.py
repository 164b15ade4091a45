"""Frames of sessions in which the model had trouble, with what it found as proposals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from support.random_session import HEIGHT, KEYPOINTS, WIDTH, random_config, write_random_session

from rt_pose.cli.labeling import _carry_out
from rt_pose.cli.main import main
from rt_pose.clock import FakeClock
from rt_pose.config.schema import CameraConfig
from rt_pose.errors import UserError
from rt_pose.labeling.frame_labels import Mark
from rt_pose.labeling.prepare import LabelOptions, prepare
from rt_pose.labeling.session_frames import read_filmed
from rt_pose.session.read import Session
from rt_pose.session.video_file import VideoWriter


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short session, filmed: a bright square goes where the first keypoint is."""
    path = tmp_path_factory.mktemp("sessions") / "first"
    config = replace(random_config(np.random.default_rng(4)), cameras={"top": CameraConfig("simulated")})
    write_random_session(path, seed=4, frames=120, config=config, calm=True)
    film = VideoWriter(path, "top", HEIGHT, WIDTH, 1, 100.0)
    for seen in Session.read(path).observations:
        image = np.full((HEIGHT, WIDTH, 1), 60, np.uint8)
        x, y = np.nan_to_num(seen.xy.array()[0, 0]).astype(int)
        image[max(y - 15, 0) : y + 15, max(x - 15, 0) : x + 15] = 220
        film.write(image, seen.stamps)
    film.close()
    return path


def test_frames_that_the_filter_did_not_expect_are_picked(session: Path, tmp_path: Path) -> None:
    read = Session.read(session)
    filmed = read_filmed(read, "top")
    assert (filmed.surprise >= 0).all()
    jumps = set(np.flatnonzero(filmed.surprise > 0).tolist())
    assert 2 <= len(jumps) < len(filmed.frames)
    options = LabelOptions(tmp_path / "f", sessions=[session], frames=8, scorer="anna")
    labeling = prepare(options, FakeClock())
    assert (labeling.editor.points.keypoints, len(labeling.editor.names)) == (KEYPOINTS, 8)
    reasons = {name: labeling.about(name) for name in labeling.editor.names}
    unexpected = [name for name, reason in reasons.items() if reason.startswith("unexpected")]
    assert len(unexpected) == 2
    for name in unexpected:
        assert name.startswith("labeled-data/first-top/img")
        assert filmed.frames.index(int(name[-12:-4])) in jumps
    index = labeling.editor.names.index(unexpected[0])
    labels, i = labeling.editor.labels_of(index), filmed.frames.index(int(unexpected[0][-12:-4]))
    confident = filmed.found.confidence[i] >= 0.15
    seen = confident & np.isfinite(filmed.found.xy[i]).all(axis=-1)
    assert (labels.marks == np.where(seen, Mark.PROPOSED, Mark.OPEN)).all()
    np.testing.assert_allclose(labels.xy[seen], filmed.found.xy[i][seen], atol=0.006)
    again = prepare(options, FakeClock())
    assert again.editor.names == labeling.editor.names
    project = yaml.safe_load((tmp_path / "f" / "config.yaml").read_text())
    assert [Path(video).stem for video in project["video_sets"]] == ["first-top"], "DeepLabCut reads these"
    with pytest.raises(UserError, match="labeled-data/first-top would hold frames of several recordings"):
        prepare(LabelOptions(tmp_path / "g", sessions=[session, session], scorer="anna"), FakeClock())


def test_the_next_commands_are_printed(
    session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["improve", str(session), "--out", str(tmp_path / "f"), "--frames", "3", "--pick-only"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert f"rt-pose train fit --data {tmp_path / 'f'} --out {tmp_path / 'f'}-improved --init_from" in out
    assert f"rt-pose replay {session} --from-video --model {tmp_path / 'f'}-improved/package" in out
    with pytest.raises(UserError, match="its model finds nose, paw, tail; labeled are snout"):
        prepare(
            LabelOptions(tmp_path / "g", sessions=[session], keypoints=["snout"], scorer="anna"), FakeClock()
        )


def test_what_would_stop_the_training_is_told_before_a_window_opens(
    session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["improve", str(session), "--out", str(tmp_path / "f"), "--pick-only", "--train"]
    training = tmp_path / "training"
    (training / "checkpoints").mkdir(parents=True)
    cases = {
        "name the training to go on from with `--init-from FOLDER`": [],
        "init_from: no checkpoint": ["--init-from", str(training)],
        "no configuration gone.yaml": ["gone.yaml", "--init-from", str(training)],
        "is there already": ["--init-from", str(training)],
    }
    for i, (message, more) in enumerate(cases.items()):
        if i == 2:
            (training / "checkpoints" / "best.ckpt").write_bytes(b"")
        if i == 3:
            (tmp_path / "f-improved").mkdir()
            (tmp_path / "f-improved" / "mine").write_text("")
        assert main([*words, *more]) == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "f").exists()


def test_a_training_that_fails_is_not_replayed(capfd: pytest.CaptureFixture[str]) -> None:
    assert _carry_out([["train", "nothing"], ["rules", "words"]]) == 2
    assert "a rule's `when`" not in capfd.readouterr().out
    assert _carry_out([["rules", "words"], ["replay", "nowhere"]]) == 2
    assert "a rule's `when`" in capfd.readouterr().out
