"""`rt-pose replay SESSION`: everything that can be asked of a session's decisions afterwards, in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from rt_pose.session import from_video, replay, what_if, what_if_text
from rt_pose.session.read import Session


@dataclass
class Audit:
    """What is asked besides the comparison bit for bit."""

    settings: list[str] = field(default_factory=list)
    """KEY=VALUE: what would have differed?"""
    from_video: bool = False
    """What does the network find in the session's film, and what follows from it?"""
    model: str | None = None
    """Package for `from_video`; the session's own where it is not given."""


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
    return result.identical
