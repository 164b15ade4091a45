"""One run while it goes on: watches the loop's process, and brings everything that it leaves to an end."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from rt_pose.clock import Clock
from rt_pose.config.build import duration_ns
from rt_pose.config.schema import RunConfig
from rt_pose.config.views import VIEWS_FOLDER, copy_name
from rt_pose.delivery import format_failures
from rt_pose.errors import ExitCode, UserError
from rt_pose.rules.semantics import CURRENT
from rt_pose.session.folder import SessionFolder
from rt_pose.session.log_file import LOG_NAME
from rt_pose.session.loop_link import LoopLink
from rt_pose.session.processes import end_process
from rt_pose.session.processor_watch import Processors
from rt_pose.session.read import RUNNING, SCHEMA
from rt_pose.session.recorder_watch import RecorderWatch
from rt_pose.session.run_observer import RunObserver
from rt_pose.session.run_result import RunResult, with_deliveries
from rt_pose.session.safe_outputs import SafeStandby
from rt_pose.session.seal import UNREADABLE, write_seal
from rt_pose.session.stats_warnings import StatsWarnings
from rt_pose.session.video_file import file_names
from rt_pose.session.watchdog import LoopWatchdog

POLL_S = 0.2
COMPLETE = "complete"
RECORDER_END_S, IDLE_RECORDER_END_S = 20.0, 1.0
LOOP_END_S, INTERRUPTED_END_S = 15.0, 5.0


@dataclass(frozen=True, slots=True)
class RecordingPlace:
    """Where a run is recorded, and by whom."""

    folder: Path
    endpoint: str
    """The recorder's endpoint, to which the loop connects."""
    recorder: RecorderWatch


class Supervision:
    """One run, once the loop is ready."""

    def __init__(
        self,
        config: RunConfig,
        recorded: RecordingPlace | None,
        session_id: str,
        description: dict[str, Any],
        clock: Clock,
        observer: RunObserver,
        loop: BaseProcess,
        link: LoopLink,
        register: Callable[[], None],
        processors: Processors,
    ) -> None:
        """Describe the run; nothing is written yet.

        Parameters
        ----------
        config
            The run.
        recorded
            Where it is recorded; None for nowhere.
        session_id
            Identifier of the session.
        description
            What the loop says that it has opened.
        clock
            Times the supervision.
        observer
            Receives what happens.
        loop, link
            The loop's process, and the pipe to it.
        register
            Fills the registry of drivers, in a process that makes outputs safe.
        processors
            The user's own, made and waiting.
        """
        self._config, self._recorded, self._clock, self._observer = config, recorded, clock, observer
        self._loop, self._link, self._processors = loop, link, processors
        kill_after_ns = duration_ns(config.safety.kill_after, "configuration: safety.kill_after")
        self._watchdog = LoopWatchdog(clock, kill_after_ns, len(config.outputs))
        self._unsafe: list[str] | None = None
        """What failed when the loop made its outputs safe; None before it has."""
        self._hung = ""
        self._stats_warnings = StatsWarnings(config)
        self._summary: dict[str, Any] = {}
        self._warnings: list[str] = []
        self._folder: SessionFolder | None = None
        self._recorder: RecorderWatch | None = None
        self._start_warnings: list[str] = description.pop("start_warnings")
        self._view_files: dict[str, bytes] = description.pop("view_files", {})
        """Calibrations of groups of views, by group."""
        self._info = self._session_info(session_id, description)
        self._standby = SafeStandby(config, register, loop.pid)  # `run` ends it

    def _session_info(self, session_id: str, description: dict[str, Any]) -> dict[str, Any]:
        """What `session.json` says of a run that has begun."""
        addresses = description.pop("addresses")
        return {
            "schema": SCHEMA,
            "semantics": CURRENT,
            "id": session_id,
            "status": RUNNING,
            "started_utc_ns": self._clock.utc_ns(),
            "started_in": str(Path.cwd()),
            "anchors": [self._anchor()],
            **description,
            "metadata": self._config.metadata,
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
            self._make_safe()
            if refusal := self._no_frame():
                raise UserError(refusal)
        except UserError as error:
            refused = True
            raise self._explained(error) from error
        except KeyboardInterrupt:  # the second Ctrl-C; the loop takes the closed link for the end
            self._link.connection.close()
            end_process(self._loop, INTERRUPTED_END_S)
            if self._loop.exitcode != 0:
                self._make_safe()
            self._end_recorder()
            self._processors.close()
            self._conclude("interrupted before its end")
            raise
        finally:
            self._standby.close()
            self._end_processors()
            self._end_recorder()
            if refused and self._folder is not None:
                # No frame was taken: nothing half-written stays.
                films = [name for camera in self._info["cameras"] for name in file_names(camera)]
                self._processors.discard(self._folder.path)
                copies = [f"{VIEWS_FOLDER}/{copy_name(group)}" for group in self._view_files]
                self._folder.discard([LOG_NAME, *films, *copies])
        return self._conclude()

    def _make_safe(self) -> None:
        """Make every output safe by the process that stands by, unless the loop has done it itself."""
        if self._summary or self._unsafe == [] or not self._config.outputs:
            return
        problems = self._standby.make_safe()
        for problem in problems or ["the loop died with its outputs open; they were made safe"]:
            self._warn(problem)

    def _no_frame(self) -> str:
        """Why no camera has delivered a frame; empty where one has, or where none has failed."""
        summary = self._summary
        if not summary or not summary["faults"] or any(c["captured"] for c in summary["cameras"].values()):
            return ""
        return f"the run was refused: {summary['reason']}"

    def _begin_session(self, to: RecordingPlace) -> None:
        self._folder = SessionFolder.claim(to.folder, self._info)
        copies = {copy_name(group): content for group, content in self._view_files.items()}
        self._folder.add(VIEWS_FOLDER, copies)
        kept = self._config.record
        codec = kept.codec if kept.video else None
        self._recorder = to.recorder
        self._recorder.begin(to.folder, to.endpoint, codec)

    def _explained(self, error: UserError) -> UserError:
        """The error, with the recorder's own reason where it has one."""
        why = self._recorder.why_not_begun() if self._recorder is not None else ""
        return UserError(f"{error}\nrecorder: {why}") if why else error

    def _tell_news(self) -> None:
        recorded = self._recorder.news() if self._recorder is not None else ()
        for message in (*recorded, *self._processors.news(), *self._standby.news()):
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
            folder = None if self._folder is None else self._folder.path
            for message in self._stats_warnings.compare(content, folder):
                self._warn(message)
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
            if problem := self._folder.write(self._info) or self._seal(self._folder):
                self._warn(problem)
                missing.append(problem)
                if exit_code == ExitCode.DONE:
                    status, exit_code = f"incomplete: {problem}", ExitCode.INCOMPLETE
        folder = None if self._folder is None else self._folder.path
        ok = exit_code == ExitCode.DONE
        exit_code = with_deliveries(exit_code, summary)
        return RunResult(folder, status, ok, self._info, summary, self._warnings, missing, exit_code)

    def _seal(self, folder: SessionFolder) -> str:
        """Seal the session; what it lacks, where one of its files cannot be read back."""
        info = self._info
        problem = write_seal(folder.path, info, self._clock.utc_ns(), self._config.record.sign_with)
        if problem and UNREADABLE not in problem:
            self._warn(problem)  # it lacks nothing
            return ""
        if problem:
            status = f"incomplete: {problem}" if info["status"] == COMPLETE else info["status"]
            folder.write(info | {"status": status, "missing": [*info["missing"], problem]})
        return problem

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
