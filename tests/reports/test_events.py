"""What the report says of events, their commands, orders and blocks."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from support.html_page import check_page

from rt_pose.records import ControlRecord, EventRecord
from rt_pose.reports import events
from rt_pose.reports.events import EVENT_HEAD, blocks, command_counts, event_rows, orders
from rt_pose.reports.session_page import page
from rt_pose.reports.session_report import figures
from rt_pose.reports.summary import UNARMED, format_summary
from rt_pose.session.read import Session


@pytest.fixture
def session(synthetic_session: Path) -> Session:
    return Session.read(synthetic_session)


def refuse_first(session: Session) -> None:
    session.acks[0].ack = msgspec.structs.replace(session.acks[0].ack, ok=False, detail="interlock open")


def test_a_refused_stimulus_is_told_from_its_event(session: Session) -> None:
    refuse_first(session)
    session.acks.pop()
    found = command_counts(session)
    expected = {"acknowledged": 2, "failed": 0, "refused": 1, "unknown": 1, "cut": 0}
    assert found["by_rule"] == {"corner": expected}
    assert (found["delivery"], found["failed"]) == (expected, 2)
    assert found["why"] == {"interlock open": 1, "no answer was logged": 1}
    assert (found["given"], found["acknowledged"], found["not_carried_out"]) == (4, 2, 1)
    rows = [dict(zip(EVENT_HEAD, row, strict=True)) for row in event_rows(session)]
    fired = [row["delivery"] for row in rows if row["outcome"] == "fired"]
    assert fired == [
        "refused: interlock open",
        "acknowledged",
        "acknowledged",
        "unknown: no answer was logged",
    ]
    assert {row["delivery"] for row in rows if row["outcome"] != "fired"} == {""}
    assert {row["camera"] for row in rows} == {"top"}
    text = page(session, figures(session))
    check_page(text)
    assert '<p class="alarm">2 of 4 stimuli failed:' in text
    said = format_summary(figures(session))
    assert "rule corner: 4 fired (2 acknowledged, 1 refused, 1 unknown), 3 withheld, 3 suppressed" in said
    assert "FAILED: 2 stimuli: interlock open (1); no answer was logged (1)" in said


def test_the_terminal_says_why_nothing_fired(session: Session) -> None:
    for record in session.events:
        record.event = msgspec.structs.replace(record.event, outcome="suppressed", reason="refractory")
    found = figures(session)
    assert found["suppressed"] == {"corner": {"refractory": 10}}
    said = format_summary(found)
    assert "rule corner: 0 fired, 0 withheld, 10 suppressed (10 refractory)" in said
    assert UNARMED not in said
    session.events[0].event = msgspec.structs.replace(session.events[0].event, reason="disarmed")
    said = format_summary(figures(session))
    assert "10 suppressed (9 refractory, 1 disarmed)" in said
    assert UNARMED in said


def test_a_session_in_which_all_went_well_has_no_red_head(session: Session) -> None:
    assert 'class="alarm"' not in page(session, figures(session))


def test_every_event_is_listed(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    many = [
        EventRecord(t_ns=r.t_ns, seq=r.seq, event=msgspec.structs.replace(r.event, id=100 * n + r.event.id))
        for n in range(26)
        for r in session.events
    ]
    session.events[:] = many
    assert len(event_rows(session)) == 260
    text = page(session, figures(session))
    assert "<summary>220 more</summary>" in text
    assert "of 260 events" in text
    monkeypatch.setattr(events, "MAX_EVENT_ROWS", 200)
    outcomes = [dict(zip(EVENT_HEAD, row, strict=True))["outcome"] for row in event_rows(session)]
    assert (len(outcomes), outcomes.count("suppressed")) == (200, 18), "the others come first"
    assert "60 further events, suppressed ones first" in page(session, figures(session))


def test_marks_orders_blocks_and_the_subject_are_shown(session: Session) -> None:
    start_ns = session.frames[0].stamps.t_arrival_ns
    mark = ControlRecord(t_ns=start_ns + 1_500_000_000, seq=9, do="mark", args={"text": "water <given>"})
    session.controls.append(mark)
    session.info.config |= {
        "metadata": {"subject": "mouse 7"},
        "protocol": [{"block": "baseline", "time": "5 min", "rules": None}],
    }
    for n, record in enumerate(session.events):
        record.event = msgspec.structs.replace(record.event, block="baseline" if n < 4 else "test", trial=n)
    assert orders(session)[-1] == {
        "t_s": 1.5, "do": "mark", "args": {"text": "water <given>"}, "origin": "control"
    }  # fmt: skip
    first, second = blocks(session)
    assert (first["block"], first["fired"] + first["withheld"] + first["suppressed"]) == ("baseline", 4)
    assert (second["block"], second["last_trial"]) == ("test", 9)
    assert first["first_s"] < first["last_s"] < second["first_s"]
    found = figures(session)
    assert (found["metadata"], len(found["blocks"])) == ({"subject": "mouse 7"}, 2)
    text = page(session, found)
    check_page(text)
    assert "<td>1.500</td><td>mark</td><td>water &lt;given&gt;</td><td>control</td>" in text
    assert "<td>subject</td><td><code>mouse 7</code>" in text
    assert "block baseline, time 5 min" in text
    assert "<td>baseline</td><td>" in text


def test_a_negative_overhead_is_no_headline(session: Session) -> None:
    assert session.info.bare_forward_ms is not None
    session.info.bare_forward_ms["p50"] = 1e4
    text = page(session, figures(session))
    assert "not known: the network alone was timed slower" in text


def test_without_exposures_the_summary_names_what_it_states(session: Session) -> None:
    for record in session.observations:
        record.stamps = msgspec.structs.replace(record.stamps, t_exposure_ns=None)
    said = format_summary(figures(session))
    assert "     image to decision: P50 " in said
    assert "later than" not in said
    assert "exposure to decision" not in said


def test_a_keypoint_that_was_never_seen_is_named(session: Session) -> None:
    lost = {"frames": 0, "observed": 600, "lost": {"nose": 600, "paw": 3}, "parts": {"fast": 0}, "whole": 0}
    lost |= {"longest_ms": 0.0, "hold_ms": 0.0, "likeliest": None, "probability": None}
    found = figures(session) | {"silent_rules": {"corner": lost}}
    assert "its keypoints were never all in view: nose was lost in 600 of 600 frames" in format_summary(found)
    text = page(session, found)
    assert "<td>nose lost</td><td>600 of 600</td>" in text
    assert "0 of 0" not in text
