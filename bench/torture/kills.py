"""Cases of runs of which one process is killed: what was acknowledged is logged, the session heals."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import zmq

import rigs
from rt_pose.clock import HostClock
from rt_pose.config.rules import ActionConfig, RuleConfig
from rt_pose.config.schema import CameraConfig, OutputConfig, PublishConfig, RecordConfig, RunConfig
from rt_pose.package import read_package
from rt_pose.reports.session_report import make_report
from rt_pose.session.read import Session
from rt_pose.session.run import RunObserver, run_session

PROCESSES = {"loop": "rt-pose-loop", "recorder": "rt-pose-recorder", "supervisor": ""}
"""What may be killed, by the name of its process; the supervisor has none."""
ENDS_S = 40.0
SETTLED_S = 0.5
"""An acknowledgement that is older than this when the process dies must be in the log."""


def configuration(model: Path, seconds: float) -> RunConfig:
    """Make a run of the simulated rig with a rule that fires several times a second.

    Parameters
    ----------
    model
        Model package.
    seconds
        Length of the run, s.

    Returns
    -------
    RunConfig
        The run, armed, on free ports.
    """
    keypoint = read_package(model).manifest.keypoints[0]
    do = ActionConfig("stimulus", "2 ms")
    return RunConfig(
        model=str(model),
        cameras={"top": CameraConfig("simulated", {"rate_hz": 60, "world": "w"})},
        outputs={"stimulus": OutputConfig("simulated", {"world": "w"})},
        rules=[
            RuleConfig("left", f"x({keypoint}) < 160", do, late="fire"),
            RuleConfig("right", f"x({keypoint}) >= 160", do, late="fire"),
            RuleConfig("fast", f"speed({keypoint}) > 60", do, late="fire"),
        ],
        publish=PublishConfig("tcp://127.0.0.1:*", "tcp://127.0.0.1:*"),
        record=RecordConfig(video=False),
        budget_ms=500.0,
        seconds=seconds,
        armed_at_start=True,
    )


def run_whole(out: Path, model: Path, seconds: float = 2.0) -> None:
    """Record a session in processes of its own.

    Parameters
    ----------
    out
        The session's folder.
    model
        Model package.
    seconds
        Length of the run, s.
    """
    subprocess.run(command(out, model, seconds), check=True, capture_output=True)


def killed_run(work: Path, seed: int) -> str:
    """Kill one process of a run at a random moment, and look at what it leaves.

    Parameters
    ----------
    work
        Folder of the case; `package` beside it is the model.
    seed
        Draws the process and the moment.

    Returns
    -------
    str
        What did not hold; empty where all did.
    """
    random = np.random.default_rng(seed)
    victim = list(PROCESSES)[random.integers(len(PROCESSES))]
    after_s = float(random.uniform(0.2, 2.5))
    session = work / "session"
    words = command(session, work.parent / "package", 4.0)
    acks = _Acks()
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        ready = json.loads(run.stdout.readline() or "{}")
        if not ready:
            return f"the run did not begin: {run.communicate()[1][-300:]}"
        acks.follow(ready["publish"])
        threading.Event().wait(after_s)
        killed_ns = HostClock().now_ns()
        os.kill(ready[victim], signal.SIGKILL)
        try:
            _, err = run.communicate(timeout=ENDS_S)
        except subprocess.TimeoutExpired:
            run.kill()
            return f"{victim} was killed: the run had not ended {ENDS_S:g} s later"
        finally:
            acks.close()
    return _evaluate(session, victim, err, acks.older_than(killed_ns - round(SETTLED_S * 1e9)))


def _evaluate(session: Path, victim: str, err: str, acknowledged: set[int]) -> str:
    if "Traceback" in err:
        return f"{victim} was killed: a traceback: {err[-300:]}"
    make_report(session)
    found = Session.read(session)
    if found.info.status in ("running", "complete"):
        return f"{victim} was killed: the session says '{found.info.status}'"
    missing = acknowledged - {record.ack.command_id for record in found.acks}
    if missing and victim != "recorder":
        return f"{victim} was killed: {len(missing)} acknowledged commands are not in the log"
    return ""


class _Acks:
    """The acknowledgements that a subscriber receives, with their times."""

    def __init__(self) -> None:
        self._found: list[tuple[int, int]] = []
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def follow(self, address: str) -> None:
        self._thread = threading.Thread(target=self._receive, args=(address,), daemon=True)
        self._thread.start()

    def older_than(self, t_ns: int) -> set[int]:
        return {command for command, at_ns in self._found if at_ns < t_ns}

    def close(self) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join()

    def _receive(self, address: str) -> None:
        clock = HostClock()
        socket: zmq.Socket[bytes]
        with zmq.Context.instance().socket(zmq.SUB) as socket:
            socket.subscribe(b"ack/")
            socket.setsockopt(zmq.LINGER, 0)
            socket.connect(address)
            while not self._done.is_set():
                if socket.poll(50):
                    header = msgspec.msgpack.decode(socket.recv_multipart()[1])
                    self._found.append((header["ack"]["command_id"], clock.now_ns()))


def command(out: Path, model: Path, seconds: float) -> list[str]:
    """Make the command line of a run that announces its processes and addresses.

    Parameters
    ----------
    out
        The session's folder.
    model
        Model package.
    seconds
        Length of the run, s.

    Returns
    -------
    list[str]
        The words.
    """
    return [sys.executable, "-m", "bench.torture.kills", str(out), str(model), str(seconds)]


class _Announcer(RunObserver):
    """Prints the processes of a run and where it publishes, as soon as it is ready."""

    def __init__(self) -> None:
        self._addresses: dict[str, str] = {}

    def ready(self, description: dict[str, Any]) -> None:
        self._addresses = description["addresses"]

    def stats(self, stats: dict[str, Any]) -> None:  # noqa: ARG002
        if not self._addresses:
            return
        pids = {process.name: process.pid for process in multiprocessing.active_children()}
        found = {name: pids.get(process, os.getpid()) for name, process in PROCESSES.items()}
        print(json.dumps({**found, **self._addresses}), flush=True)
        self._addresses = {}


def main(words: list[str]) -> int:
    """Run the simulated rig, and announce its processes on standard output.

    Parameters
    ----------
    words
        Session folder, model package, seconds.

    Returns
    -------
    int
        0 where the run ended well.
    """
    config = configuration(Path(words[1]), float(words[2]))
    result = run_session(config, Path(words[0]), rigs.register, HostClock(), _Announcer())
    return 0 if result.ok else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
