"""Many videos as tasks of submitit, by its local executor."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from support.disc_videos import write_disc_video
from support.log_lines import log_into
from support.tiny_package import make_tiny_package

from rt_pose.config.schema import EngineConfig
from rt_pose.errors import UserError
from rt_pose.offline.cluster import predict_on_cluster, split_jobs
from rt_pose.offline.cluster_config import ClusterConfig
from rt_pose.offline.find_videos import find_videos
from rt_pose.offline.predict_many import PredictionOutcome
from rt_pose.offline.submit import LOGS
from rt_pose.package import Package

pytest.importorskip("submitit")
pytestmark = pytest.mark.usefixtures("warm_programs")

FLOAT32 = EngineConfig(precision="float32", preprocess="dali", threads=1)


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    return make_tiny_package(tmp_path_factory.mktemp("package"))


def _run(package: Package, films: Path, out: Path, **cluster: object) -> tuple[PredictionOutcome, list[str]]:
    messages: list[str] = []
    config = ClusterConfig(**{"where": "local", "tasks": 2} | cluster)  # type: ignore[arg-type]
    jobs = find_videos(str(films), out)
    return log_into(messages, predict_on_cluster, package, jobs, out, FLOAT32, config), messages


def test_tasks_share_the_videos_and_a_second_go_does_the_rest(
    package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rt_pose.offline.cluster.POLL_S", 0.1)
    films, out = tmp_path / "films", tmp_path / "out"
    for name in "abc":
        write_disc_video(films / f"{name}.avi", frames=4)
    (films / "d.avi").write_text("no video")
    outcome, messages = _run(package, films, out)
    assert sorted(outcome.predicted) == ["a.avi", "b.avi", "c.avi"]
    assert [(f.name, "not a video" in f.reason) for f in outcome.failures] == [("d.avi", True)]
    assert messages[1] == f"4 videos in 2 tasks (local); logs in {out / LOGS}"
    before = (out / "a.csv").stat().st_mtime_ns
    write_disc_video(films / "d.avi", frames=4)
    outcome, messages = _run(package, films, out)
    assert outcome == PredictionOutcome(["d.avi"], 3, [])
    assert (out / "a.csv").stat().st_mtime_ns == before
    assert _run(package, films, out)[1] == ["4 videos, 4 of them done before"]


def test_a_task_that_cannot_begin_fails_with_its_reason(package: Package, tmp_path: Path) -> None:
    films, out = tmp_path / "films", tmp_path / "out"
    write_disc_video(films / "a.avi", frames=4)
    gone = Package(tmp_path / "gone", package.manifest, package.golden)  # deleted after it was submitted
    outcome, _ = _run(gone, films, out, tasks=1)
    assert [f.name for f in outcome.failures] == ["a.avi"]
    assert "no such folder" in outcome.failures[0].reason


def test_shares_are_of_about_the_same_size(tmp_path: Path) -> None:
    for name, size in zip("abcdef", (60, 10, 20, 30, 20, 40), strict=True):
        (tmp_path / f"{name}.avi").write_bytes(bytes(size))
    shares = split_jobs(find_videos(str(tmp_path), tmp_path / "out"), 3)
    assert [[job.name[0] for job in share] for share in shares] == [["a"], ["e", "f"], ["b", "c", "d"]]
    assert len(split_jobs(find_videos(str(tmp_path), tmp_path / "out"), 50)) == 6


def test_what_cannot_be_submitted_is_refused(package: Package, tmp_path: Path) -> None:
    films = tmp_path / "films"
    write_disc_video(films / "a.avi", frames=2)
    if shutil.which("sbatch") is None:
        with pytest.raises(UserError, match="no `sbatch` on this machine"):
            _run(package, films, tmp_path / "out", where="slurm")
    with pytest.raises(UserError, match=r"cluster.tasks: expected at least 1, got 0"):
        _run(package, films, tmp_path / "out", tasks=0)
