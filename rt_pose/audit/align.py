"""A session's times on the clock of another recording, by the sync pulses that both hold."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.errors import UserError
from rt_pose.offline.clock_fit import LEAST_PAIRS, ClockFit, fit_clock
from rt_pose.offline.pulse_match import (
    MOST_DRIFT,
    AmbiguousMatch,
    Match,
    NoMatch,
    match_near,
    match_pulses,
    tolerance_s,
)
from rt_pose.offline.recorded_events import read_events
from rt_pose.outputs.barcode import NUMBER_BITS, PULSES, find_codes
from rt_pose.records import SyncRecord
from rt_pose.session.read import Session
from rt_pose.types import FloatArray

Signal = Literal["frames", "code"]
UTC_WITHIN_S = 0.1
"""How well clocks of computers that are set over a network agree, at worst."""
REMEDIES = (
    "a pulse train without gaps fits in many places: say `--first-pulse` where its first recorded pulse is "
    "the session's first, `--zero-utc TIME` where you know when the other clock was 0, and next time "
    "record a `sync.code` line"
)


_COUNTS = ("matched", "lost", "extra", "sent_outside", "recorded_outside", "codes", "other_codes")


@dataclass
class AlignOptions:
    """What `rt-pose align` is asked."""

    events: Path
    format: str | None = None
    line: str | None = None
    signal: Signal | None = None
    """None: the code where the session and the line hold one, otherwise the pulses of frames."""
    rate_hz: float | None = None
    first_pulse: bool = False
    """Whether the first recorded pulse is the session's first."""
    zero_utc: str | None = None
    """When the other clock was 0 (ISO 8601)."""


@dataclass
class Alignment:
    """The other clock as a function of the host's, and what it rests on."""

    signal: Signal
    fit: ClockFit
    matched: int
    lost: int
    """Sent while the other system recorded, and not recorded."""
    extra: int
    """Recorded during the session, and not sent."""
    sent_outside: int
    """Sent before the first or after the last recorded pulse."""
    recorded_outside: int
    """Recorded before the first or after the last sent pulse."""
    codes: int = 0
    other_codes: int = 0
    """Codes on the line that are no codes of this session."""

    def residuals_ms(self) -> dict[str, float]:
        """Sum up how far pulses are from the line.

        Returns
        -------
        dict[str, float]
            Percentiles of their absolute values, ms.
        """
        apart = np.abs(self.fit.residuals_s) * 1e3
        return {f"p{p}": float(np.percentile(apart, p)) for p in (50, 90, 99)} | {"max": float(apart.max())}

    def lines(self) -> list[str]:
        """Format for people.

        Returns
        -------
        list[str]
            Lines.
        """
        codes = f" in {self.codes} codes" if self.signal == "code" else ""
        error_ppm = 3e6 * self.fit.rate_error
        others = f"; {self.other_codes} codes of other sessions" if self.other_codes else ""
        figures = ", ".join(f"{name.upper()} {value:.3f}" for name, value in self.residuals_ms().items())
        return [
            f"{self.signal}: {self.matched} pulses matched{codes}, {self.lost} lost, {self.extra} extra; "
            f"{self.sent_outside} sent outside the recording, {self.recorded_outside} recorded outside the "
            f"session{others}",
            f"the other clock runs {self.fit.drift_ppm:+.3f} ppm (+- {error_ppm:.3f}) against the host's",
            f"residuals, ms: {figures}",
        ]


def align(session: Session, options: AlignOptions) -> Alignment:
    """Find a session's sync pulses in another recording.

    Parameters
    ----------
    session
        The session.
    options
        Where the other recording is, and what is known of it.

    Returns
    -------
    Alignment
        The other clock as a function of the host's.

    Raises
    ------
    UserError
        Where the session sent no pulses, or the recording holds none of them or holds them in several places.
    """
    recorded = read_events(options.events, options.format, options.rate_hz).line(options.line)
    if len(recorded) < LEAST_PAIRS:
        raise UserError(f"events {options.events}: {len(recorded)} pulses; at least {LEAST_PAIRS} are needed")
    found_codes = find_codes(recorded)
    signal = options.signal or _signal(session, bool(found_codes))
    records = [record for record in session.sync if record.signal == signal and record.ok]
    times_ns, records = sent_times(session, records)
    if len(records) < LEAST_PAIRS:
        raise UserError(
            f"session {session.path}: {len(records)} pulses of sync.{signal} were sent, at least "
            f"{LEAST_PAIRS} are needed; a `sync: {signal}:` section of the run's configuration sends them"
        )
    if signal == "code":
        times_read = Counter(found.number for found in found_codes)
        numbers = {found.number: found.first for found in found_codes if times_read[found.number] == 1}
        pairs, codes = _pairs_of_codes(session, records, numbers, len(found_codes))
        return _concluded(signal, times_ns, recorded, pairs, codes, len(found_codes) - codes)
    sent = _seconds(times_ns)
    try:
        pairs = match_pulses(sent, recorded, _offsets(session, options, times_ns, recorded))
    except AmbiguousMatch as error:
        raise AmbiguousMatch(f"events {options.events}: {error}; {REMEDIES}") from error
    except NoMatch as error:
        raise NoMatch(
            f"events {options.events}: {error}; is it the right --line, of the right recording?"
        ) from error
    return _concluded(signal, times_ns, recorded, pairs)


def sent_times(session: Session, records: list[SyncRecord]) -> tuple[NDArray[np.int64], list[SyncRecord]]:
    """Find out when pulses were on their line, as well as the session knows.

    Parameters
    ----------
    session
        The session, for the delays of its outputs.
    records
        Pulses that were carried out.

    Returns
    -------
    tuple[NDArray[np.int64], list[SyncRecord]]
        Host times, ns, in order, and the records in that order: by the device's clock where it has one,
        otherwise the write and the delay of the output.
    """
    delays_ns = {name: round(info.delay_ms * NS_PER_MS) for name, info in session.info.outputs.items()}
    times: list[tuple[int, SyncRecord]] = []
    for record in records:
        if record.t_effect_ns is not None:
            times.append((record.t_effect_ns, record))
        elif record.t_sent_ns is not None:
            times.append((record.t_sent_ns + delays_ns.get(record.output, 0), record))
    times.sort(key=lambda pair: pair[0])
    return np.array([t for t, _ in times], np.int64), [record for _, record in times]


def _signal(session: Session, codes: bool) -> Signal:
    sent = {record.signal for record in session.sync}
    if not sent:
        raise UserError(
            f"session {session.path}: it sent no sync pulses; a `sync:` section of the run's "
            "configuration does"
        )
    return "code" if "code" in sent and (codes or "frames" not in sent) else "frames"


def _pairs_of_codes(
    session: Session, records: list[SyncRecord], found: dict[int, int], read: int
) -> tuple[Match, int]:
    """The pulses of the codes that the session has sent and the line holds, each once."""
    by_number: dict[int, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    for i, record in enumerate(records):
        if record.code is not None and 0 <= record.code < 1 << NUMBER_BITS and 0 <= record.place < PULSES:
            by_number[record.code][record.place].append(i)
    pairs = [
        (sent[0], found[number] + place)
        for number, places in by_number.items()
        if number in found
        for place, sent in places.items()
        if len(sent) == 1  # a number that was sent twice, after the time was set back, says nothing
    ]
    if not pairs:
        ours = (
            f"the session's say {_utc(min(by_number))} to {_utc(max(by_number))}"
            if by_number
            else "it has none"
        )
        theirs = f"; those of the line {_utc(min(found))} to {_utc(max(found))}" if found else ""
        raise NoMatch(
            f"session {session.path}: {read} codes were read on the line, none of them of this session: "
            f"{ours}{theirs}"
        )
    pairs.sort()
    sent, recorded = np.array(pairs, np.intp).T
    return Match(sent, recorded), sum(number in found for number in by_number)


def _utc(number: int) -> str:
    return datetime.fromtimestamp(number, UTC).isoformat()


def _offsets(
    session: Session, options: AlignOptions, times_ns: NDArray[np.int64], recorded: FloatArray
) -> tuple[float, float] | None:
    """Between which offsets the recorded time of the first sent pulse lies, where something says so."""
    if options.first_pulse:
        near = tolerance_s(_seconds(times_ns))
        return float(recorded[0]) - near, float(recorded[0]) + near
    if options.zero_utc is None:
        return None
    if not session.info.anchors:
        raise UserError(f"session {session.path}: it holds no UTC time; leave --zero-utc out")
    anchor = session.info.anchors[0]
    first_utc_ns = int(times_ns[0]) - anchor.t_mono_ns + anchor.t_utc_ns
    expected = (first_utc_ns - _utc_ns(options.zero_utc)) / NS_PER_S
    return expected - UTC_WITHIN_S, expected + UTC_WITHIN_S


def _utc_ns(text: str) -> int:
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise UserError(
            f"--zero-utc: expected a time with its zone such as 2026-05-01T09:30:00.250Z, got {text!r}"
        )
    return round(time.timestamp() * 1e6) * 1000


def _concluded(
    signal: Signal,
    times_ns: NDArray[np.int64],
    recorded: FloatArray,
    pairs: Match,
    codes: int = 0,
    others: int = 0,
) -> Alignment:
    """Fit the line, pair what is near it, and count what is left."""
    tolerance = tolerance_s(_seconds(times_ns))
    fit = _checked_fit(times_ns, recorded, pairs)
    if signal == "code":  # the pulses of codes that could not be read, too
        pairs = match_near(fit.to_other_s(times_ns), recorded, tolerance)
        fit = _checked_fit(times_ns, recorded, pairs)
    expected = fit.to_other_s(times_ns)
    inside = (expected >= recorded[0] - tolerance) & (expected <= recorded[-1] + tolerance)
    during = (recorded >= expected[0] - tolerance) & (recorded <= expected[-1] + tolerance)
    matched = len(pairs.sent)
    return Alignment(
        signal,
        fit,
        matched,
        lost=int(inside.sum()) - int(inside[pairs.sent].sum()),
        extra=int(during.sum()) - int(during[pairs.recorded].sum()),
        sent_outside=int((~inside).sum()),
        recorded_outside=int((~during).sum()),
        codes=codes,
        other_codes=others,
    )


def _checked_fit(times_ns: NDArray[np.int64], recorded: FloatArray, pairs: Match) -> ClockFit:
    if len(pairs.sent) < LEAST_PAIRS:
        raise NoMatch(f"{len(pairs.sent)} pulses matched; at least {LEAST_PAIRS} are needed")
    fit = fit_clock(times_ns[pairs.sent], recorded[pairs.recorded])
    if not abs(fit.rate - 1.0) <= MOST_DRIFT + 3 * fit.rate_error:
        raise NoMatch(
            f"the clocks would run {fit.drift_ppm:+.0f} ppm apart, and quartzes never do more than "
            f"{1e6 * MOST_DRIFT:.0f}; are the times in s, and --rate-hz right?"
        )
    return fit


def _seconds(times_ns: NDArray[np.int64]) -> FloatArray:
    return (times_ns - times_ns[0]) / NS_PER_S


def as_json(session: Session, options: AlignOptions, found: Alignment) -> dict[str, Any]:
    """Convert to plain values.

    Parameters
    ----------
    session
        The session.
    options
        What was asked.
    found
        What was found.

    Returns
    -------
    dict[str, Any]
        `other_s + rate * (t_ns - host_ns) / 1e9` is a host time on the other clock.
    """
    fit = found.fit
    return {
        "schema": 1,
        "session": session.info.id,
        "events": str(options.events),
        "line": options.line,
        "signal": found.signal,
        "host_ns": fit.host_ns,
        "other_s": fit.other_s,
        "rate": fit.rate,
        "drift_ppm": fit.drift_ppm,
        "drift_error_ppm": 3e6 * fit.rate_error,
        **{name: getattr(found, name) for name in _COUNTS},
        "residual_ms": found.residuals_ms(),
    }
