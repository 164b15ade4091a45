"""Many videos as an array of SLURM jobs, or of processes of this machine, through submitit.

Each task has its own share of the videos and writes tables and records as one process would; so a task that
is killed, or requeued at its time limit, loses only the video it was working on. What became of the videos is
read from their records, not from the tasks. Tasks of SLURM outlive the command that has submitted them: given
again, it waits for those that are not over, and submits what no task has.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rt_pose.clock import NS_PER_S, HostClock
from rt_pose.config.schema import EngineConfig
from rt_pose.console import progress
from rt_pose.offline.cluster_config import ClusterConfig
from rt_pose.offline.find_videos import VideoJob
from rt_pose.offline.finish import Finish
from rt_pose.offline.predict_many import Failure, PredictionOutcome, open_jobs, size_of
from rt_pose.offline.prediction_record import clear_failures, exclusive_lock, read_record, record_path, state
from rt_pose.offline.slurm_tasks import SubmittedTasks, queue_states, tasks_under_way, write_submitted
from rt_pose.offline.submit import LOGS, Share, make_executor, submit
from rt_pose.package import Package

_LOG = logging.getLogger(__name__)

POLL_S, QUEUE_POLL_S = 1.0, 5.0
"""How often local tasks are asked for, and SLURM's queue."""
LATE_FILES_S = 15.0
"""So late may a network's file system show what another machine has written."""
LONGEST_LINE = 200
"""Characters of a log's line in a message."""

Shares = dict[str, list[VideoJob]]
"""The videos of each task, by its id."""
Check = Callable[[VideoJob], bool]
Running = Callable[[], Mapping[str, str] | None]
"""Asks for the states of tasks that are not over; None where nobody answers."""


def predict_on_cluster(
    package: Package,
    jobs: Sequence[VideoJob],
    out: Path,
    engine: EngineConfig,
    cluster: ClusterConfig,
    finish: Finish | None = None,
) -> PredictionOutcome:
    """Divide the open jobs among tasks, submit these, and wait for them.

    Interrupted, SLURM's tasks go on and local ones are ended.

    Parameters
    ----------
    package
        The model package.
    jobs
        The videos with their tables.
    out
        Folder of the tables, and of the tasks' logs.
    engine
        The `engine` section of the configuration.
    cluster
        Where tasks run, how many, and what each may use.
    finish
        Makes what lies beside the tables; None for nothing.

    Returns
    -------
    PredictionOutcome
        What became of all videos.

    Raises
    ------
    UserError
        Where the cluster is not available or takes no tasks, or another run writes to `out`.
    """
    executor = make_executor(out, cluster)
    on_slurm = cluster.where == "slurm"
    with exclusive_lock(out, shared=on_slurm):  # SLURM's tasks of an earlier run may be writing there
        todo, outcome = open_jobs(package, jobs, finish)
    if not todo:
        return outcome
    fresh = {job for job in todo if state(job, package.sha256) != "done"}
    path, folder = package.path.absolute(), out.absolute()

    def share_of(videos: list[VideoJob]) -> Share:
        return Share(path, package.sha256, videos, folder, engine, finish)

    with exclusive_lock(out / LOGS):  # of two commands at once only one submits
        shares, tasks = _submit_open(executor, todo, share_of, out / LOGS, package.sha256, cluster)
    is_complete = partial(_is_complete, package.sha256, finish)
    try:
        _wait(shares, is_complete, queue_states if on_slurm else _running_here(tasks), on_slurm)
    except KeyboardInterrupt:
        _interrupted(shares, tasks, on_slurm)
        raise
    _collect(shares, is_complete, fresh, out, outcome)
    return outcome


def _submit_open(
    executor: Any,
    todo: Sequence[VideoJob],
    share_of: Callable[[list[VideoJob]], Share],
    logs: Path,
    sha256: str,
    cluster: ClusterConfig,
) -> tuple[Shares, Sequence[Any]]:
    """Submit the videos that no task has. The shares of all tasks, and the tasks that were submitted."""
    on_slurm = cluster.where == "slurm"
    under_way = tasks_under_way(logs, sha256) if on_slurm else {}
    shares = _shares_of(under_way, todo)
    taken = {job for share in shares.values() for job in share}
    new = split_jobs([job for job in todo if job not in taken], cluster.tasks)
    clear_failures(job for share in new for job in share)
    tasks = submit(executor, [share_of(share) for share in new])
    submitted = {task.job_id: share for task, share in zip(tasks, new, strict=True)}
    if on_slurm:
        tables = {task: [_table(job) for job in share] for task, share in submitted.items()}
        write_submitted(logs, SubmittedTasks(sha256, under_way | tables))
    if new:
        _LOG.info(f"{sum(map(len, new))} videos in {len(new)} tasks ({cluster.where}); logs in {logs}")
    return shares | submitted, tasks


def split_jobs(jobs: Sequence[VideoJob], tasks: int) -> list[list[VideoJob]]:
    """Divide jobs into shares of about the same bytes of video.

    Parameters
    ----------
    jobs
        The jobs.
    tasks
        The most shares.

    Returns
    -------
    list[list[VideoJob]]
        The shares, each in order of the videos' names.
    """
    shares: list[list[VideoJob]] = [[] for _ in range(min(tasks, len(jobs)))]
    bytes_of = [0] * len(shares)
    for size, job in sorted(((size_of(job), job) for job in jobs), key=lambda pair: -pair[0]):
        least = bytes_of.index(min(bytes_of))
        shares[least].append(job)
        bytes_of[least] += size
    return [sorted(share, key=lambda job: job.name) for share in shares]


def _shares_of(under_way: Mapping[str, Sequence[str]], todo: Iterable[VideoJob]) -> Shares:
    """Open videos that tasks of an earlier run have."""
    of_table = {_table(job): job for job in todo}
    shares = {
        task: [of_table[table] for table in tables if table in of_table] for task, tables in under_way.items()
    }
    if count := sum(map(len, shares.values())):
        _LOG.info(f"{count} videos are with {len(shares)} tasks of an earlier run, which are waited for")
    return {task: share for task, share in shares.items() if share}


def _table(job: VideoJob) -> str:
    """A job's table, as another working directory would name it too."""
    return str(job.out.absolute())


def _running_here(tasks: Sequence[Any]) -> Running:
    return lambda: {task.job_id: "RUNNING" for task in tasks if not task.done()}


def _wait(shares: Shares, is_complete: Check, running: Running, on_slurm: bool) -> None:
    """Until all tasks are over, with a bar of the videos that are done, and a line when tasks change."""
    clock = HostClock()
    waiting = [job for share in shares.values() for job in share]
    total, before = len(waiting), ""
    end_ns: int | None = None
    pause_ns = round((QUEUE_POLL_S if on_slurm else POLL_S) * NS_PER_S)
    with progress("videos", total) as report_progress:
        while True:
            states = running()
            waiting = [job for job in waiting if not (is_complete(job) or _failure(job))]
            report_progress(total - len(waiting))
            left = None if states is None else Counter(states[task] for task in shares if task in states)
            if left is not None:
                now = ", ".join(f"{count} {word.lower()}" for word, count in sorted(left.items()))
                if on_slurm and now != before:
                    _LOG.info(f"tasks: {now or 'all over'}")
                before = now
            if left is not None and not left:
                end_ns = end_ns or clock.now_ns() + round(LATE_FILES_S * NS_PER_S)
                if not (waiting and on_slurm) or clock.now_ns() >= end_ns:
                    return
            clock.sleep_until_ns(clock.now_ns() + pause_ns)


def _is_complete(sha256: str, finish: Finish | None, job: VideoJob) -> bool:
    return state(job, sha256) == "done" and not (finish is not None and finish.is_due(job))


def _failure(job: VideoJob) -> str:
    """What a task has noted as a video's failure; empty where it has not."""
    record = read_record(record_path(job))
    return "" if record is None else record.failure


def _interrupted(shares: Shares, tasks: Sequence[Any], on_slurm: bool) -> None:
    if on_slurm:
        arrays = " ".join(sorted({task.partition("_")[0] for task in shares}))
        _LOG.info(
            f"interrupted; the tasks go on (`scancel {arrays}` ends them), and the same command waits for "
            "them again"
        )
        return
    for task in tasks:
        task.cancel()
    _LOG.info("interrupted, and the tasks ended; start again to go on")


def _collect(
    shares: Shares, is_complete: Check, fresh: set[VideoJob], out: Path, outcome: PredictionOutcome
) -> None:
    """Add what became of the tasks' videos. A task that died has failed at those that it has not noted."""
    for task, share in shares.items():
        for job in share:
            if failure := _failure(job):
                outcome.failures.append(Failure(job.name, failure))
            elif not is_complete(job):
                log = out / LOGS / f"{task}_0_log.err"
                reason = f"task {task} ended before it; see {log}{_last_line(log)}"
                outcome.failures.append(Failure(job.name, reason))
            elif job in fresh:
                outcome.predicted.append(job.name)


def _last_line(log: Path) -> str:
    """The last words of a task, for a message; empty where there are none."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return f": {last[:LONGEST_LINE]}" if last else ""
