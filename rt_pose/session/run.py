"""The supervisor: starts the loop and the recorder, watches both, and leaves a whole session behind.

    supervisor (this process)
        |-- loop process      cameras ... decisions, outputs, sockets
        |-- recorder process  log and video
        |-- processors        code of the user's, a process each
        `-- safe outputs      waits for the loop to die without having made its outputs safe

Nothing is written before the loop says that everything is open; from then on every way out leaves a
`session.json` that says how it ended and what the session lacks. A loop that has not turned for
`safety.kill_after` is killed; the outputs of a loop that died are made safe from here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rt_pose.clock import Clock
from rt_pose.config.schema import RunConfig
from rt_pose.errors import ErrorCollector, UserError
from rt_pose.files import check_folder
from rt_pose.loop.key_files import remove_left_by
from rt_pose.session import loop_entry, processes
from rt_pose.session.describe import machine, uuid7, versions
from rt_pose.session.disk import check_disk, write_rate_mib_s
from rt_pose.session.folder import in_use
from rt_pose.session.locks import temporary_folder
from rt_pose.session.loop_link import LoopLink, stop_signals
from rt_pose.session.processor_watch import Processors
from rt_pose.session.recorder_watch import RecorderWatch
from rt_pose.session.run_observer import RunObserver
from rt_pose.session.run_result import RunResult
from rt_pose.session.seal import read_private_key
from rt_pose.session.supervision import LOOP_END_S, RecordingPlace, Supervision
from rt_pose.session.yoke import with_yoke_times

__all__ = ["RunObserver", "RunResult", "run_session"]

LEAST_VIDEO_MIB, LEAST_LOG_MIB = 256, 32
"""Free space on the disk without which a recording does not start."""


def run_session(
    config: RunConfig,
    out: Path | None,
    register: Callable[[], None],
    clock: Clock,
    observer: RunObserver | None = None,
) -> RunResult:
    """Run the closed loop until its end, and record it.

    Parameters
    ----------
    config
        The run.
    out
        The session's folder, which must be new or empty; None records nothing.
    register
        Fills the registry of drivers, in each process that opens some.
    clock
        Times the supervision.
    observer
        Receives what happens.

    Returns
    -------
    RunResult
        How the run ended.

    Raises
    ------
    UserError
        Where something cannot be opened (nothing is written then), or `out` exists and is not empty.
    """
    observer = observer or RunObserver()
    config = with_yoke_times(config)
    errors = ErrorCollector()
    errors.run(lambda: _check_place(out, config))
    # A path of its own and short: an ipc address may have no more than 107 bytes.
    with temporary_folder() as folder:
        return _run(config, out, f"ipc://{folder}/records", register, clock, observer, errors)


def _run(
    config: RunConfig,
    out: Path | None,
    endpoint: str,
    register: Callable[[], None],
    clock: Clock,
    observer: RunObserver,
    errors: ErrorCollector,
) -> RunResult:
    session_id = uuid7(clock)
    ours, theirs = processes.context.Pipe()
    link = LoopLink(ours)
    loop = processes.context.Process(
        target=loop_entry.main,
        args=(theirs, config, session_id, register, None if out is None else endpoint),
        name="rt-pose-loop",
    )
    processors = Processors(config, clock)
    loop.start()
    theirs.close()
    recorded: RecordingPlace | None = None
    try:
        # All of this takes its time beside the loop's own start.
        recorded = None if out is None else RecordingPlace(out, endpoint, RecorderWatch(clock))
        ran_on = {"machine": machine(), "versions": versions()}
        rate_mib_s = _write_rate_mib_s(out, clock, errors)
        description = errors.run(lambda: link.await_ready(loop))
        errors.run(processors.await_ready)
        if out is not None and description is not None and not errors.messages:
            cameras = description["cameras"]
            errors.run(lambda: check_disk(out, config, cameras, clock, rate_mib_s))
        errors.check()
        assert description is not None
        description |= {"processors": processors.describe(), **ran_on}
        observer.begin(lambda who: link.send("emergency", who))
        observer.begin_inputs(lambda name: link.send("input", (name, clock.now_ns())))
        observer.ready(description)
        supervision = Supervision(
            config, recorded, session_id, description, clock, observer, loop, link, register, processors
        )
        with stop_signals(link):
            return supervision.run()
    finally:
        ours.close()  # a loop that still waits for a word takes that as the end
        if recorded is not None:
            recorded.recorder.dismiss()
        processors.close()
        processes.end_process(loop, LOOP_END_S)
        remove_left_by(loop.pid)


def _write_rate_mib_s(out: Path | None, clock: Clock, errors: ErrorCollector) -> float:
    """How fast the disk of the session is while the loop starts; 0 where there is nothing to try it for."""
    if out is None or errors.messages:
        return 0.0
    return errors.run(lambda: write_rate_mib_s(out, clock)) or 0.0


def _check_place(out: Path | None, config: RunConfig) -> None:
    """UserError where a session cannot be written to `out`."""
    if out is None:
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(in_use(out))
    if config.record.sign_with:
        read_private_key(config.record.sign_with)
    check_folder(out, LEAST_VIDEO_MIB if config.record.video else LEAST_LOG_MIB, "session")
