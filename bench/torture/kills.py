"""Cases of runs of which one process is killed: what was acknowledged is logged, the session heals."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import zmq

from bench.torture.runs import ENDS_S, PROCESSOR, SOURCE, SUPERVISOR, FollowedRun, configuration, followed
from rt_pose.audit.audit import Audit, audit
from rt_pose.clock import NS_PER_S, HostClock
from rt_pose.errors import ExitCode, UserError
from rt_pose.reports.session_report import make_report
from rt_pose.session.log_file import LOG_NAME, count_records
from rt_pose.session.read import INFO_NAME, RUNNING, Session
from rt_pose.session.supervision import COMPLETE

VIEWER = "viewer"
PROCESSES = {
    SUPERVISOR: SUPERVISOR,
    "loop": "rt-pose-loop",
    "recorder": "rt-pose-recorder",
    "standby": "rt-pose-safe-outputs",
    "processor": f"rt-pose-processor-{PROCESSOR}",
    VIEWER: VIEWER,
}
"""What may be killed, and the names of the processes."""
SECONDS, LIFE_S = 2.0, 3.5
"""Length of a run, and how long after its beginning a process is killed at most: some when it has ended."""
VIEWER_SECONDS = 5.0
"""Of a run beside which a viewer begins: it loads for seconds."""
SETTLED_NS = NS_PER_S
"""What was acknowledged so long before a process died must be in the log, which is handed over five times a
second by a process that yields to others."""
TOLD_NS = NS_PER_S
"""So long before the run's end the death of a process has to be told."""
WORDS = {
    "recorder": "the recorder",
    "standby": "stands by",
    "processor": f"processor '{PROCESSOR}' died",
    "loop": "the loop died",
}
"""What the run says of a process that died."""


def killed_run(work: Path, seed: int, victim: str) -> str:
    """Kill one process of a run at a random moment, and look at what it leaves.

    Parameters
    ----------
    work
        Folder of the case; `package` beside it is the model.
    seed
        Draws the moment.
    victim
        One of `PROCESSES`.

    Returns
    -------
    str
        What did not hold; empty where all did.
    """
    seconds = VIEWER_SECONDS if victim == VIEWER else SECONDS
    after_s = float(np.random.default_rng(seed).uniform(0.0, seconds + LIFE_S - SECONDS))
    processor, errors = work / "processor.py", work / "errors.txt"
    processor.write_text(SOURCE)
    errors.touch()
    config = configuration(work.parent / "package", seconds, processor)
    acks = _Acks()
    with followed(config, work / "session", errors) as run:
        try:
            killed_ns = _kill(run, victim, round(after_s * NS_PER_S), acks, errors)
            alive = run.await_end()
        finally:
            acks.close()
    where = f"{victim} was killed {after_s:.2f} s after its beginning: "
    if alive:
        return f"{where}{', '.join(alive)} had not ended {ENDS_S:g} s later"
    printed = errors.read_text(errors="replace")
    if "Traceback" in printed or "Exception ignored" in printed:
        return f"{where}{printed[-1500:]}"
    acknowledged = acks.older_than(killed_ns - SETTLED_NS)
    problem = next(_problems(run, victim, work / "session", killed_ns, acknowledged), "")
    return problem and where + problem


def _kill(run: FollowedRun, victim: str, after_ns: int, acks: _Acks, errors: Path) -> int:
    """Kill the process so long after its beginning, and say when that was, or when the run had ended."""
    clock, name, kill_ns = HostClock(), PROCESSES[victim], 0
    viewer: subprocess.Popen[bytes] | None = None
    while run.open and not (kill_ns and clock.now_ns() >= kill_ns):
        if run.addresses and not acks.begun:
            acks.follow(run.addresses["publish"])
            if victim == VIEWER:
                viewer = _open_viewer(run.addresses, errors)
                run.add(VIEWER, viewer.pid)
        if run.has(name) and not kill_ns:
            kill_ns = clock.now_ns() + after_ns
        run.receive(0.02 if not kill_ns else min(0.02, max(0.0, (kill_ns - clock.now_ns()) / NS_PER_S)))
    killed_ns = clock.now_ns()
    run.kill(name)
    if viewer is not None:
        viewer.wait()
    return killed_ns


def _open_viewer(addresses: dict[str, str], errors: Path) -> subprocess.Popen[bytes]:
    words = ["view", "--connect", addresses["publish"], "--keys", addresses["keys"]]
    with errors.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "rt_pose.cli", *words],
            env={**os.environ, "QT_QPA_PLATFORM": "offscreen"},
            stdout=subprocess.DEVNULL,
            stderr=file,
        )


def _problems(
    run: FollowedRun, victim: str, path: Path, killed_ns: int, acknowledged: set[int]
) -> Iterator[str]:
    """What the run, or what it left, says that is not so."""
    if run.refused:
        if path.exists():
            yield f"a run that was refused ({run.refused}) left {[file.name for file in path.iterdir()]}"
        return
    if victim != SUPERVISOR:
        if not run.outcome:
            yield "the supervisor said nothing of the end"
            return
        yield from _untold(run, victim, killed_ns)
    if (path / INFO_NAME).is_file():  # a supervisor may be killed before
        yield from _untrue(path, victim, acknowledged)


def _untold(run: FollowedRun, victim: str, killed_ns: int) -> Iterator[str]:
    """What the run should have said."""
    said = "\n".join([run.outcome["status"], *run.outcome["warnings"]])
    died_early = run.ending_ns == 0 or killed_ns < run.ending_ns - TOLD_NS
    if died_early and victim in WORDS and WORDS[victim] not in said:
        yield f"nothing was said of it: {said}"
    if "may not be in its safe state" in said:
        yield said
    status, exit_code = run.outcome["status"], run.outcome["exit_code"]
    ended_well = exit_code in (ExitCode.DONE, ExitCode.STIMULUS_FAILED)
    if ended_well != (status == COMPLETE) or not (ended_well or victim in ("loop", "recorder")):
        yield f"the run ended as '{status}', exit code {exit_code}"


def _untrue(path: Path, victim: str, acknowledged: set[int]) -> Iterator[str]:
    """What the session says, or lacks, though it should not."""
    identical = True
    try:
        identical = audit(path, Audit()).identical
    except UserError as error:  # it was killed before its first decision
        if count_records(path / LOG_NAME)["track"] > 1:  # of the last, the decision may be missing
            yield f"replay: {error}"
    if not identical:
        yield "replay differs"
    status = json.loads((path / INFO_NAME).read_bytes())["status"]
    if status == RUNNING:
        yield "the session still says 'running'"
    if list(path.glob("*.part")):
        yield f"there are still {[file.name for file in path.glob('*.part')]}"
    if not (path / LOG_NAME).is_file():  # the supervisor was killed before it began a recorder
        return
    make_report(path)
    found = Session.read(path)
    if status == COMPLETE and (found.end is None or found.cut or found.skipped):
        yield f"the session says 'complete', and its log ends early: {found.cut} {found.skipped}"
    if victim == SUPERVISOR and found.observations and not _stopped(found):
        yield "the loop logged no emergency stop"
    if missing := acknowledged - {record.ack.command_id for record in found.acks}:
        yield f"{len(missing)} acknowledged commands are not in the log"


def _stopped(session: Session) -> bool:
    """Whether the loop made its outputs safe, or had ended before."""
    return session.end is not None or any(record.do == "emergency" for record in session.controls)


class _Acks:
    """The acknowledgements that a subscriber receives, with their times."""

    def __init__(self) -> None:
        self._found: list[tuple[int, int]] = []
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def begun(self) -> bool:
        """Whether it follows a run."""
        return self._thread is not None

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
