"""The supervisor's side of the recorder: whether it lives, and what the session lacks because of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from rt_pose.clock import Clock
from rt_pose.session import processes, record
from rt_pose.session.log_file import LOG_NAME, REMOVED, count_records
from rt_pose.session.processes import end_process
from rt_pose.session.recorder_report import RecorderReport
from rt_pose.session.reporting_process import ReportingProcess
from rt_pose.session.video_file import Codec

OBSERVATION = "observation"


class RecorderWatch(ReportingProcess[RecorderReport]):
    """Starts a recorder, follows its reports, and adds up what is missing at the end."""

    def __init__(self, clock: Clock) -> None:
        """Start the recorder's process, which loads its libraries and then waits for `begin`.

        Parameters
        ----------
        clock
            Times the silence between reports.
        """
        orders, self._orders = processes.context.Pipe(duplex=False)
        super().__init__("rt-pose-recorder", record.stand_by, (orders,), RecorderReport(), clock)
        orders.close()
        self._begun = self._ending = False
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
        self._expect_report()
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
        self._ending = True
        if not end_process(self.process, patience_s):
            self._killed = f"the recorder hung: it did not end within {patience_s:g} s and was killed"
        yield from self.news()
        if self._killed and not self.last.whole:
            yield self._killed

    def why_not_begun(self) -> str:
        """Say why it has not begun.

        Returns
        -------
        str
            Its own reason; empty where it gave none.
        """
        self._receive(self._clock.now_ns())
        return self.last.ending

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
        last = self.last
        lacks = [f"{what} {problem}" for what, problem in last.problems.items() if _is_loss(problem)]
        if summary:
            total = summary["records_sent"] + summary["records_refused"]
            lost = total - last.received
            if last.whole and lost > 0:
                lacks.append(f"{lost} of {total} records are not in the log")
            elif not last.whole:
                lacks.append(self._count_lost(folder, summary, total))
        elif not last.whole and self._how_it_ended():
            lacks.append(self._how_it_ended())
        return lacks

    def not_filmed(self) -> Iterator[str]:
        """Say how many frames are missing in films that went on.

        Yields
        ------
        str
            A warning.
        """
        for camera, count in self.last.not_filmed.items():
            yield f"camera '{camera}': {count} frames are not in its film (the report says why)"

    def _problems(self) -> Iterator[str]:
        for what, problem in self.last.problems.items():
            yield f"{what} {problem}"
        if self.last.ending:
            yield self._follows(f"the recorder ends: {self.last.ending}")

    def _format_return(self) -> str:
        return "the recorder goes on; what it could not take meanwhile is counted at the end"

    def _format_death(self) -> str:
        if self.last.whole or self.last.ending:
            return ""
        return self._follows(f"the recorder died (exit code {self.process.exitcode})")

    def _format_hang(self, since_s: float) -> str:
        return f"the recorder hangs: no word of it for {since_s:.1f} s"

    def _follows(self, what: str) -> str:
        return what if self._ending else f"{what}; the run goes on, what follows is not recorded"

    def _how_it_ended(self) -> str:
        if self._killed:
            return self._killed
        if self.last.ending:
            return f"the recorder ended: {self.last.ending}"
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
