"""The supervisor's side of the recorder: whether it lives, and what the session lacks because of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from rt_pose.clock import NS_PER_S, Clock
from rt_pose.session import processes, record
from rt_pose.session.log_file import LOG_NAME, REMOVED, count_records
from rt_pose.session.recorder_report import RecorderReport, decode_report
from rt_pose.session.video_file import Codec

SILENT_S = 3.0
"""So long after its last report a recorder counts as hanging."""
SUSPENDED_NS = NS_PER_S
"""A supervisor that did not look for this long was itself held up."""
OBSERVATION = "observation"


class RecorderWatch:
    """Starts a recorder, follows its reports, and adds up what is missing at the end."""

    def __init__(self, clock: Clock) -> None:
        """Start the recorder's process, which loads its libraries and then waits for `begin`.

        Parameters
        ----------
        clock
            Times the silence between reports.
        """
        self.reports, reports = processes.context.Pipe(duplex=False)
        """Becomes readable with each report, and at the recorder's end."""
        orders, self._orders = processes.context.Pipe(duplex=False)
        self.process: BaseProcess = processes.context.Process(
            target=record.stand_by, args=(orders, reports), name="rt-pose-recorder"
        )
        self.process.start()
        reports.close()
        orders.close()
        self.over = False
        """Whether its end has been noticed."""
        self._clock = clock
        self._last: RecorderReport | None = None
        self._heard_ns = self._checked_ns = clock.now_ns()
        self._unresponsive = self._ending = self._begun = False
        self._reported: set[str] = set()
        self._killed = ""

    def begin(self, folder: Path, endpoint: str, codec: Codec | None) -> None:
        """Let it record.

        Parameters
        ----------
        folder
            The session's folder.
        endpoint
            Where records arrive, `ipc://...`.
        codec
            Of the cameras' films; None where they are not filmed.
        """
        self._heard_ns = self._checked_ns = self._clock.now_ns()
        self._begun = True
        with suppress(OSError):  # it has died meanwhile, which `news` sees
            self._orders.send((str(folder), endpoint, codec))
        self._orders.close()

    def dismiss(self) -> None:
        """End a recorder that has not begun, because there is no session."""
        if self._begun:
            return
        self._orders.close()
        self.process.kill()  # it has written nothing
        self.process.join()
        self.reports.close()

    def news(self) -> Iterator[str]:
        """Look what has become of the recorder; to be called all the time.

        Yields
        ------
        str
            A warning.
        """
        now_ns = self._clock.now_ns()
        if now_ns - self._checked_ns > SUSPENDED_NS:
            self._heard_ns = now_ns
        self._checked_ns = now_ns
        heard = self._receive(now_ns)
        if heard and self._unresponsive:
            self._unresponsive = False
            yield "the recorder goes on; what it could not take meanwhile is counted at the end"
        yield from self._new_problems()
        if self.over:
            return
        if not self.process.is_alive():
            self._receive(now_ns)  # its last words may have come between
            yield from self._new_problems()
            self.over = True
            if not self._whole and not (self._last and self._last.ending):
                yield self._follows(f"the recorder died (exit code {self.process.exitcode})")
        elif (
            self._last is not None
            and not self._unresponsive
            and now_ns - self._heard_ns > SILENT_S * NS_PER_S
        ):
            self._unresponsive = True
            yield f"the recorder hangs: no word of it for {(now_ns - self._heard_ns) / NS_PER_S:.1f} s"

    def end(self, patience_s: float) -> Iterator[str]:
        """Wait for the recorder's end, and bring it about where it does not come.

        Parameters
        ----------
        patience_s
            How long it may take, s.

        Yields
        ------
        str
            A warning.
        """
        self._ending, process = True, self.process
        process.join(patience_s)
        if process.is_alive():
            self._killed = f"the recorder hung: it did not end within {patience_s:g} s and was killed"
            process.terminate()
            process.join(2.0)
        if process.is_alive():
            process.kill()
            process.join(2.0)
        yield from self.news()
        if self._killed and not self._whole:
            yield self._killed

    def why_not_begun(self) -> str:
        """Say why it has not begun.

        Returns
        -------
        str
            Its own reason; empty where it gave none.
        """
        self._receive(self._clock.now_ns())
        return self._last.ending if self._last is not None else ""

    def missing(self, folder: Path, summary: dict[str, Any]) -> list[str]:
        """Compare what the loop has sent with what the log holds, once both have ended.

        Parameters
        ----------
        folder
            The session's folder.
        summary
            The loop's last counts; empty where it died, when nobody knows what it sent.

        Returns
        -------
        list[str]
            What the session lacks, a clause each; empty where it is whole.
        """
        last = self._last or RecorderReport()
        lacks = [f"{what} {problem}" for what, problem in last.problems.items() if _is_loss(problem)]
        if summary:
            total = summary["records_sent"] + summary["records_refused"]
            lost = total - last.received
            if self._whole and lost > 0:
                lacks.append(f"{lost} of {total} records are not in the log")
            elif not self._whole:
                lacks.append(self._count_lost(folder, summary, total))
        elif not self._whole and self._how_it_ended():
            lacks.append(self._how_it_ended())
        return lacks

    def not_filmed(self) -> Iterator[str]:
        """Say how many frames are missing in films that went on.

        Yields
        ------
        str
            A warning.
        """
        for camera, count in (self._last.not_filmed if self._last else {}).items():
            yield f"camera '{camera}': {count} frames are not in its film (the report says why)"

    @property
    def _whole(self) -> bool:
        return self._last is not None and self._last.whole

    def _receive(self, now_ns: int) -> bool:
        heard = False
        try:
            while self.reports.poll():
                self._last = decode_report(self.reports.recv_bytes())
                self._heard_ns, heard = now_ns, True
        except (EOFError, OSError):
            return heard
        return heard

    def _new_problems(self) -> Iterator[str]:
        last = self._last or RecorderReport()
        said = [f"{what} {problem}" for what, problem in last.problems.items()]
        if last.ending:
            said.append(self._follows(f"the recorder ends: {last.ending}"))
        for text in said:
            if text not in self._reported:
                self._reported.add(text)
                yield text

    def _follows(self, what: str) -> str:
        return what if self._ending else f"{what}; the run goes on, what follows is not recorded"

    def _how_it_ended(self) -> str:
        if self._killed:
            return self._killed
        if self._last is not None and self._last.ending:
            return f"the recorder ended: {self._last.ending}"
        return f"the recorder died (exit code {self.process.exitcode})" if self.process.exitcode else ""

    def _count_lost(self, folder: Path, summary: dict[str, Any], total: int) -> str:
        held = count_records(folder / LOG_NAME)
        processed = sum(counts["processed"] for counts in summary["cameras"].values())
        return (
            f"{max(processed - held[OBSERVATION], 0)} of {processed} observations and "
            f"{max(total - held.total(), 0)} of {total} records are not in the log"
            + (f" ({how})" if (how := self._how_it_ended()) else "")
        )


def _is_loss(problem: str) -> bool:
    """Whether a problem costs the session something: one that was moved is whole where it is now."""
    return problem == REMOVED or problem.startswith("is not filmed")
