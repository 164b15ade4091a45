"""The comparison on a recorded video: its shortened video, its arithmetic, its command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from bench.peers.litpose import TimedRuntime, _peer, _ratios, _rounds, main, onnx_spec, shortened, table
from rt_pose.config.build import build
from rt_pose.errors import UserError
from rt_pose.video import probe, read_frames
from train.importing.onnx_model import OnnxSpec
from train.importing.original_program import WorkerProcess


class Nobody:
    """Of other processes."""

    def start(self) -> None:
        """Nothing to count."""

    def share(self) -> float:
        return 0.0


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "grey.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for level in range(40):
            image = np.full((48, 64, 3), 5 * level, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        out.mux(stream.encode())
    return path


def test_a_shortened_video_begins_with_the_same_frames(video: Path, tmp_path: Path) -> None:
    short = shortened(video, 15, tmp_path)
    assert probe(short).frames == 15
    for ours, whole in zip(read_frames(short, 1), read_frames(video, 1), strict=False):
        np.testing.assert_array_equal(ours.image, whole.image)
    assert shortened(video, 0, tmp_path) == video


def test_the_spec_is_one_that_an_import_reads() -> None:
    spec = build(OnnxSpec, onnx_spec(), "spec")
    assert len(spec.keypoints) == 17
    assert spec.input.mean == pytest.approx([123.675, 116.28, 103.53])


def test_every_runner_runs_once_a_round_in_turning_order() -> None:
    order: list[str] = []

    def runner(name: str) -> TimedRuntime:
        def seconds(_: Path) -> float:
            order.append(name)
            return 1.0

        return TimedRuntime(name, seconds)

    nobody: Any = Nobody()
    runners = [runner("a"), runner("b")]
    assert _rounds(3, runners, Path("x"), nobody) == [0.0] * 3
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert [len(one.took_s) for one in runners] == [3, 3]


def test_ratios_are_to_the_first_and_to_the_fastest() -> None:
    peers = [
        TimedRuntime("default", lambda _: 0.0, [12.0, 30.0, 12.0]),
        TimedRuntime("best", lambda _: 0.0, [8.0]),
    ]
    ours = TimedRuntime("ours", lambda _: 0.0, [2.0])
    assert _ratios(ours, peers) == {"times_faster": {"first": 6.0, "fastest": 4.0}}


def test_the_table_names_the_fastest_and_tells_the_ratios() -> None:
    peers = [
        {"name": "P, eager", "median_s": 12.0, "frames_per_s": 8.0},
        {"name": "P, onnx", "median_s": 8.0, "frames_per_s": 12.0},
    ]
    ours = [{"name": "o", "median_s": 2.0, "frames_per_s": 48.0} | _ratios_of(6.0, 4.0)]
    figures = {
        "machine": {"cpu": "C", "cores_usable": 2, "features": []},
        "peer": {"name": "P", "threads": 2},
        "video": {"source": "v.mp4", "frames": 96},
        "rounds": {"n": 1, "others_share": [0.01]},
        "peers": peers,
        "ours": ours,
    }
    text = table(figures)
    assert "its fastest, P, onnx." in text
    assert "48.0" in text
    assert "6.00" in text
    assert "4.00" in text


@pytest.mark.parametrize("wanted", ["eager", "torch:4", "onnx:0"])
def test_a_peer_is_a_runtime_and_a_batch(wanted: str, tmp_path: Path) -> None:
    nobody: Any = None
    with pytest.raises(UserError, match="expected RUNTIME:BATCH"):
        _peer(wanted, nobody, "P", tmp_path)


def test_a_process_beside_answers_and_tells_why_it_ended() -> None:
    echo = "import sys; print(sys.stdin.readline(), end='', flush=True); sys.exit('no more')"
    with WorkerProcess([sys.executable, "-c", echo], "echo") as program:
        program.order({"do": "say"})
        assert program.answer() == {"do": "say"}
        with pytest.raises(UserError, match="echo: the original program ended: no more"):
            program.answer()


def test_a_missing_python_is_told(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["x", "--python", str(tmp_path / "none"), "--work", str(tmp_path), "--video", str(video)]
    monkeypatch.setattr(sys, "argv", words)
    assert main() == 2
    assert "no such file; expected the Python" in capsys.readouterr().err


def _ratios_of(first: float, fastest: float) -> dict[str, Any]:
    return {"times_faster": {"first": first, "fastest": fastest}}
