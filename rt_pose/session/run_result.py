"""How a run ended, for who started it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rt_pose.delivery import count_failures
from rt_pose.errors import ExitCode


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
