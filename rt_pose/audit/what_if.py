"""What would have differed: the same inputs through two setups, compared event by event.

An event of the session and one of the changed run are the same trial where they come from the same frame, or
from two frames at most `ALIGN_MS` of scene time apart with nothing nearer. Inputs were recorded while the
animal experienced the session's own stimuli. So the comparison is true up to the first stimulus that would
have been another one (given or not, at another time, of another kind); what follows is open-loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from rt_pose.audit.recompute import DecisionReplay, RecomputedFrame, RecomputedGroup, ReplaySetup
from rt_pose.audit.replay import usable_inputs
from rt_pose.audit.settings import apply_settings
from rt_pose.clock import NS_PER_MS
from rt_pose.records import ControlRecord, EdgeRecord, GroupRecord, Observation
from rt_pose.rules.semantics import ONE_RIG
from rt_pose.session.read import Session
from rt_pose.types import Command, Event

ALIGN_MS = 500.0
_COMMAND_NAMES = ("id", "event_id", "t_deadline_ns")
"""Fields of a command that do not change the stimulus."""


@dataclass
class Trial:
    """An event of one of the runs, with its input in the session."""

    seq: int
    t_scene_ns: int
    event: Event
    command: Command | None

    @property
    def stimulus(self) -> dict[str, Any] | None:
        """The command without what does not change the stimulus; None where nothing fires."""
        if self.command is None:
            return None
        plain = msgspec.structs.asdict(self.command)
        return {key: value for key, value in plain.items() if key not in _COMMAND_NAMES}

    def __str__(self) -> str:
        return f"{self.event.outcome} ({self.event.reason})" if self.event.reason else self.event.outcome


@dataclass
class Difference:
    """A trial that is not the same in both runs."""

    before: Trial | None
    after: Trial | None
    number: int | None = None
    """Number of the trial among the session's own events of its rule, from 1."""

    @property
    def first(self) -> Trial:
        """Whichever of the two comes first."""
        return min((t for t in (self.before, self.after) if t is not None), key=lambda t: t.seq)

    @property
    def changes_stimulus(self) -> bool:
        """Whether the animal would have received another stimulus, or at another time."""
        felt = [(t.seq, t.stimulus) for t in (self.before, self.after) if t is not None and t.stimulus]
        return len(felt) == 1 or (len(felt) == 2 and felt[0] != felt[1])

    @property
    def kind(self) -> str:
        """What differs: `only before`, `only after`, `other time`, `other outcome` or `other command`."""
        if self.before is None or self.after is None:
            return "only before" if self.after is None else "only after"
        if self.before.seq != self.after.seq:
            return "other time"
        return "other outcome" if str(self.before) != str(self.after) else "other command"


@dataclass
class Comparison:
    """Both runs side by side."""

    start_ns: int
    """Scene time of the first observation."""
    before: list[Trial]
    after: list[Trial]
    differences: list[Difference] = field(default_factory=list)
    """The trials that differ, in order of time."""
    problems: list[str] = field(default_factory=list)

    @property
    def first_changed_stimulus(self) -> int | None:
        """Index of the difference from which on the inputs would have been others; None for none."""
        return next((i for i, d in enumerate(self.differences) if d.changes_stimulus), None)


def what_if(session: Session, settings: Sequence[str]) -> tuple[Comparison, list[str]]:
    """Compare a session with itself under changed parameters.

    Parameters
    ----------
    session
        The session.
    settings
        KEY=VALUE each; see `rt_pose.audit.settings`.

    Returns
    -------
    tuple[Comparison, list[str]]
        The trials that differ, and what has changed.

    Raises
    ------
    UserError
        Where a setting cannot be carried out.
    """
    setup = ReplaySetup.of(session)
    changed, changes = apply_settings(setup, settings)
    return compare(session, DecisionReplay(setup), DecisionReplay(changed)), [str(c) for c in changes]


def compare(
    session: Session,
    before: DecisionReplay,
    after: DecisionReplay,
    seen_after: Callable[[Observation], Observation] = lambda seen: seen,
) -> Comparison:
    """Step two runs through a session's inputs.

    Parameters
    ----------
    session
        The session.
    before, after
        The two runs, at their beginning.
    seen_after
        Gives what the second run observes in place of an observation.

    Returns
    -------
    Comparison
        The trials of both, and those that differ.

    Raises
    ------
    UserError
        Where the session holds no observation.
    """
    runs: tuple[list[Trial], list[Trial]] = [], []
    start_ns: int | None = None
    problems = []
    for item in usable_inputs(session):
        if isinstance(item, ControlRecord):
            problem = before.order(item)
            after.order(item)
            problems += [f"input {item.seq}: {problem}"] if problem else []
            continue
        if isinstance(item, EdgeRecord):
            before.take(item.edge)
            after.take(item.edge)
            continue
        if isinstance(item, GroupRecord):
            for run, trials in ((before, runs[0]), (after, runs[1])):
                decided = run.observe_group(item)
                at_ns = 0 if decided.track is None else decided.track.t_valid_ns
                trials.extend(_trials(item.seq, at_ns, decided))
            continue
        start_ns = item.stamps.t_scene_ns if start_ns is None else start_ns
        t_scene_ns = item.stamps.t_scene_ns
        runs[0].extend(_trials(item.seq, t_scene_ns, before.observe(item)))
        runs[1].extend(_trials(item.seq, t_scene_ns, after.observe(seen_after(item))))
    comparison = Comparison(start_ns or 0, *runs, problems=problems)
    comparison.differences = align(*runs, by_camera=session.info.semantics < ONE_RIG)
    return comparison


def align(before: list[Trial], after: list[Trial], by_camera: bool = False) -> list[Difference]:
    """Find the trials that are not the same in both runs.

    Parameters
    ----------
    before, after
        Trials of the two runs.
    by_camera
        Whether each camera had rules of its own.

    Returns
    -------
    list[Difference]
        In order of time.
    """
    found: list[Difference] = []
    for key in {_key(t, by_camera) for t in [*before, *after]}:
        ours, theirs = ([t for t in run if _key(t, by_camera) == key] for run in (before, after))
        found += _align_rule(ours, theirs)
    return sorted(found, key=lambda d: (d.first.seq, d.first.event.rule))


def _trials(seq: int, t_scene_ns: int, decided: RecomputedFrame | RecomputedGroup) -> list[Trial]:
    commands = {command.event_id: command for command in decided.commands}
    return [Trial(seq, t_scene_ns, event, commands.get(event.id)) for event in decided.events]


def _key(trial: Trial, by_camera: bool) -> tuple[str, str, int]:
    return trial.event.camera if by_camera else "", trial.event.rule, trial.event.individual


def _align_rule(before: list[Trial], after: list[Trial]) -> list[Difference]:
    """Align the trials of one rule: equal frames first, then the nearest in time; the rest has no partner."""
    numbers = {id(trial): n for n, trial in enumerate(before, 1)}
    by_seq = {trial.seq: trial for trial in after}
    pairs = [(trial, by_seq[trial.seq]) for trial in before if trial.seq in by_seq]
    found = [Difference(a, b, numbers[id(a)]) for a, b in pairs if _differs(a, b)]
    taken = {trial.seq for trial, _ in pairs}
    left = [t for t in before if t.seq not in taken]
    right = [t for t in after if t.seq not in taken]
    near = sorted(
        ((abs(a.t_scene_ns - b.t_scene_ns), i, j) for i, a in enumerate(left) for j, b in enumerate(right)),
    )
    used_left: set[int] = set()
    used_right: set[int] = set()
    for apart_ns, i, j in near:
        if apart_ns > ALIGN_MS * NS_PER_MS:
            break
        if i not in used_left and j not in used_right:
            used_left.add(i)
            used_right.add(j)
            found.append(Difference(left[i], right[j], numbers[id(left[i])]))
    found += [Difference(t, None, numbers[id(t)]) for i, t in enumerate(left) if i not in used_left]
    found += [Difference(None, t) for j, t in enumerate(right) if j not in used_right]
    return found


def _differs(before: Trial, after: Trial) -> bool:
    return str(before) != str(after) or before.stimulus != after.stimulus
