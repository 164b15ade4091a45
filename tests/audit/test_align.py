"""Sessions on the clock of made recordings: drift, jitter, losses, other sessions, and a real run."""

from __future__ import annotations

import csv
import dataclasses
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace
from support.live_run import config, run
from support.tiny_package import make_tiny_package
from support.views_session import write_views_session

from rigs.firmware.simulate import Edge, SimulatedBox
from rt_pose.audit.align import Alignment, AlignOptions, align
from rt_pose.audit.aligned_tables import tables_of, write_tables
from rt_pose.audit.replay import replay
from rt_pose.cli.main import main
from rt_pose.clock import NS_PER_MS, NS_PER_S
from rt_pose.config.schema import OutputConfig
from rt_pose.config.sync import FramePulsesConfig, SyncCodeConfig, SyncConfig
from rt_pose.errors import UserError
from rt_pose.outputs.barcode import edges_ms
from rt_pose.records import CapturedFrame, EventRecord, SyncRecord
from rt_pose.session.read import Session, SessionInfo, UtcAnchor
from rt_pose.types import Event, FrameStamps, OutputInfo

T0_NS = 8_000_000 * NS_PER_S
UTC0_S = 1_790_000_000
DRIFT = 50e-6
BOX = {"box": OutputInfo("box", "serial_ttl", "1", 0.5, True)}


def session(sync: list[SyncRecord], frames: list[CapturedFrame] | None = None, **changes: Any) -> Session:
    info = SessionInfo(1, "made", UTC0_S * NS_PER_S, [UtcAnchor(T0_NS, UTC0_S * NS_PER_S)], outputs=BOX)
    empty: dict[str, Any] = {
        name: []
        for name in (
            *("truths", "observations", "tracks", "controls", "events", "commands", "acks", "drops", "stats"),
        )
    }
    return Session(
        **(
            {"path": Path("made"), "info": info, "cut": "", "frames": frames or [], "end": None, "sync": sync}
            | empty
        )
        | changes
    )


def codes(seconds: float, every_s: float = 10.0, begin_s: float = 0.0, seed: int = 0) -> list[SyncRecord]:
    """Codes as a run sends them: by a program that is up to some ms late, on a box that says when."""
    late = np.random.default_rng(seed)
    records = []
    for start_s in np.arange(begin_s, begin_s + seconds - 3.0, every_s):
        number = UTC0_S + int(start_s)
        for place, ms in enumerate(edges_ms(number)):
            t_ns = T0_NS + round((start_s + ms / 1e3 + late.exponential(3e-4)) * NS_PER_S)
            records.append(pulse(t_ns, signal="code", code=number, place=place))
    return records


def frame_pulses(count: int, rate_hz: float = 60.0, jitter_s: float = 4e-4) -> list[SyncRecord]:
    late = np.random.default_rng(1).gamma(4.0, jitter_s / 2, count)
    times = T0_NS + np.round((np.arange(count) / rate_hz + late) * NS_PER_S).astype(np.int64)
    return [pulse(int(t), signal="frames", camera="top", index=i) for i, t in enumerate(times)]


def pulse(t_ns: int, **changes: Any) -> SyncRecord:
    stamps = {"t_sent_ns": t_ns - 300_000, "t_ack_ns": t_ns + 300_000, "t_effect_ns": t_ns}
    return SyncRecord(t_ns=t_ns, output="box", ok=True, **(stamps | changes))


def other_s(t_ns: np.ndarray, offset_s: float = 321.0, drift: float = DRIFT) -> np.ndarray:
    return offset_s + (t_ns - T0_NS) / NS_PER_S * (1 + drift)


def recording(
    path: Path,
    records: list[SyncRecord],
    lost: float = 0.0,
    extra: int = 0,
    part: slice = slice(None),
    seed: int = 2,
) -> Path:
    """A file of CatGT's with the line of the pulses, to 1/30 ms."""
    rng = np.random.default_rng(seed)
    times = other_s(np.array([r.t_effect_ns for r in records])) + rng.normal(0, 4e-5, len(records))
    times = times[rng.random(len(times)) >= lost]
    times = np.sort(np.concatenate([times, rng.uniform(times[0], times[-1], extra)]))[part]
    path.write_text("".join(f"{round(t * 30_000) / 30_000:.6f}\n" for t in times))
    return path


def check(found: Alignment, drift_ppm: float = 50.0, within_ms: float = 0.05, seconds: float = 600.0) -> None:
    """That host times are where they are on the other clock."""
    assert found.fit.drift_ppm == pytest.approx(drift_ppm, abs=1.0)
    at = T0_NS + np.linspace(0, seconds, 50).astype(np.int64) * NS_PER_S
    error_ms = np.abs(found.fit.to_other_s(at) - other_s(at)) * 1e3
    assert error_ms.max() < within_ms
    assert (error_ms <= found.fit.error_s(at) * 1e3).all()


def test_codes_with_losses_and_extra_pulses(tmp_path: Path) -> None:
    sent = codes(600.0)
    found = align(session(sent), AlignOptions(recording(tmp_path / "line.txt", sent, lost=0.01, extra=60)))
    check(found)
    assert found.signal == "code"
    assert 25 < found.codes < 60  # a code with a pulse lost or added cannot be read; its pulses are matched
    assert found.matched + found.lost == len(sent)
    assert found.lost == pytest.approx(0.01 * len(sent), rel=0.4)
    assert found.extra == pytest.approx(60, abs=5)
    assert found.residuals_ms()["p99"] < 0.2


def test_codes_of_a_recording_that_began_in_the_middle(tmp_path: Path) -> None:
    sent = codes(600.0)
    events = recording(tmp_path / "line.txt", sent, part=slice(1000, 2000))
    found = align(session(sent), AlignOptions(events))
    check(found, within_ms=0.3)
    assert (found.matched, found.lost, found.extra) == (1000, 0, 0)
    assert found.sent_outside == len(sent) - 1000


def test_the_code_finds_the_right_one_of_two_sessions(tmp_path: Path) -> None:
    first, second = codes(300.0), codes(300.0, begin_s=5000.0, seed=5)
    events = recording(tmp_path / "line.txt", first + second)
    for ours, others in ((first, second), (second, first)):
        found = align(session(ours), AlignOptions(events))
        assert found.matched == len(ours)
        assert found.recorded_outside == len(others)
        assert found.other_codes == len(others) // 42
        at = np.array([ours[0].t_effect_ns, ours[-1].t_effect_ns])
        assert np.abs(found.fit.to_other_s(at) - other_s(at)).max() < 1e-4


def test_the_codes_of_another_session_are_no_match(tmp_path: Path) -> None:
    events = recording(tmp_path / "line.txt", codes(100.0, begin_s=5000.0))
    with pytest.raises(
        UserError, match=r"10 codes were read on the line, none of them of this session.*2026-09"
    ):
        align(session(codes(100.0)), AlignOptions(events))


def test_frame_pulses_with_losses_and_extra_pulses(tmp_path: Path) -> None:
    sent = frame_pulses(12_000)
    events = recording(tmp_path / "line.txt", sent, lost=0.02, extra=200)
    found = align(session(sent), AlignOptions(events))
    check(found, seconds=200.0)
    assert found.signal == "frames"
    assert found.matched > 0.99 * 0.98 * len(sent)
    assert found.extra == pytest.approx(200, abs=40)


def test_regular_pulses_want_an_anchor(tmp_path: Path) -> None:
    sent = frame_pulses(900, rate_hz=1.0, jitter_s=0.0)
    events = recording(tmp_path / "line.txt", sent, lost=0.01)
    with pytest.raises(UserError, match=r"places fit alike.*--first-pulse.*--zero-utc.*sync.code"):
        align(session(sent), AlignOptions(events))
    zero_utc = UTC0_S - 321.0
    stated = np.datetime64(round(zero_utc * 1e3) + 30, "ms")  # to some ms, as two computers agree
    check(align(session(sent), AlignOptions(events, zero_utc=f"{stated}Z")), seconds=900.0)
    check(align(session(sent), AlignOptions(events, first_pulse=True)), seconds=900.0)
    with pytest.raises(UserError, match="nowhere in the recording"):
        align(session(sent), AlignOptions(events, zero_utc="2020-01-01T00:00:00Z"))


@pytest.mark.parametrize("text", ["yesterday", "2026-05-01T09:30:00"])
def test_a_time_without_zone_is_refused(tmp_path: Path, text: str) -> None:
    sent = frame_pulses(100)
    events = recording(tmp_path / "line.txt", sent)
    with pytest.raises(UserError, match="--zero-utc: expected a time with its zone"):
        align(session(sent), AlignOptions(events, zero_utc=text))


def test_what_cannot_be_matched_says_why(tmp_path: Path) -> None:
    sent = frame_pulses(2000)
    events = recording(tmp_path / "line.txt", sent)
    with pytest.raises(UserError, match="it sent no sync pulses"):
        align(session([]), AlignOptions(events))
    with pytest.raises(UserError, match=r"0 pulses of sync\.code were sent"):
        align(session(sent), AlignOptions(events, signal="code"))
    few = recording(tmp_path / "few.txt", sent, part=slice(0, 5))
    with pytest.raises(UserError, match="5 pulses; at least 8"):
        align(session(sent), AlignOptions(few))
    failed = [pulse(r.t_ns, signal="frames", t_effect_ns=None) for r in sent]
    for record in failed:
        record.ok = False
    with pytest.raises(UserError, match=r"0 pulses of sync\.frames were sent"):
        align(session(failed), AlignOptions(events))


def test_times_in_samples_that_are_taken_for_seconds_are_noticed(tmp_path: Path) -> None:
    sent = codes(100.0)
    times = other_s(np.array([r.t_effect_ns for r in sent]))
    (tmp_path / "e.csv").write_text(
        "line,sample_number,state\n" + "".join(f"1,{round(30_000 * t)},1\n" for t in times)
    )
    check(align(session(sent), AlignOptions(tmp_path / "e.csv", rate_hz=30_000.0)), within_ms=0.3)
    with pytest.raises(UserError, match="0 codes were read"):
        align(session(sent), AlignOptions(tmp_path / "e.csv", rate_hz=25_000.0))


def test_without_a_devices_clock_the_outputs_delay_counts(tmp_path: Path) -> None:
    sent = codes(100.0)
    blind = [pulse(r.t_ns, signal="code", code=r.code, place=r.place, t_effect_ns=None) for r in sent]
    found = align(session(blind), AlignOptions(recording(tmp_path / "line.txt", sent)))
    at = np.array([T0_NS])
    # 0.3 ms before the effect it was sent, and the output states 0.5 ms of delay.
    assert found.fit.to_other_s(at)[0] - other_s(at)[0] == pytest.approx(-2e-4, abs=3e-5)


def test_the_tables(tmp_path: Path) -> None:
    sent = codes(100.0)
    frames = [
        CapturedFrame(
            t_ns=0,
            camera="top",
            stamps=FrameStamps(
                i, None if i == 2 else T0_NS + i * NS_PER_S, T0_NS + i * NS_PER_S + 7, 0, 20_000
            ),
            slot=0,
            generation=0,
        )
        for i in range(3)
    ]
    event = Event(1, "near", 0, "fired", "", None, 1.0, "top", 1, T0_NS + NS_PER_S, 0, 0, True)
    made = session(sent, frames, events=[EventRecord(t_ns=0, seq=1, event=event)])
    options = AlignOptions(recording(tmp_path / "line.txt", sent))
    tables = tables_of(tmp_path / "a.csv")
    write_tables(made, options, align(made, options), tables)
    rows = table(tables.frames)
    assert [(r["camera"], r["frame"], r["stamp"]) for r in rows] == [
        ("top", "0", "exposure"),
        ("top", "1", "exposure"),
        ("top", "2", "arrival"),
    ]
    assert [int(r["t_exposure_ns"]) for r in rows] == [T0_NS, T0_NS + NS_PER_S, T0_NS + 2 * NS_PER_S + 7]
    assert [float(r["t_other_s"]) for r in rows] == pytest.approx([321.0, 322.00005, 323.0001], abs=1e-4)
    assert all(0.02 < float(r["error_ms"]) < 0.5 for r in rows)
    (row,) = table(tables.events)
    assert (row["rule"], row["outcome"], row["t_stimulus_ns"]) == ("near", "fired", "")
    assert float(row["t_cause_other_s"]) == pytest.approx(322.00005, abs=1e-4)
    summary = json.loads(tables.summary.read_text())
    assert summary["matched"] == len(sent)
    assert summary["drift_ppm"] == pytest.approx(50.0, abs=2.0)
    at_ns = T0_NS + 50 * NS_PER_S
    assert summary["other_s"] + summary["rate"] * (at_ns - summary["host_ns"]) / 1e9 == pytest.approx(
        other_s(np.array([at_ns]))[0], abs=1e-4
    )


def test_an_event_in_space_is_as_sure_as_the_frame_that_it_was_judged_on(tmp_path: Path) -> None:
    sent = codes(100.0)
    options = AlignOptions(recording(tmp_path / "line.txt", sent))
    found, seen = align(session(sent), options), Session.read(write_views_session(tmp_path / "session"))
    errors_ms = []
    for error_ns in (0, 30_000):
        stamped = [
            replace(one, stamps=replace(one.stamps, clock_error_ns=error_ns)) for one in seen.observations
        ]
        tables = tables_of(tmp_path / f"{error_ns}.csv")
        write_tables(dataclasses.replace(seen, observations=stamped), options, found, tables)
        (row,) = table(tables.events)
        errors_ms.append(float(row["error_ms"]))
    assert errors_ms[1] - errors_ms[0] == pytest.approx(0.03, abs=2e-4)


@pytest.mark.parametrize("name", ["a.json", "/"])
def test_a_table_has_the_name_of_one(name: str) -> None:
    with pytest.raises(UserError, match="expected the name of a table"):
        tables_of(Path(name))


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def edges_of(box: SimulatedBox, line: int) -> list[Edge]:
    return [edge for edge in box.edges if edge.line == line and edge.level > 0]


@pytest.mark.alone
def test_a_real_run_beside_a_recorder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The run's pulses come out of the box's own firmware, disarmed, and its lines are what is recorded."""
    package = tmp_path / "package"
    make_tiny_package(package, keypoints=3)
    out = tmp_path / "session"
    with SimulatedBox() as box:
        outputs = {
            "stimulus": OutputConfig("simulated", {"world": "w"}),
            "box": OutputConfig(
                "serial_ttl", {"port": box.port}, lines=["laser", "shutter", "code", "frames"]
            ),
        }
        sync = SyncConfig(
            FramePulsesConfig("box", "frames", every=2), SyncCodeConfig("box", "code", every="4 s")
        )
        result = run(config(package, outputs=outputs, sync=sync, seconds=9.0, armed_at_start=False), out)
        threading.Event().wait(0.2)
        recorded = {name: edges_of(box, line) for name, line in (("code", 2), ("frames", 3))}
    assert result.ok
    assert result.exit_code == 0
    made = Session.read(out)
    assert result.summary["sync"]["pulses"] == len(made.sync)
    failed = [record for record in made.sync if not record.ok]
    assert result.summary["sync"]["failed"] == len(failed)
    last_ns = max(o.stamps.t_arrival_ns for o in made.observations)
    # Only what was on its way when the run ended.
    assert all(record.t_asked_ns > last_ns - 500 * NS_PER_MS for record in failed), failed
    marked = [record.index for record in made.sync if record.signal == "frames"]
    assert len(marked) == -(-len(made.observations) // 2)
    assert set(marked) <= {o.stamps.index for o in made.observations}
    assert replay(out).identical

    rows = [
        (round((e.t_ns - recorded["code"][0].t_ns) * (1 + DRIFT)) / 1e9 + 40.0, name)
        for name, edges in recorded.items()
        for e in edges
    ]
    events = tmp_path / "events.csv"
    events.write_text("time,line\n" + "".join(f"{t:.7f},{name}\n" for t, name in sorted(rows)))
    assert main(["align", str(out), "--events", str(events), "--line", "code"]) == 0
    said = capsys.readouterr().out
    assert "code: " in said
    frames = table(out / "aligned.csv")
    assert len(frames) == len(made.frames)
    zero_ns = recorded["code"][0].t_ns
    for row in frames:
        true_s = 40.0 + (int(row["t_exposure_ns"]) - zero_ns) / 1e9 * (1 + DRIFT)
        assert abs(float(row["t_other_s"]) - true_s) * 1e3 < max(2.0, float(row["error_ms"]))
    # Again it writes over nothing, unless it may.
    assert main(["align", str(out), "--events", str(events), "--line", "code"]) == 2
    words = ["align", str(out), "--events", str(events), "--line", "code", "--overwrite"]
    assert main(words) == 0
    # The pulses of frames alone find the same times.
    assert main([*words[:5], "frames", "--signal", "frames", "--out", str(tmp_path / "by_frames.csv")]) == 0
    again = table(tmp_path / "by_frames.csv")
    assert (
        max(abs(float(a["t_other_s"]) - float(b["t_other_s"])) for a, b in zip(frames, again, strict=True))
        < 2 * NS_PER_MS / 1e9
    )
