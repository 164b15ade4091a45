"""A real SLURM of one node: munged, slurmctld and slurmd as children of the tests, in a folder of their own.

There is no accounting, as on many small clusters: `sacct` knows of nothing.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo")
START_S = 20.0
CONF = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmctldPort={controller}
SlurmdPort={daemon}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
MpiDefault=none
ReturnToService=2
KillWait=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=2000 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=60 State=UP
"""


def missing() -> str:
    """Why no SLURM can be started here; empty where one can."""
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"no SLURM here: {', '.join(absent)} not installed (Debian's slurm-wlm and munge)"
    return "" if os.getuid() == 0 else "slurmd wants to be started by root"


@contextmanager
def slurm_node() -> Iterator[dict[str, str]]:
    """Run a SLURM; yields the environment in which its commands find it."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="slurm-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.chmod(0o755)
        for name in ("state", "spool"):
            (folder / name).mkdir()
        key = folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        host = socket.gethostname().partition(".")[0]
        conf = folder / "slurm.conf"
        conf.write_text(CONF.format(host=host, folder=folder, controller=_free_port(), daemon=_free_port()))
        (folder / "cgroup.conf").write_text("IgnoreSystemd=yes\n")
        environment = {"SLURM_CONF": str(conf)}
        munge = ["munged", "--foreground", "--force", f"--key-file={key}", f"--socket={folder}/munge.socket"]
        munge += [f"--{name}-file={folder}/munge.{name}" for name in ("pid", "log", "seed")]
        _child(stack, munge, environment)
        _wait_for((folder / "munge.socket").exists, folder)
        _child(stack, ["slurmctld", "-D", "-f", str(conf)], environment)
        _child(stack, ["slurmd", "-D", "-f", str(conf)], environment)
        _wait_for(lambda: _answer(["sinfo", "--noheader", "--format=%T"], environment) == "idle", folder)
        stack.callback(_answer, ["scancel", "--signal=KILL", "--user=root"], environment)
        yield environment


def _child(stack: ExitStack, command: list[str], environment: dict[str, str]) -> None:
    process = subprocess.Popen(
        command, env=os.environ | environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )

    def end() -> None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    stack.callback(end)


def _answer(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, timeout=30, check=False
    )
    return done.stdout.strip()


def _wait_for(condition: Callable[[], bool], folder: Path) -> None:
    deadline = time.monotonic() + START_S
    while not condition():
        if time.monotonic() > deadline:
            logs = (log.read_text(errors="replace")[-2000:] for log in sorted(folder.glob("*.log")))
            raise RuntimeError("SLURM did not start:\n" + "\n".join(logs))
        time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
