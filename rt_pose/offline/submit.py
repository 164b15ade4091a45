"""Shares of videos as tasks of submitit, which carries them to SLURM or to processes of this machine."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rt_pose.config.schema import EngineConfig
from rt_pose.console import log_to_console
from rt_pose.errors import UserError
from rt_pose.extras import require
from rt_pose.offline.cluster_config import ClusterConfig
from rt_pose.offline.find_videos import VideoJob
from rt_pose.offline.finish import Finish
from rt_pose.offline.predict_many import predict_many
from rt_pose.offline.prediction_record import exclusive_lock, note_failure
from rt_pose.package import read_package

_LOG = logging.getLogger(__name__)

LOGS = ".jobs"
"""Folder in OUT of the tasks' scripts and logs."""


@dataclass
class Share:
    """What one task does; a function that submitit carries to its machine."""

    package: Path
    sha256: str
    jobs: list[VideoJob]
    out: Path
    engine: EngineConfig
    finish: Finish | None = None

    def __call__(self) -> None:
        log_to_console()
        try:
            package = read_package(self.package)
            if package.sha256 != self.sha256:
                raise UserError(
                    f"model package {self.package}: it has changed since the tasks were submitted"
                )
            with exclusive_lock(self.out, shared=True):
                predict_many(package, self.jobs, self.engine, self.finish)
        except UserError as error:
            _LOG.error(str(error))
            for job in self.jobs:
                with suppress(UserError, OSError):
                    note_failure(job, self.sha256, str(error))

    def checkpoint(self) -> Any:
        """Resubmit the task at its time limit; it goes on with what is not done.

        Returns
        -------
        Any
            submitit's order to submit the share again.
        """
        import submitit

        return submitit.helpers.DelayedSubmission(self)


def make_executor(out: Path, cluster: ClusterConfig) -> Any:
    """Set submitit up.

    Parameters
    ----------
    out
        Folder of the tables.
    cluster
        Where tasks run, and what each may use.

    Returns
    -------
    Any
        Its executor.

    Raises
    ------
    UserError
        Where it is not installed, or there is no SLURM here.
    """
    for name in ("tasks", "minutes", "cpus", "memory_gb"):
        if getattr(cluster, name) < 1:
            raise UserError(f"cluster.{name}: expected at least 1, got {getattr(cluster, name)}")
    require("cluster", f"cluster.where: {cluster.where}")
    import submitit

    if cluster.where == "slurm" and shutil.which("sbatch") is None:
        raise UserError("cluster.where: slurm: no `sbatch` on this machine; log in to one of the cluster's")
    executor = submitit.AutoExecutor(
        folder=out / LOGS, cluster=cluster.where, slurm_max_num_timeout=cluster.requeues
    )
    executor.update_parameters(
        name="rt-pose-predict",
        timeout_min=cluster.minutes,
        cpus_per_task=cluster.cpus,
        mem_gb=cluster.memory_gb,
        # A cluster without GPUs may refuse tasks that ask for none of them.
        **({"gpus_per_node": cluster.gpus} if cluster.gpus else {}),
    )
    if cluster.where == "slurm":
        named = {"slurm_partition": cluster.partition, "slurm_account": cluster.account}
        executor.update_parameters(
            **{key: value for key, value in named.items() if value},
            slurm_additional_parameters=cluster.options,
        )
    return executor


def submit(executor: Any, shares: Sequence[Share]) -> list[Any]:
    """Submit shares as one array.

    Parameters
    ----------
    executor
        Of `make_executor`.
    shares
        The shares; none is no error.

    Returns
    -------
    list[Any]
        submitit's jobs.

    Raises
    ------
    UserError
        Where the cluster does not take them.
    """
    if not shares:
        return []
    from submitit.core.utils import FailedJobError

    try:
        with executor.batch():
            jobs = [executor.submit(share) for share in shares]
    except FailedJobError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise UserError(
            f"cluster: the tasks were not taken: {lines[-1] if lines else 'no reason was given'}; check "
            "`cluster.partition`, `.account`, `.memory_gb` and the others"
        ) from error
    return jobs
