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
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from rt_pose.clock import Clock
from rt_pose.config.build import duration_ns
from rt_pose.config.schema import RunConfig
from rt_pose.delivery import count_failures, format_failures
from rt_pose.errors import ErrorCollector, ExitCode, UserError
from rt_pose.files import check_folder
from rt_pose.loop.key_files import remove_left_by
from rt_pose.rules.semantics import CURRENT
from rt_pose.session import loop_entry, processes
from rt_pose.session.describe import machine, uuid7, versions
from rt_pose.session.disk import check_disk, write_rate_mib_s
from rt_pose.session.folder import SessionFolder, in_use
from rt_pose.session.locks import temporary_folder
from rt_pose.session.log_file import LOG_NAME
from rt_pose.session.loop_link import LoopLink, await_ready, end_process, stop_signals
from rt_pose.session.processor_watch import Processors
from rt_pose.session.read import RUNNING, SCHEMA
from rt_pose.session.recorder_watch import RecorderWatch
from rt_pose.session.safe_outputs import SafeStandby
from rt_pose.session.seal import read_private_key, write_seal
from rt_pose.session.video_file import file_names
from rt_pose.session.watchdog import LoopWatchdog
from rt_pose.session.yoke import with_yoke_times
from rt_pose.tracking.drift_statistics import format_statistics

POLL_S = 0.2
DRIFT_WARNINGS = 3
"""So many alarms of the drift detector are told as they come, of each camera; all are in the report."""
COMPLETE = "complete"
LEAST_VIDEO_MIB, LEAST_LOG_MIB = 256, 32
"""Free space on the disk without which a recording does not start."""
RECORDER_END_S, IDLE_RECORDER_END_S = 20.0, 1.0
LOOP_END_S, INTERRUPTED_END_S = 15.0, 5.0
HIDDEN_FAILURE = (
    "an output failed; which one, and at which event, is told after the run, because a rule withholds on it"
)


@dataclass
class RunResult:
    """How a run ended."""

    session: Path | None
    """The session's folder, where it is now; None where nothing was recorded."""
    status: str
    """complete, or what went wrong."""
    ok: bool
    """Whether the run ended well and its session lacks nothing."""
    description: dict[str, Any]
    """What ran: engine, cameras, outputs, addresses."""
    summary: dict[str, Any] = field(default_factory=dict)
    """The loop's own last counts; empty where it died."""
    warnings: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """What the session lacks, a clause each."""
    exit_code: ExitCode = ExitCode.DONE

    @property
    def problem(self) -> str:
        """What is wrong with the run, in a sentence; empty where nothing is."""
        if not self.ok:
            return f"the run did not end well: {self.status}"
        if self.exit_code == ExitCode.STIMULUS_FAILED:
            return "the run ended well, but outputs failed commands of fired events: see the warnings above"
        return ""


def with_deliveries(ended: ExitCode, summary: dict[str, Any]) -> ExitCode:
    """Take into an exit status what became of the commands; what went wrong besides comes first.

    Parameters
    ----------
    ended
        How the run and its session ended.
    summary
        The loop's last counts.

    Returns
    -------
    ExitCode
        `STIMULUS_FAILED` where an output failed a command of a run that ended well.
    """
    failed = any(count_failures(counts) for counts in summary.get("deliveries", {}).values())
    return ExitCode.STIMULUS_FAILED if failed and ended == ExitCode.DONE else ended


class RunObserver:
    """Receives what happens in a run; this base does nothing."""

    def begin(self, emergency: Callable[[str], None]) -> None:
        """Take what stops the run immediately; called before `ready`.

        Parameters
        ----------
        emergency
            The immediate stop; it takes the name of who calls it, and may be called from any thread.
        """

    def begin_inputs(self, press: Callable[[str], None]) -> None:
        """Take what switches an input whose key was pressed; called before `ready`.

        Parameters
        ----------
        press
            Takes the name of the input; from any thread.
        """

    def ready(self, description: dict[str, Any]) -> None:
        """Take note that everything is open; frames come next.

        Parameters
        ----------
        description
            What was opened, as in `session.json`, with the sockets' addresses.
        """

    def stats(self, stats: dict[str, Any]) -> None:
        """Take the stats; called twice a second.

        Parameters
        ----------
        stats
            The content of the `stats` topic.
        """

    def ending(self) -> None:
        """Take note that the last frame has been decided on."""

    def warn(self, message: str) -> None:
        """Take a warning: something was lost or has failed, and the run goes on.

        Parameters
        ----------
        message
            What and why.
        """


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
    recorded: _Recorded | None = None
    try:
        # All of this takes its time beside the loop's own start.
        recorded = None if out is None else _Recorded(out, endpoint, RecorderWatch(clock))
        ran_on = {"machine": machine(), "versions": versions()}
        rate_mib_s = _write_rate_mib_s(out, clock, errors)
        description = errors.run(lambda: await_ready(ours, loop))
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
        supervision = _Supervision(
            config, recorded, session_id, description, clock, observer, loop, link, register, processors
        )
        with stop_signals(link):
            return supervision.run()
    finally:
        ours.close()  # a loop that still waits for a word takes that as the end
        if recorded is not None:
            recorded.recorder.dismiss()
        processors.close()
        end_process(loop, LOOP_END_S)
        remove_left_by(loop.pid)


@dataclass(frozen=True, slots=True)
class _Recorded:
    """Where a run is recorded, and by whom."""

    folder: Path
    endpoint: str
    """The recorder's endpoint, to which the loop connects."""
    recorder: RecorderWatch


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


class _Supervision:
    """One run, once the loop is ready."""

    def __init__(
        self,
        config: RunConfig,
        recorded: _Recorded | None,
        session_id: str,
        description: dict[str, Any],
        clock: Clock,
        observer: RunObserver,
        loop: BaseProcess,
        link: LoopLink,
        register: Callable[[], None],
        processors: Processors,
    ) -> None:
        self._config, self._recorded, self._clock, self._observer = config, recorded, clock, observer
        self._loop, self._link, self._register, self._processors = loop, link, register, processors
        kill_after_ns = duration_ns(config.safety.kill_after, "configuration: safety.kill_after")
        self._watchdog = LoopWatchdog(clock, kill_after_ns, len(config.outputs))
        self._unsafe: list[str] | None = None
        """What failed when the loop made its outputs safe; None before it has."""
        self._hung = ""
        self._output_faults: dict[str, str] = {}
        self._lost_cameras: dict[str, str] = {}
        self._drifting: dict[str, bool] = {}
        self._stimulus_failed = self._hidden_output_failed = False
        self._output_notices = 0
        self._summary: dict[str, Any] = {}
        self._warnings: list[str] = []
        self._folder: SessionFolder | None = None
        self._recorder: RecorderWatch | None = None
        addresses = description.pop("addresses")
        self._start_warnings: list[str] = description.pop("start_warnings")
        self._info: dict[str, Any] = {
            "schema": SCHEMA,
            "semantics": CURRENT,
            "id": session_id,
            "status": RUNNING,
            "started_utc_ns": clock.utc_ns(),
            "started_in": str(Path.cwd()),
            "anchors": [self._anchor()],
            **description,
            "metadata": config.metadata,
            "addresses": addresses,
        }

    def run(self) -> RunResult:
        """Run until the end.

        Returns
        -------
        RunResult
            How it ended.
        """
        try:
            return self._run()
        finally:
            if self._folder is not None:
                self._folder.close()

    def _run(self) -> RunResult:
        refused = False
        standby = SafeStandby(self._config, self._register, self._loop.pid)
        try:
            if self._recorded is not None:
                self._begin_session(self._recorded)
            for message in self._start_warnings:
                self._warn(message)
            folder = None if self._recorded is None else self._recorded.folder
            self._processors.begin(self._info["addresses"], folder)
            self._link.send("go", None)
            self._watchdog.expect_start()
            self._supervise()
            self._make_safe(standby)
            if refusal := self._no_frame():
                raise UserError(refusal)
        except UserError as error:
            refused = True
            raise self._explained(error) from error
        except KeyboardInterrupt:  # the second Ctrl-C; the loop takes the closed link for the end
            self._link.connection.close()
            end_process(self._loop, INTERRUPTED_END_S)
            if self._loop.exitcode != 0:
                self._make_safe(standby)
            self._end_recorder()
            self._processors.close()
            self._conclude("interrupted before its end")
            raise
        finally:
            standby.close()
            self._end_processors()
            self._end_recorder()
            if refused and self._folder is not None:
                # No frame was taken: nothing half-written stays.
                films = [name for camera in self._info["cameras"] for name in file_names(camera)]
                self._processors.discard(self._folder.path)
                self._folder.discard([LOG_NAME, *films])
        return self._conclude()

    def _make_safe(self, standby: SafeStandby) -> None:
        """Make every output safe by the process that stands by, unless the loop has done it itself."""
        if self._summary or self._unsafe == [] or not self._config.outputs:
            return
        problems = standby.make_safe()
        for problem in problems or ["the loop died with its outputs open; they were made safe"]:
            self._warn(problem)

    def _no_frame(self) -> str:
        """Why no camera has delivered a frame; empty where one has, or where none has failed."""
        summary = self._summary
        if not summary or not summary["faults"] or any(c["captured"] for c in summary["cameras"].values()):
            return ""
        return f"the run was refused: {summary['reason']}"

    def _begin_session(self, to: _Recorded) -> None:
        self._folder = SessionFolder.claim(to.folder, self._info)
        kept = self._config.record
        codec = kept.codec if kept.video else None
        self._recorder = to.recorder
        self._recorder.begin(to.folder, to.endpoint, codec)

    def _explained(self, error: UserError) -> UserError:
        """The error, with the recorder's own reason where it has one."""
        why = self._recorder.why_not_begun() if self._recorder is not None else ""
        return UserError(f"{error}\nrecorder: {why}") if why else error

    def _tell_news(self) -> None:
        for message in self._recorder.news() if self._recorder is not None else ():
            self._warn(message)
        for message in self._processors.news():
            self._warn(message)

    def _end_processors(self) -> None:
        for message in self._processors.end():
            self._warn(message)
        self._info["processors"] = self._processors.summary()

    def _end_recorder(self) -> None:
        if self._recorder is None or self._recorder.over:
            return
        patience_s = RECORDER_END_S if self._watchdog.began else IDLE_RECORDER_END_S
        for message in self._recorder.end(patience_s):
            self._warn(message)

    def _supervise(self) -> None:
        """Pass on what loop and recorder say until the loop has ended; notice a loop that hangs."""
        recorder, link = self._recorder, self._link.connection
        while True:
            wait([link, *([recorder.reports] if recorder and not recorder.over else [])], POLL_S)
            try:
                while link.poll():
                    self._handle_message(*link.recv())
            except (EOFError, ConnectionResetError):
                self._loop.join(LOOP_END_S)
                return
            if hung := self._watchdog.hang_reason():
                self._hung = hung
                self._kill()
                return
            self._tell_news()

    def _handle_message(self, kind: str, content: Any) -> None:
        if kind == "stats":
            self._watchdog.heartbeat(content["t_beat_ns"])
            self._report_output_faults(content)
            self._report_lost_cameras(content["cameras_lost"])
            self._report_drift(content["drift"])
            self._observer.stats(content)
        elif kind == "stopping":
            self._watchdog.expect_stop()
            self._observer.ending()
        elif kind == "ending":
            self._unsafe = content
            self._watchdog.expect_end()
        elif kind == "ended":
            self._watchdog.expect_exit()
            self._summary = content
        elif kind == "refused":
            raise UserError(content)

    def _report_output_faults(self, stats: dict[str, Any]) -> None:
        """Warn at once of what needs attention: a failed output or stimulus, a line that a box dropped."""
        faults = stats["output_faults"]
        for name, fault in faults.items():
            if name not in self._output_faults:
                again = self._config.outputs[name].recovery.attempts > 0
                until = "until it works again" if again else "from now on"
                self._warn(f"output '{name}' failed: {fault}; its commands are refused {until}")
        if stats["last_failure"] and not (faults or self._stimulus_failed):
            self._warn(f"a stimulus failed: {stats['last_failure']}; further ones are counted")
        if stats["output_failed"] and not self._hidden_output_failed:
            self._warn(HIDDEN_FAILURE)
        messages, self._output_notices = self._output_notices, stats["output_notices"]
        if self._output_notices > messages and not faults:
            self._warn(stats["last_output_notice"])
        self._output_faults, self._stimulus_failed = faults, bool(stats["last_failure"])
        self._hidden_output_failed = stats["output_failed"]

    def _report_lost_cameras(self, lost: dict[str, str]) -> None:
        """Warn at once of a camera that is gone, and say when it is back."""
        for name, why in lost.items():
            if name not in self._lost_cameras:
                within = self._config.cameras[name].reconnect
                self._warn(
                    f"camera '{name}' is gone: {why}; disarmed, outputs are safe; it is opened again for "
                    f"{within}"
                )
        for name in self._lost_cameras.keys() - lost.keys():
            self._warn(f"camera '{name}' is back; `arm` lets rules fire again")
        self._lost_cameras = lost

    def _report_drift(self, drift: dict[str, dict[str, Any]]) -> None:
        """Warn when a camera's poses are no longer like those of the calibration, and when they are again."""
        for camera, found in drift.items():
            alarmed = bool(found["alarm"])
            if alarmed == self._drifting.get(camera, False) or found["alarms"] > DRIFT_WARNINGS:
                continue
            self._drifting[camera] = alarmed
            if not alarmed:
                self._warn(f"camera '{camera}': poses are again like those that the model was calibrated on")
                continue
            more = "; further alarms are in the report" if found["alarms"] == DRIFT_WARNINGS else ""
            figures = format_statistics(found["alarm"])
            self._warn(
                f"camera '{camera}': drift: poses are no longer like those that the model was calibrated on "
                f"({figures}); decisions go on. Has light, lens, camera or animal changed? If it is to stay: "
                f"{self._drift_remedy()}{more}"
            )

    def _drift_remedy(self) -> str:
        if self._folder is None:
            return "record a session, and label frames of it with `rt-pose improve`"
        return f"label frames of this session afterwards, `rt-pose improve {self._folder.path} --out FOLDER`"

    def _kill(self) -> None:
        """Kill a loop that cannot be asked to stop any more; its ports are then free for us."""
        self._loop.kill()
        self._warn(f"{self._hung}; it is killed")
        self._loop.join(LOOP_END_S)
        if self._loop.is_alive():
            self._warn(f"its process {self._loop.pid} cannot be killed: a driver holds it in the kernel")
            return
        with suppress(EOFError, OSError):
            while self._link.connection.poll():  # it may have ended well a moment before
                self._handle_message(*self._link.connection.recv())

    def _warn(self, message: str) -> None:
        self._warnings.append(message)
        self._observer.warn(message)

    def _conclude(self, status: str = "") -> RunResult:
        """Conclude; `status` is that of a loop without a summary that neither hung nor died of itself."""
        summary = self._summary
        missing = self._missing()
        status = self._status(status)
        exit_code = ExitCode.DONE if status == COMPLETE else ExitCode.FAILED
        if missing and exit_code == ExitCode.DONE:
            status, exit_code = f"incomplete: {'; '.join(missing)}", ExitCode.INCOMPLETE
        refused = summary.get("records_refused", 0)
        if refused:
            self._warn(f"{refused} records did not reach the recorder")
        if lost := summary.get("sync", {}).get("failed"):
            self._warn(
                f"{lost} of {summary['sync']['pulses']} sync pulses were not carried out; the log says why"
            )
        for sentence in format_failures(summary.get("deliveries", {})):
            self._warn(sentence)
        if self._folder is not None:
            after = summary.pop("bare_forward_after_ms", None)
            self._info |= {"bare_forward_after_ms": after, "status": status, "missing": missing}
            self._info |= {"summary": summary, "warnings": self._warnings}
            self._info["anchors"].append(self._anchor())
            if problem := self._folder.write(self._info):
                self._warn(problem)
                missing.append(problem)
                if exit_code == ExitCode.DONE:
                    status, exit_code = f"incomplete: {problem}", ExitCode.INCOMPLETE
            elif problem := write_seal(
                self._folder.path, self._info, self._clock.utc_ns(), self._config.record.sign_with
            ):
                self._warn(problem)
        folder = None if self._folder is None else self._folder.path
        ok = exit_code == ExitCode.DONE
        exit_code = with_deliveries(exit_code, summary)
        return RunResult(folder, status, ok, self._info, summary, self._warnings, missing, exit_code)

    def _status(self, otherwise: str) -> str:
        """How the loop ended: complete, or what went wrong."""
        summary = self._summary
        if not summary:  # with its summary nothing is missing of a loop that was killed
            return otherwise or self._hung or f"the loop died (exit code {self._loop.exitcode})"
        if summary["faults"] or summary["failure"]:
            return str(summary["reason"])
        return "; ".join(summary["problems"]) or COMPLETE

    def _missing(self) -> list[str]:
        """What the session lacks, from comparing what was sent with what was kept."""
        if self._recorder is None or self._folder is None:
            return []
        for message in self._recorder.not_filmed():
            self._warn(message)
        return self._recorder.missing(self._folder.path, self._summary)

    def _anchor(self) -> dict[str, int]:
        return {"t_mono_ns": self._clock.now_ns(), "t_utc_ns": self._clock.utc_ns()}
