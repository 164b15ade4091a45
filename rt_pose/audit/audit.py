"""`rt-pose replay SESSION`: everything that can be asked of a session's decisions afterwards."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rt_pose.audit import from_video, hindsight, hindsight_format, replay, what_if, what_if_format
from rt_pose.audit.other_truth import read_truth
from rt_pose.audit.recompute import ReplaySetup
from rt_pose.audit.slot_truth import smoothed_slots
from rt_pose.audit.truth import Smoother, TruthInSpace, TruthSeries, known_truth, smoothed_truth
from rt_pose.errors import ExitCode, UserError
from rt_pose.extras import require
from rt_pose.files import write_atomic
from rt_pose.session.folder import conclude_killed
from rt_pose.session.read import Session

_LOG = logging.getLogger(__name__)

JSON_NAME = "replay.json"


@dataclass
class Audit:
    """What is asked besides the comparison bit for bit."""

    settings: list[str] = field(default_factory=list)
    """Changes of parameters, KEY=VALUE, for what would have differed with them."""
    from_video: bool = False
    """Whether the network is run again, on the session's film, and decisions are made from what it finds."""
    model: str | None = None
    """Model package for `from_video`; the session's own where it is not given."""
    smooth: Smoother | None = None
    """Smoother of the session, with which the rules are scored in hindsight; None does not score them."""
    tolerance_ms: float = hindsight.TOLERANCE_MS
    """How far an event may be from the episode to which it belongs, ms."""
    reference: bool = False
    """Whether the tracks are computed again with filterpy."""
    truth: list[str] = field(default_factory=list)
    """Files of poses that another program found, `FILE` or `CAMERA=FILE`, to score against as well."""


@dataclass
class AuditResult:
    """What an audit found, besides the lines that it reported."""

    identical: bool
    """Replay gives the session's decisions, and the reference, where it was wanted, the same tracks."""
    hindsight: list[hindsight.Hindsight] = field(default_factory=list)
    """The scores, one for each truth, where they were wanted."""
    exit_code: ExitCode = ExitCode.DONE
    """DONE where all was read and agrees; otherwise what kept it from that."""


def audit(path: Path, wanted: Audit) -> AuditResult:
    """Audit a session, and report the answers in lines for people.

    The answers are also kept in the session as `replay.json`, which the report shows.

    Parameters
    ----------
    path
        The session's folder.
    wanted
        What is asked besides the comparison bit for bit.

    Returns
    -------
    AuditResult
        Whether replay agrees, and the scores.

    Raises
    ------
    UserError
        Where there is no session, or what is asked is not possible; `NotComparableError` where nothing was
        observed, or the rules mean what this program does not know.
    """
    _check_wanted(wanted)
    conclude_killed(path)
    session = Session.read(path)
    other = read_truth(session, wanted.truth) if wanted.truth else []
    changed = what_if.what_if(session, wanted.settings) if wanted.settings else None
    result = replay.replay_session(session)
    answers: dict[str, Any] = {"schema": 1, "replay": replay.as_json(result)}
    _print_lines(replay.format_replay(result))
    if changed is not None:
        comparison, changes = changed
        _print_lines(["", *changes, *what_if_format.format_comparison(comparison, "with the change")])
        answers["set"] = {"changes": changes, **what_if_format.as_json(comparison)}
    if wanted.from_video:
        answers["from_video"] = _decide_from_video(session, wanted.model)
    identical, exit_code = result.identical, result.exit_code
    if wanted.reference:
        answers["reference"], agrees = _compare_with_reference(session)
        identical &= agrees
        exit_code = exit_code if agrees else ExitCode.FAILED
    scores: list[hindsight.Hindsight] = []
    if wanted.smooth is not None:
        scores = score_hindsight(session, wanted.smooth, wanted.tolerance_ms, other)
        _print_lines(["", *(line for one in scores for line in hindsight_format.format_hindsight(one))])
    try:
        write_atomic(path / JSON_NAME, json.dumps(answers, indent=1) + "\n", "copy the session elsewhere")
    except UserError as error:  # an archive may be read-only: the answer stands
        _LOG.info(f"not kept: {error}")
    return AuditResult(identical, scores, exit_code)


def _check_wanted(wanted: Audit) -> None:
    if not 0.0 <= wanted.tolerance_ms <= 60_000.0:
        raise UserError(f"--tolerance-ms: expected 0 to 60000, got {wanted.tolerance_ms:g}")
    if wanted.reference:
        require("reference", "--reference")
    if wanted.truth and wanted.smooth is None:
        raise UserError("--truth: rules are scored against it with --hindsight; add that")


def _decide_from_video(session: Session, model: str | None) -> dict[str, Any]:
    """Report what the network finds in the film, and what follows from it; the answer for `replay.json`."""
    comparison, moved = from_video.from_video(session, model)
    found = what_if_format.format_comparison(comparison, "from the film")
    _print_lines(["", *from_video.format_moved(moved), *found])
    return {"poses": asdict(moved), **what_if_format.as_json(comparison)}


def _compare_with_reference(session: Session) -> tuple[dict[str, Any], bool]:
    """Report how far the tracks lie from filterpy's; the answer for `replay.json`, and whether they agree."""
    # Imported here: filterpy is an extra.
    from rt_pose.audit import reference

    found = reference.compare(session)
    _print_lines(["", *reference.format_reference(found)])
    return reference.as_json(found), found.agrees


def _print_lines(lines: Iterable[str]) -> None:
    for line in lines:
        _LOG.info(line)


def score_hindsight(
    session: Session, smooth: Smoother, tolerance_ms: float, other: list[TruthSeries] | None = None
) -> list[hindsight.Hindsight]:
    """Score the rules against the smoothed session and, where the rig knew it, the truth.

    Parameters
    ----------
    session
        The session.
    smooth
        The smoother.
    tolerance_ms
        How far an event may be from the episode to which it belongs, ms.
    other
        What another program found, where it is given.

    Returns
    -------
    list[Hindsight]
        One for each truth.
    """
    setup = ReplaySetup.of(session)
    smoothed = (
        smoothed_truth(session, setup.tracking_of, smooth)
        if setup.config.individual_count == 1
        else smoothed_slots(session, setup, smooth)
    )
    smoothed_in_space, known_in_space = _truths_in_space(session, setup)
    truths = [(smoothed, smoothed_in_space), (known_truth(session), known_in_space), (other or [], None)]
    return [hindsight.score(session, truth, tolerance_ms, spatial) for truth, spatial in truths if truth]


def _truths_in_space(
    session: Session, setup: ReplaySetup
) -> tuple[TruthInSpace, TruthInSpace] | tuple[None, None]:
    """Those of the groups of views, smoothed and known to the rig; None where no rule asks for them."""
    if not any(rule.view for rule in setup.config.rules):
        return None, None
    from rt_pose.audit.truth_in_space import truths_in_space  # with OpenCV, which other sessions do without

    return truths_in_space(session, setup)
