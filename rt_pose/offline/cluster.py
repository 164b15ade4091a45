"""Many videos as an array of SLURM jobs, or of processes of this machine, through submitit.

Each task has its own share of the videos and writes tables and records as one process would; so a task that
is killed, or requeued at its time limit, loses only the video it was working on.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rt_pose.clock import NS_PER_S, HostClock
from rt_pose.config.schema import EngineConfig
from rt_pose.console import log_to_console, progress
from rt_pose.errors import UserError
from rt_pose.extras import require
from rt_pose.offline.cluster_config import ClusterConfig
from rt_pose.offline.find_videos import VideoJob
from rt_pose.offline.predict_many import Failure, PredictionOutcome, open_jobs, predict_many, size_of
from rt_pose.offline.prediction_record import exclusive_lock, state
from rt_pose.package import Package, read_package

_LOG = logging.getLogger(__name__)

LOGS = ".jobs"
"""Folder in OUT of the tasks' scripts and logs."""
POLL_S = 1.0


@dataclass
class Share:
    """What one task does; a function that submitit carries to its machine."""

    package: Path
    sha256: str
    jobs: list[VideoJob]
    out: Path
    engine: EngineConfig

    def __call__(self) -> PredictionOutcome:
        try:
            package = read_package(self.package)
            if package.sha256 != self.sha256:
                raise UserError(
                    f"model package {self.package}: it has changed since the tasks were submitted"
                )
            with exclusive_lock(self.out, shared=True):
                log_to_console()
                return predict_many(package, self.jobs, self.engine)
        except UserError as error:
            # An exception would come back as the text of a traceback.
            return PredictionOutcome(failures=[Failure(job.name, str(error)) for job in self.jobs])

    def checkpoint(self) -> Any:
        """Resubmit the task at its time limit; it goes on with what is not done.

        Returns
        -------
        Any
            submitit's order to submit the share again.
        """
        import submitit

        return submitit.helpers.DelayedSubmission(self)


def predict_on_cluster(
    package: Package,
    jobs: Sequence[VideoJob],
    out: Path,
    engine: EngineConfig,
    cluster: ClusterConfig,
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

    Returns
    -------
    PredictionOutcome
        What became of all videos.

    Raises
    ------
    UserError
        Where the cluster is not available, or another run writes to `out`.
    """
    executor = _executor(out, cluster)
    with exclusive_lock(out):
        todo, outcome = open_jobs(package, jobs)
    if not todo:
        return outcome
    shares = split_jobs(todo, cluster.tasks)
    with executor.batch():
        tasks = [
            executor.submit(Share(package.path.absolute(), package.sha256, share, out.absolute(), engine))
            for share in shares
        ]
    _LOG.info(f"{len(todo)} videos in {len(tasks)} tasks ({cluster.where}); logs in {out / LOGS}")
    try:
        _wait(tasks, todo, package.sha256)
    except KeyboardInterrupt:
        _interrupted(tasks, cluster.where)
        raise
    for task, share in zip(tasks, shares, strict=True):
        _collect(task, share, package.sha256, outcome)
    return outcome


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


def _executor(out: Path, cluster: ClusterConfig) -> Any:
    """submitit's, set up; UserError where it is not installed or there is no SLURM here."""
    for name in ("tasks", "minutes", "cpus", "memory_gb"):
        if getattr(cluster, name) < 1:
            raise UserError(f"cluster.{name}: expected at least 1, got {getattr(cluster, name)}")
    require("cluster", f"cluster.where: {cluster.where}")
    import submitit

    if cluster.where == "slurm" and shutil.which("sbatch") is None:
        raise UserError("cluster.where: slurm: no `sbatch` on this machine; log in to one of the cluster's")
    executor = submitit.AutoExecutor(folder=out / LOGS, cluster=cluster.where)
    executor.update_parameters(
        name="rt-pose-predict",
        timeout_min=cluster.minutes,
        cpus_per_task=cluster.cpus,
        mem_gb=cluster.memory_gb,
        gpus_per_node=cluster.gpus,
    )
    if cluster.where == "slurm":
        named = {"slurm_partition": cluster.partition, "slurm_account": cluster.account}
        executor.update_parameters(
            **{key: value for key, value in named.items() if value},
            slurm_additional_parameters=cluster.options,
        )
    return executor


def _wait(tasks: Sequence[Any], todo: Sequence[VideoJob], sha256: str) -> None:
    """Until all tasks have ended, with a bar of the videos that are done."""
    clock = HostClock()
    with progress("videos", len(todo)) as report_progress:
        waiting = list(todo)
        while not all(task.done() for task in tasks):
            waiting = [job for job in waiting if state(job, sha256) != "done"]
            report_progress(len(todo) - len(waiting))
            clock.sleep_until_ns(clock.now_ns() + round(POLL_S * NS_PER_S))


def _interrupted(tasks: Sequence[Any], where: str) -> None:
    if where == "slurm":
        _LOG.info(f"interrupted; the tasks go on (scancel {tasks[0].job_id.split('_')[0]} ends them)")
        return
    for task in tasks:
        task.cancel()
    _LOG.info("interrupted, and the tasks ended; start again to go on")


def _collect(task: Any, share: Sequence[VideoJob], sha256: str, outcome: PredictionOutcome) -> None:
    """Add the outcome of a task's share. A task that died has failed at the videos that are not done."""
    error = task.exception()
    if error is None:
        result: PredictionOutcome = task.result()
        outcome.predicted += result.predicted
        outcome.done_before += result.done_before
        outcome.failures += result.failures
        return
    for job in share:
        if state(job, sha256) == "done":
            outcome.predicted.append(job.name)
        else:
            reason = f"task {task.job_id} ended before it ({type(error).__name__}); see {task.paths.stderr}"
            outcome.failures.append(Failure(job.name, reason))
