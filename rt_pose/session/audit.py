"""`rt-pose replay SESSION`: everything that can be asked of a session's decisions afterwards, in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rt_pose.errors import UserError
from rt_pose.session import from_video, hindsight, hindsight_page, replay, what_if, what_if_text
from rt_pose.session.decisions import Setup
from rt_pose.session.read import Session
from rt_pose.session.truth import Smoother, known_truth, smoothed_truth


@dataclass
class Audit:
    """What is asked besides the comparison bit for bit."""

    settings: list[str] = field(default_factory=list)
    """KEY=VALUE: what would have differed?"""
    from_video: bool = False
    """What does the network find in the session's film, and what follows from it?"""
    model: str | None = None
    """Package for `from_video`; the session's own where it is not given."""
    smooth: Smoother | None = None
    """Smoother for the hindsight: how do the rules compare with what truly happened?"""
    tolerance_ms: float = hindsight.TOLERANCE_MS
    """So far may an event be from the episode it belongs to."""


def audit(path: Path, wanted: Audit, say: Callable[[str], object]) -> bool:
    """Answer what is asked, in lines for people; whether replay gives the session's own decisions.

    UserError where there is no session, or what is asked cannot be.
    """
    session = Session.read(path)
    if wanted.settings:
        comparison, changes = what_if.what_if(session, wanted.settings)
    result = replay.replay_session(session)
    for line in replay.tell(result):
        say(line)
    if wanted.settings:
        say("")
        for line in changes:
            say(line)
        for line in what_if_text.tell(comparison, "with the change"):
            say(line)
    if wanted.from_video:
        say("")
        comparison, moved = from_video.from_video(session, wanted.model)
        for line in [*from_video.tell(moved), *what_if_text.tell(comparison, "from the film")]:
            say(line)
    if wanted.smooth is not None:
        say("")
        for one in look_back(session, wanted.smooth, wanted.tolerance_ms):
            for line in hindsight.tell(one):
                say(line)
        say(f"plots: {path / hindsight_page.PAGE_NAME}")
    return result.identical


def look_back(session: Session, smooth: Smoother, tolerance_ms: float) -> list[hindsight.Hindsight]:
    """Score the rules against the smoothed session and, where the rig knew it, the truth; writes the page.

    UserError where the tolerance makes no sense.
    """
    if not 0.0 <= tolerance_ms <= 60_000.0:
        raise UserError(f"--tolerance-ms: expected 0 to 60000, got {tolerance_ms:g}")
    truths = [smoothed_truth(session, Setup.of(session).tracking, smooth), known_truth(session)]
    found = [hindsight.score(session, truth, tolerance_ms) for truth in truths if truth]
    hindsight_page.write(session.path, found)
    return found
