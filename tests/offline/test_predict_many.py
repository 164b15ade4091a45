"""Many videos: none lost, none repeated, each failure told."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest
from support.disc_videos import write_disc_video
from support.log_lines import log_into
from support.programs import install as programs_begin_warm
from support.tiny_package import make_tiny_package

from rt_pose.cli.main import main
from rt_pose.config.schema import EngineConfig
from rt_pose.errors import UserError
from rt_pose.offline.find_videos import find_videos, with_covariances
from rt_pose.offline.predict import predict_video
from rt_pose.offline.predict_many import PredictionOutcome, conclude, predict_many
from rt_pose.offline.prediction_record import exclusive_lock, record_path, state
from rt_pose.package import Package, write_manifest

FLOAT32 = EngineConfig(precision="float32", preprocess="dali")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return make_tiny_package(tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("videos")
    for i, name in enumerate(("a.avi", "b/c.avi", "b/d.avi")):
        write_disc_video(folder / name, frames=6 + i)
    return folder


def _run(package: Package, videos: Path, out: Path) -> tuple[PredictionOutcome, list[str]]:
    messages: list[str] = []
    jobs = find_videos(str(videos), out)
    return log_into(messages, predict_many, package, jobs, FLOAT32), messages


def test_each_table_is_that_of_its_video_alone(package: Package, videos: Path, tmp_path: Path) -> None:
    outcome, messages = _run(package, videos, tmp_path / "out")
    assert outcome.predicted == ["a.avi", "b/c.avi", "b/d.avi"]
    predict_video(package, videos / "b" / "d.avi", tmp_path / "alone.csv", FLOAT32)
    assert (tmp_path / "out" / "b" / "d.csv").read_bytes() == (tmp_path / "alone.csv").read_bytes()
    assert messages[0] == "3 videos, 0 of them done before"
    assert messages[2].startswith("[1/3, ")
    assert messages[2].endswith("left] a.avi: 6 frames")
    assert not list((tmp_path / "out").rglob("*.part"))


def test_what_is_done_is_never_done_again(package: Package, videos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    _run(package, videos, out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.csv")}
    (out / "a.csv").unlink()  # lost
    record_path(find_videos(str(videos), out)[1]).unlink()  # killed between table and record
    table = out / "b" / "d.csv"
    outcome, messages = _run(package, videos, out)
    assert messages[0] == "3 videos, 1 of them done before"
    assert outcome == PredictionOutcome(["a.avi", "b/c.avi"], 1, [])
    assert table.stat().st_mtime_ns == before[table]
    outcome, messages = _run(package, videos, out)
    assert outcome == PredictionOutcome([], 3, [])
    assert messages == ["3 videos, 3 of them done before"]  # not even an engine was opened


def test_a_cut_table_another_video_and_another_package_are_noticed(
    package: Package, videos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    films = tmp_path / "films"
    for name in ("a.avi", "b.avi"):
        write_disc_video(films / name, frames=4)
    _run(package, films, out)
    first, second = find_videos(str(films), out)
    first.out.write_text(first.out.read_text()[:-30])
    write_disc_video(second.video, frames=5)
    assert [state(job, package.sha256) for job in (first, second)] == ["open", "stale"]
    outcome, messages = _run(package, films, out)
    assert outcome.predicted == ["a.avi", "b.avi"]
    assert "1 were done with another package, or their videos have changed" in messages[1]
    assert len(second.out.read_text().splitlines()) == 3 + 5
    other = make_tiny_package(tmp_path / "other")
    other.manifest.training["note"] = "trained for longer"
    assert _run(write_manifest(other.path, other.manifest), films, out)[0].predicted == ["a.avi", "b.avi"]
    record_path(first).write_text("{half a rec")
    assert state(first, package.sha256) == "open"


def test_covariances_asked_for_later_are_made(package: Package, tmp_path: Path) -> None:
    films, out = tmp_path / "films", tmp_path / "out"
    write_disc_video(films / "a.avi", frames=3)
    jobs = find_videos(str(films), out)
    assert predict_many(package, jobs, FLOAT32).predicted == ["a.avi"]
    asked = with_covariances(jobs)
    assert predict_many(package, asked, FLOAT32).predicted == ["a.avi"]
    assert len((out / "a_covariance.csv").read_text().splitlines()) == 3 + 3
    for again in (asked, jobs):
        assert predict_many(package, again, FLOAT32).done_before == 1
    write_disc_video(films / "a_covariance.avi", frames=3)
    with pytest.raises(UserError, match=r"would both become .*a_covariance\.csv; rename one"):
        with_covariances(find_videos(str(films), out))


def test_failures_are_listed_with_their_reasons_and_the_rest_goes_on(
    package: Package, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    films, out = tmp_path / "films", tmp_path / "out"
    write_disc_video(films / "good.avi", frames=4)
    whole = write_disc_video(films / "cut.avi", frames=8)
    whole.write_bytes(whole.read_bytes()[:-9000])
    (films / "empty.mp4").write_text("")
    verb = ["predict", "--model", str(package.path), "--videos", str(films), "--out", str(out)]
    verb += ["--engine.precision", "float32"]
    assert main(verb) == 1
    lines = (out / "failures.txt").read_text().splitlines()
    assert [line.split(":")[0] for line in lines] == ["cut.avi", "empty.mp4"]
    assert "cut off" in lines[0]
    assert "not a video" in lines[1]
    messages = capsys.readouterr().out
    assert "1 predicted, 0 done before, 2 failed" in messages
    assert messages.count("failed: empty.mp4: video") == 1
    assert sorted(path.name for path in out.glob("*.csv")) == ["good.csv", "overview.csv"]
    (films / "empty.mp4").unlink()
    write_disc_video(films / "cut.avi", frames=8)
    assert main(verb) == 0
    assert "1 predicted, 1 done before, 0 failed" in capsys.readouterr().out
    assert not (out / "failures.txt").exists()


def test_killed_and_started_again_it_loses_nothing_and_repeats_nothing(
    package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs_begin_warm(monkeypatch.setattr)
    films, out = tmp_path / "films", tmp_path / "out"
    for name, frames in (("a", 3), ("b", 200), ("c", 3)):
        write_disc_video(films / f"{name}.avi", frames)
    verb = ["predict", "--model", str(package.path), "--videos", str(films), "--out", str(out)]
    verb += ["--engine.precision", "float32", "--engine.threads", "1"]
    process = subprocess.Popen([sys.executable, "-m", "rt_pose.cli", *verb], stdout=subprocess.DEVNULL)
    try:
        part = out / "b.csv.part"
        deadline = time.monotonic() + 60
        while not (part.is_file() and part.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.001)
        with (
            pytest.raises(UserError, match="another `rt-pose predict` is writing there"),
            exclusive_lock(out),
        ):
            pass
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert sorted(path.name for path in out.glob("*.csv")) == ["a.csv"]  # b was cut, c not begun
    before = (out / "a.csv").stat()
    outcome, _ = _run(package, films, out)
    assert outcome == PredictionOutcome(["c.avi", "b.avi"], 1, [])  # what was cut comes last
    assert (out / "a.csv").stat().st_mtime_ns == before.st_mtime_ns
    assert [len((out / f"{n}.csv").read_text().splitlines()) - 3 for n in "abc"] == [3, 200, 3]
    assert not list(out.glob("*.part"))


def test_a_record_says_what_made_the_table(package: Package, videos: Path, tmp_path: Path) -> None:
    _run(package, videos, tmp_path)
    job = find_videos(str(videos), tmp_path)[0]
    record = msgspec.json.decode(record_path(job).read_bytes())
    assert record["package"] == package.sha256
    assert (record["engine"], record["frames"]) == ("float32", 6)


def test_time_left_goes_by_the_bytes_of_video(package: Package, videos: Path, tmp_path: Path) -> None:
    messages: list[str] = []
    log_into(messages, predict_many, package, find_videos(str(videos), tmp_path), FLOAT32)
    expected = [re.fullmatch(r"\[(\d)/3(, \d:\d\d:\d\d left)?", line.split("]")[0]) for line in messages[2:]]
    assert [found and found[1] for found in expected] == ["1", "2", "3"]
    assert messages[-1].startswith("[3/3, 0:00:00 left]")


def test_conclude_says_nothing_of_failures_where_there_are_none(tmp_path: Path) -> None:
    messages: list[str] = []
    assert log_into(messages, conclude, PredictionOutcome(["a"], 2, []), tmp_path)
    assert messages == ["1 predicted, 2 done before, 0 failed"]


def test_one_of_video_and_videos_must_be_given(
    package: Package, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["predict", "--model", str(package.path), "--out", str(tmp_path / "out")]
    assert main(common) == 2
    assert main([*common, "--video", "a.avi", "--videos", str(videos)]) == 2
    assert capsys.readouterr().err.count("give either --video FILE, or --videos") == 2
