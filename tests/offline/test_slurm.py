"""Many videos as a job array of a real SLURM: a failed video, a killed job, a requeue, the command again."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import av
import msgspec
import pytest
from support import slurm_node
from support.disc_videos import write_disc_video
from support.log_lines import log_into
from support.tiny_package import make_tiny_package

from rt_pose.config.schema import EngineConfig
from rt_pose.errors import UserError
from rt_pose.offline import cluster
from rt_pose.offline.cluster import predict_on_cluster
from rt_pose.offline.cluster_config import ClusterConfig
from rt_pose.offline.find_videos import VideoJob, find_videos
from rt_pose.offline.finish import Finish
from rt_pose.offline.overview import write_overview
from rt_pose.offline.predict_many import PredictionOutcome
from rt_pose.offline.prediction_record import file_bytes
from rt_pose.offline.quality_config import LimitsConfig, QualityConfig
from rt_pose.offline.slurm_tasks import FILE, SubmittedTasks, queue_states
from rt_pose.offline.submit import LOGS
from rt_pose.package import Package

pytest.importorskip("submitit")
pytestmark = pytest.mark.alone

ENGINE = EngineConfig(precision="float32", threads=1)
TURNS = 250
"""Of 20 frames, in a video that is being predicted long enough to be killed."""
T = TypeVar("T")


@pytest.fixture(scope="module")
def slurm() -> Iterator[None]:
    if reason := slurm_node.missing():
        pytest.skip(reason)
    with slurm_node.slurm_node() as environment, pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setattr(cluster, "QUEUE_POLL_S", 0.3)
        patch.setattr(cluster, "LATE_FILES_S", 0.0)
        yield


def write_long_video(path: Path, turns: int) -> None:
    """A film of 20 frames, again and again: nothing is encoded more than once."""
    once = write_disc_video(path.with_name("once.avi"), frames=20)
    with av.open(str(once)) as source, av.open(str(path), "w") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        packets = [packet for packet in source.demux(source.streams.video[0]) if packet.size]
        for i in range(20 * turns):
            packet = packets[i % 20]
            packet.pts, packet.dts, packet.stream = i, i, stream
            container.mux(packet)
    once.unlink()


class Run:
    """The command, given again and again."""

    def __init__(self, package: Package, folder: Path) -> None:
        self.package, self.films, self.out = package, folder / "films", folder / "out"
        self.lines: list[str] = []

    def jobs(self) -> list[VideoJob]:
        return find_videos(str(self.films), self.out)

    def __call__(self, **options: object) -> PredictionOutcome:
        given = {"where": "slurm", "tasks": 2, "cpus": 1, "memory_gb": 1, "minutes": 10} | options
        config, finish = ClusterConfig(**given), Finish(QualityConfig(worst=2))  # type: ignore[arg-type]
        self.lines.clear()
        jobs = self.jobs()
        return log_into(self.lines, predict_on_cluster, self.package, jobs, self.out, ENGINE, config, finish)

    def interrupt(self, patch: pytest.MonkeyPatch) -> None:
        """Ctrl-C as soon as the tasks are submitted."""

        def interrupted(*args: object) -> None:
            raise KeyboardInterrupt

        with patch.context() as inner:
            inner.setattr(cluster, "_wait", interrupted)
            with pytest.raises(KeyboardInterrupt):
                self()

    def task_of_long(self) -> str | None:
        """The task that is predicting the long video; None where none is."""
        if not file_bytes(self.out / "long.csv.part"):
            return None
        tasks = msgspec.json.decode((self.out / LOGS / FILE).read_bytes(), type=SubmittedTasks).tables
        left = queue_states() or {}
        return next((t for t in left if any(table.endswith("long.csv") for table in tasks.get(t, []))), None)


def _wait_for(condition: Callable[[], T]) -> T:
    deadline = time.monotonic() + 40
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def _is_ending(task: str) -> bool:
    """Whether the daemon of the task's first run is still there: its last word would end the second, too."""
    command = ["pgrep", "-f", rf"^slurmstepd: \[{task}\."]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _slurm(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


@pytest.mark.usefixtures("slurm")
def test_a_killed_job_a_failed_video_and_a_requeue_lose_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(make_tiny_package(tmp_path / "package"), tmp_path)
    for name in ("a", "b"):
        write_disc_video(run.films / f"{name}.avi", frames=4)
    (run.films / "bad.avi").write_text("no video")
    with pytest.raises(UserError, match=r"the tasks were not taken: .*partition"):
        run(partition="nowhere")

    write_long_video(run.films / "long.avi", TURNS)

    killed: list[str] = []

    def kill_and_ask() -> dict[str, str] | None:
        if not killed and (task := run.task_of_long()):
            _slurm("scancel", "--signal=KILL", task)
            killed.append(task)
        return queue_states()

    with monkeypatch.context() as patch:
        patch.setattr(cluster, "queue_states", kill_and_ask)
        outcome = run()
    assert "4 videos in 2 tasks (slurm); logs in" in run.lines[1]
    assert (sorted(outcome.predicted), outcome.done_before) == (["a.avi", "b.avi"], 0)
    reasons = {failure.name: failure.reason for failure in outcome.failures}
    assert "not a video" in reasons["bad.avi"]
    # There is no accounting here, and yet it does not wait for ever.
    assert re.match(rf"task {killed[0]} ended before it; see .*/{killed[0]}_0_log.err", reasons["long.avi"])
    assert _grades(run) == {"a.avi": "good", "b.avi": "good", "bad.avi": "failed", "long.avi": "open"}

    (run.films / "bad.avi").unlink()
    (run.out / "long.csv.part").unlink()  # of the task that was killed
    run.interrupt(monkeypatch)
    assert any("interrupted; the tasks go on (`scancel " in line for line in run.lines)
    task = _wait_for(run.task_of_long)
    _slurm("scancel", "--signal=USR2", task)  # as SLURM does before the time limit
    _wait_for(lambda: (queue_states() or {}).get(task) == "PENDING" and not _is_ending(task))
    _slurm("scontrol", "update", f"JobId={task}", "StartTime=now")  # not some minutes later
    outcome = run()
    assert outcome == PredictionOutcome(["long.avi"], 2, [])
    assert "1 videos are with 1 tasks of an earlier run, which are waited for" in run.lines
    assert len((run.out / "long.csv").read_text().splitlines()) == 3 + 20 * TURNS
    assert f"Requeued job {task}" in "".join(
        log.read_text() for log in (run.out / LOGS).glob(f"{task}_0_log.*")
    )
    assert _grades(run) == {"a.avi": "good", "b.avi": "good", "long.avi": "good"}
    assert run() == PredictionOutcome([], 3, [])


def _grades(run: Run) -> dict[str, str]:
    rows = write_overview(run.out, LimitsConfig(), run.jobs())
    return {Path(row.video).name: row.grade for row in rows}
