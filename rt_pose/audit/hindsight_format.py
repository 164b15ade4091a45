"""Scores of rules as lines for people, and as plain values for `hindsight.json`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rt_pose.audit.aimed_shots import as_json as aimed_shots_as_json
from rt_pose.audit.aimed_shots import format_aimed_shots
from rt_pose.audit.hindsight import LOST, Hindsight, Score
from rt_pose.delivery import format_counts
from rt_pose.loop.latency import summary


def as_json(hindsight: Hindsight) -> dict[str, Any]:
    """Convert the scores to plain values.

    Parameters
    ----------
    hindsight
        The scores.

    Returns
    -------
    dict[str, Any]
        An entry of `hindsight.json`.
    """
    return {
        "truth": hindsight.source,
        "tolerance_ms": hindsight.tolerance_ms,
        "seconds": round(hindsight.seconds, 3),
        "rules": {s.rule: _plain(s, hindsight.seconds) for s in hindsight.scores},
    }


def format_hindsight(hindsight: Hindsight) -> Iterable[str]:
    """Format the scores in lines for people.

    Parameters
    ----------
    hindsight
        The scores.

    Yields
    ------
    str
        A line.
    """
    yield (
        f"truth: {hindsight.source}, {hindsight.seconds:.1f} s; an event may be up to "
        f"{hindsight.tolerance_ms:g} ms off"
    )
    yield (
        f"{'rule':16}{'onsets':>8}{'hits':>7}{'misses':>8}{'false alarms':>14}{'repeats':>9}"
        f"{'delay P50 ms':>14}{'P90':>8}  what hits became"
    )
    for s in hindsight.scores:
        if s.unscored:
            yield f"{s.rule:16} not scored: {s.unscored}"
            continue
        delay = summary(s.delays_ms)
        cells = ("-", "-") if delay is None else (f"{delay['p50']:.1f}", f"{delay['p90']:.1f}")
        became = ", ".join(f"{n} {name}" for name, n in sorted(s.outcomes("hit").items())) or "-"
        if missing := format_counts({**s.deliveries("hit"), "acknowledged": 0}):
            became += f" (of those fired {missing})"
        yield (
            f"{s.rule:16}{s.onsets:8}{s.count('hit'):7}{s.misses:8}{s.count('false alarm'):14}"
            f"{s.count('repeat'):9}{cells[0]:>14}{cells[1]:>8}  {became}"
        )
    for s in hindsight.scores:
        if s.left_out and not s.unscored:
            yield f"{s.rule}: {left_out(s)}"
        if s.aimed is not None:
            yield format_aimed_shots(s.rule, s.aimed)


def left_out(s: Score) -> str:
    """Say that events of a rule were not scored.

    Parameters
    ----------
    s
        Its score.

    Returns
    -------
    str
        A clause; empty where all were.
    """
    if not s.left_out:
        return ""
    return f"{s.left_out} of its events are left out: nothing is known of their time"


def _plain(s: Score, covered_s: float) -> dict[str, Any]:
    alarms, seconds = s.count("false alarm"), s.seconds or covered_s
    plain: dict[str, Any] = {
        "onsets": s.onsets,
        "hits": s.count("hit"),
        "misses": s.misses,
        "false_alarms": alarms,
        "false_alarms_per_minute": round(60 * alarms / seconds, 4) if seconds else None,
        "repeats": s.count("repeat"),
        "lost": s.count(LOST),
        "delay_ms": summary(s.delays_ms),
        "hits_became": s.outcomes("hit"),
        "hits_delivered": s.deliveries("hit"),
        "false_alarms_became": s.outcomes("false alarm"),
    }
    if s.unscored:
        plain["unscored"] = s.unscored
    if s.left_out:
        plain["left_out"] = s.left_out
    return plain if s.aimed is None else {**plain, "aim": aimed_shots_as_json(s.aimed)}
