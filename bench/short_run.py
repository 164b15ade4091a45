"""A run of the whole program whose session is read and then deleted."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rigs
from rt_pose.clock import NS_PER_MS, HostClock
from rt_pose.config.schema import RunConfig
from rt_pose.loop.latency import summary
from rt_pose.session.read import Session, stamp_columns
from rt_pose.session.run import RunObserver, RunResult, run_session


@dataclass
class ShortRun:
    """A run that is over."""

    result: RunResult
    folder: Path
    """Folder of its session, which exists within the context only."""

    def session(self) -> Session:
        """Read the session as it was recorded.

        Returns
        -------
        Session
            In memory; it outlives the folder.
        """
        return Session.read(self.folder)


@contextmanager
def short_run(
    config: RunConfig, register: Callable[[], None] = rigs.register, notices: RunObserver | None = None
) -> Iterator[ShortRun]:
    """Run to the end; within the context the session's folder exists.

    Parameters
    ----------
    config
        The run.
    register
        Fills the registry of drivers.
    notices
        Receives what happens in the run.

    Yields
    ------
    ShortRun
        The run that is over.
    """
    with tempfile.TemporaryDirectory(prefix="rt-pose-bench-", ignore_cleanup_errors=True) as place:
        folder = Path(place) / "session"
        yield ShortRun(run_session(config, folder, register, HostClock(), notices), folder)


def came_through(result: RunResult, session: Session) -> dict[str, Any]:
    """Describe how a run's frames came through.

    Parameters
    ----------
    result
        How the run ended.
    session
        Its session.

    Returns
    -------
    dict[str, Any]
        Summary of image to decision (ms), the number of engine calls by their number of frames, frames
        captured and superseded, and the precision that the engine had.
    """
    stamps = stamp_columns(session.observations)
    calls = Counter(o.stages.t_inferred_ns for o in session.observations)
    counts = result.summary["cameras"].values()
    return {
        "image_to_decision_ms": summary((stamps.stages["t_decided_ns"] - stamps.t_arrival_ns) / NS_PER_MS),
        "calls_by_frames": dict(sorted(Counter(calls.values()).items())),
        "captured": sum(c["captured"] for c in counts),
        "superseded": sum(c["superseded"] for c in counts),
        "precision": session.info.engine.get("precision"),
    }
