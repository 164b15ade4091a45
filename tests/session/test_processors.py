"""Processors of DeepLabCut-Live, in real processes, on poses of a real publisher."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.published_poses import AGE_MS, TO_POSE_MS, PosePublisher, pose_xy

from rt_pose.clock import FakeClock, HostClock
from rt_pose.config.check import check_run
from rt_pose.config.schema import CameraConfig, ProcessorConfig, PublishConfig, RunConfig
from rt_pose.errors import UserError
from rt_pose.session import processor_files
from rt_pose.session.pose_feed import PoseFeed
from rt_pose.session.processor_class import as_plain, load_processor, stand_in_for_dlclive
from rt_pose.session.processor_watch import Processors

SOURCE = '''
import json
import sys
import threading

from dlclive import Processor


class Lamp(Processor):
    """Doubles what it is handed, and keeps its times."""

    def __init__(self, word):
        super().__init__()
        self.word, self.times = word, []

    def process(self, pose, **kwargs):
        print(self.word, flush=True)
        self.times.append(kwargs)
        pose *= 2
        return pose

    def save(self, file):
        with open(file + ".json", "w") as stream:
            json.dump(self.times, stream)
        return 1


class Same(Processor):
    pass


class Broken(Processor):
    def process(self, pose, **kwargs):
        if kwargs["frame_time"] and not hasattr(self, "again"):
            self.again = True
            raise ValueError("no\\nlamp")
        sys.exit("away")


class Stuck(Processor):
    def process(self, pose, **kwargs):
        threading.Event().wait()


class NoProcessor:
    pass


def function():
    pass
'''


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("own") / "lamp.py"
    path.write_text(SOURCE)
    return path


class Ran:
    """What came of four processors that were handed poses for a moment."""

    def __init__(self, file: Path, session: Path) -> None:
        self.session, clock = session, FakeClock()
        self.warnings: list[str] = []
        own = {
            "lamp": ProcessorConfig(f"{file}:Lamp", {"word": "seen"}, individual=1),
            "broken": ProcessorConfig(f"{file}:Broken"),
            "stuck": ProcessorConfig(f"{file}:Stuck"),
            "far": ProcessorConfig(f"{file}:Same", individual=2),
        }
        processors = Processors(RunConfig(cameras={"top": CameraConfig("simulated")}, processors=own), clock)
        publisher = PosePublisher()
        try:
            processors.await_ready()
            session.mkdir()
            processors.begin({"publish": publisher.address}, session)
            publisher.send_until(lambda: self._has_seen_enough(processors))
            for _ in range(4):  # to the supervisor, 3.6 s in which no report came
                clock.advance_ms(900)
                self.warnings += processors.news()
            began = time.monotonic()
            self.warnings += processors.end(patience_s=2.0)
            self.took_s = time.monotonic() - began
        finally:
            processors.close()
            publisher.close()
        self.counts, self.sent = processors.summary(), publisher.sent
        self.calls = [json.loads(line) for line in self.text("lamp.jsonl").splitlines()]

    def text(self, name: str) -> str:
        return (self.session / processor_files.FOLDER / name).read_text()

    def _has_seen_enough(self, processors: Processors) -> bool:
        self.warnings += processors.news()
        found = processors.summary()
        return (
            found["lamp"]["calls"] > 2 and found["broken"]["exceptions"] > 1 and bool(found["far"]["problem"])
        )


@pytest.fixture(scope="module")
def ran(file: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    return Ran(file, tmp_path_factory.mktemp("run") / "session")


def test_it_is_handed_the_pose_and_its_times(ran: Ran) -> None:
    first = ran.calls[0]
    returned = np.array(first["returned"], np.float64)
    np.testing.assert_allclose(returned[:, :2], pose_xy(first["frame"])[1] * 2, atol=1e-4)
    assert returned[:, 2].tolist() == [1.5, 0.0, 1.5], "a lost keypoint has no likelihood"
    assert first["t_exposure_ns"] + AGE_MS * 1e6 < first["t_called_ns"] < first["t_returned_ns"]
    times = json.loads(ran.text("lamp-saved.json"))
    assert len(times) == ran.counts["lamp"]["calls"] == len(ran.calls)
    assert time.time() - 60 < times[0]["frame_time"] < time.time()
    assert times[0]["pose_time"] - times[0]["frame_time"] == pytest.approx(
        (TO_POSE_MS + 1.0) / 1000, abs=1e-6
    )
    assert times[0]["record"] is True
    assert ran.text("lamp.txt").split() == ["seen"] * len(ran.calls)
    assert ran.counts["lamp"]["saved"] == "save returned 1"


def test_every_pose_is_handed_over_or_counted_as_skipped(ran: Ran) -> None:
    lamp = ran.counts["lamp"]
    frames = [call["frame"] for call in ran.calls]
    assert frames == sorted(set(frames))
    assert lamp["calls"] + lamp["skipped"] == frames[-1] + 1 <= ran.sent
    assert (lamp["exceptions"], lamp["ended"]) == (0, True)


def test_what_it_raises_is_said_once_and_counted(ran: Ran) -> None:
    broken = ran.counts["broken"]
    assert broken["calls"] == broken["exceptions"] > 1
    assert broken["first_exception"].startswith("ValueError: no lamp (lamp.py, line ")
    assert [text for text in ran.warnings if "'broken'" in text and "raised" in text] == [
        f"processor 'broken': raised {broken['first_exception']}; what follows is counted",
        f"processor 'broken' raised {broken['exceptions']} times",
    ]
    assert "ValueError: no" in ran.text("broken.txt")


def test_one_that_never_returns_is_said_and_killed_in_time(ran: Ran) -> None:
    for said in (
        "has not returned for 3.6 s; poses are skipped meanwhile",
        "did not end in time and was killed",
    ):
        assert f"processor 'stuck' {said}" in ran.warnings
    assert ran.counts["stuck"]["ended"] is False
    assert ran.took_s < 20


def test_an_individual_that_is_not_there_is_said(ran: Ran) -> None:
    assert "processor 'far': there is no individual 2: a pose has 2" in ran.warnings
    assert ran.counts["far"]["calls"] == 0


@pytest.mark.parametrize("format", ["msgpack", "json"])
def test_the_feed_gives_the_newest_pose_in_either_format(format: Any) -> None:
    publisher = PosePublisher(format)
    feed = PoseFeed(publisher.address, None, "top", format == "json", HostClock())
    publisher.send_until(lambda: feed.socket.poll(1))
    for _ in range(3):
        publisher.send()
    newest = None
    while newest is None or newest.frame < publisher.sent - 1:
        feed.socket.poll(1000)
        newest = feed.newest() or newest
    np.testing.assert_allclose(newest.values[..., :2], pose_xy(newest.frame), atol=1e-4)
    assert newest.values[0, :, 2].tolist() == [0.75, 0.0, 0.75]
    assert 0 < feed.skipped < publisher.sent
    feed.close()
    publisher.close()


@pytest.mark.parametrize(
    ("source", "options", "said"),
    [
        ("{file}:Lmp", {}, "there is no class Lmp in it, did you mean 'Lamp'?"),
        ("{file}:function", {}, "there is no class function in it"),
        ("{file}:Lamp", {}, "missing 1 required positional argument: 'word'"),
        ("{file}:NoProcessor", {}, "it has no method `process(pose, **kwargs)`"),
        ("no_such_module:Lamp", {}, "ModuleNotFoundError: No module named 'no_such_module'"),
    ],
)
def test_what_cannot_be_made_is_refused(
    source: str, options: dict[str, Any], said: str, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("dlclive", "dlclive.processor", "dlclive.processor.processor"):
        monkeypatch.setitem(sys.modules, name, sys)  # so that it is as before afterwards
        del sys.modules[name]
    stand_in_for_dlclive()
    with pytest.raises(UserError) as refused:
        load_processor(source.format(file=file), options)
    assert said in str(refused.value)


def test_mistakes_in_the_configuration(file: Path) -> None:
    own = {
        "a b": ProcessorConfig(f"{file}:Lamp"),
        "form": ProcessorConfig("lamp.py"),
        "gone": ProcessorConfig("nowhere/lamp.py:Lamp"),
        "camera": ProcessorConfig(f"{file}:Lamp", camera="tpo", individual=-1),
    }
    config = RunConfig(cameras={"top": CameraConfig("simulated")}, publish=PublishConfig(), processors=own)
    with pytest.raises(UserError) as refused:
        check_run(config)
    for said in (
        "'a b' cannot be a name",
        "processors.form.source: expected FILE.py:Class or package.module:Class, got 'lamp.py'",
        "processors.gone.source: there is no file nowhere/lamp.py",
        "processors.camera.camera: there is no camera 'tpo', did you mean 'top'?",
        "processors.camera.individual: expected 0 or more, got -1",
    ):
        assert said in str(refused.value)


def test_what_it_returns_is_written_down_as_plain_values() -> None:
    pose = np.array([[1.0, np.nan, 0.5]])
    assert as_plain(pose.copy(), pose) == {}
    assert as_plain(None, pose) == {"returned": None}
    assert as_plain([1, 2.5], pose) == {"returned": [1.0, 2.5]}
    assert as_plain([[1], [2, 3]], pose) == {"returned": "[[1], [2, 3]]"}
    assert as_plain(np.zeros(5000), pose) == {"returned": "5000 numbers"}
    assert as_plain("on", pose) == {"returned": "'on'"}


def test_prints_are_kept_short_and_files_of_nothing_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processor_files, "MAX_PRINTED_BYTES", 10)
    folder = tmp_path / processor_files.FOLDER
    folder.mkdir()
    (folder / "lamp.txt").write_text("on\n" * 5)
    processor_files.keep_prints_short(tmp_path, "lamp")
    assert (folder / "lamp.txt").read_text() == ""
    (folder / "lamp.jsonl").touch()
    processor_files.discard_files(tmp_path, "lamp")
    assert not folder.exists()
