"""What `rt-pose rig check` checks: a short run of the whole rig, disarmed, and the answers of its outputs.

Without a model there is no run: cameras, inputs, outputs and disk are checked alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from rt_pose.audit.bare_rig import Delivered, deliver
from rt_pose.clock import NS_PER_MS, Clock
from rt_pose.config.schema import OutputConfig, RunConfig
from rt_pose.config.sync import SyncConfig
from rt_pose.drivers import DriverContext, make_output
from rt_pose.errors import UserError
from rt_pose.session.disk import needed_mib_s, write_rate_mib_s
from rt_pose.session.read import Session, StampColumns, stamp_columns
from rt_pose.session.run import RunObserver, RunResult, run_session
from rt_pose.types import CameraInfo, Command, FloatArray, OutputInfo, rate_in_words

State = Literal["ok", "warning", "FAILS"]
RATE_TOLERANCE = 0.05
MOST_LOST = 0.001
"""Share of frames that may be lost or replaced before it counts as a failure."""
ECHOES, PULSE_US = 20, 5000
DISK_MARGIN = 3.0
NO_MODEL = "none was given (`--model`): network, rules, budget and sync signals are not checked"


@dataclass(frozen=True, slots=True)
class Finding:
    """One row of the table."""

    what: str
    state: State
    found: str


def check_rig(
    config: RunConfig,
    seconds: float,
    out: Path,
    register: Callable[[], None],
    clock: Clock,
    observer: RunObserver,
    pulse: bool = False,
) -> list[Finding]:
    """Run a rig for some seconds, disarmed, and look at how it did.

    Parameters
    ----------
    config
        The run; without a model its cameras deliver for so long, and nothing is decided.
    seconds
        How long it runs, s.
    out
        Folder of its session, new or empty.
    register
        Fills the registry of drivers, in each process that opens some.
    clock
        Times the outputs' answers and the disk.
    observer
        Receives what happens in the run.
    pulse
        Whether every named line gets a pulse of 5 ms (line 0 where none is named), and sync signals go out.

    Returns
    -------
    list[Finding]
        The rows.
    """
    if not config.model:
        register()
        return [*_without_model(config, seconds, out, clock), *_outputs(config, clock, pulse)]
    wanted = dataclasses.replace(
        config,
        seconds=seconds,
        armed_at_start=False,
        start_on="launch",
        sync=config.sync if pulse else SyncConfig(),
    )
    try:
        result = run_session(wanted, out, register, clock, observer)
    except UserError as error:
        return [Finding("start", "FAILS", line) for line in str(error).splitlines()]
    session = Session.read(out)
    register()
    return [
        *_run(result),
        *findings(session),
        *_disk(out, session.info.cameras, config, clock),
        *_outputs(config, clock, pulse),
    ]


def _without_model(config: RunConfig, seconds: float, out: Path, clock: Clock) -> Iterator[Finding]:
    yield Finding("model", "warning", NO_MODEL)
    delivered = deliver(config, seconds, clock)
    for problem in delivered.problems:
        yield Finding("start", "FAILS", problem)
    for name, camera in delivered.cameras.items():
        yield from _camera(delivered, name, camera)
        yield from _clock(name, delivered.clocks)
    for name in delivered.inputs:
        yield Finding(f"input {name}", "ok", "opened; whether its line goes on and off only a run shows")
    yield from _disk(out, delivered.cameras, config, clock)


def findings(session: Session) -> Iterator[Finding]:
    """Look at what a session says of its rig.

    Parameters
    ----------
    session
        The session.

    Yields
    ------
    Finding
        Rows on model, cameras, budget and certificate.
    """
    moved = session.info.engine.get("golden_px")
    if moved is not None:
        text = f"golden keypoints move {moved:.4f} px; {session.info.engine.get('backend')}"
        yield Finding("model", "ok", f"{text} {session.info.engine.get('precision')}")
    clocks = {} if session.end is None else session.end.counts.get("camera_clocks", {})
    for name, camera in session.info.cameras.items():
        yield from _camera(session, name, camera)
        yield from _clock(name, clocks)
    yield from _budget(session)


def _run(result: RunResult) -> Iterator[Finding]:
    yield Finding("run", "ok" if result.ok else "FAILS", result.problem or result.status)
    for warning in result.warnings:
        yield Finding("run", "warning", warning)
    yield from _certificate(result.description.get("certificate") or {})


def _certificate(about: dict[str, Any]) -> Iterator[Finding]:
    """What the rig's latency certificates mean, where there can be any."""
    if about.get("mode", "off") == "off":
        return
    for problem in about.get("problems", []):
        yield Finding("certificate", "FAILS" if about["mode"] == "require" else "warning", problem)
    for output, used in about.get("used", {}).items():
        yield Finding("certificate", "ok", f"{output}: {used['delay_ms']:.3f} ms, measured {used['date']}")


def _camera(session: Session | Delivered, name: str, camera: CameraInfo) -> Iterator[Finding]:
    what, stamps = f"camera {name}", [f.stamps for f in session.frames if f.camera == name]
    if len(stamps) < 2:
        yield Finding(what, "FAILS", f"{len(stamps)} frames came")
        return
    arrivals_ms = np.array([s.t_arrival_ns for s in stamps]) / NS_PER_MS
    yield _rate(what, camera, arrivals_ms)
    yield _losses(what, session, name, len(stamps))
    intervals_ms = np.diff(arrivals_ms)
    late = intervals_ms.max() > 2 * np.median(intervals_ms)
    yield Finding(what, "warning" if late else "ok", f"arrival intervals, ms: {_figures(intervals_ms)}")
    yield _exposures(what, session, name)
    for key, setting in getattr(camera, "settings", {}).items():
        asked, actual = setting.get("asked"), setting.get("actual")
        state: State = "warning" if asked is not None and asked != actual else "ok"
        yield Finding(what, state, f"{key}: {actual}" + ("" if asked is None else f" (asked for {asked})"))


def _clock(camera: str, clocks: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """How well a camera's own clock is known; nothing of one that has none."""
    found = clocks.get(camera, {})
    if "slope_ppm" not in found:
        return
    again = found["clock_resets"] + found["counter_resets"]
    late_us = ", ".join(f"{name.upper()} {value:g}" for name, value in found["residual_us"].items())
    yield Finding(
        f"camera {camera}",
        "warning" if again else "ok",
        f"its clock: {found['slope_ppm']:+.1f} ppm, known within {found['error_us'] / 1000:.3f} ms; "
        f"clock or counter began again {again} times; frames later than the fastest, us: {late_us}",
    )


def _rate(what: str, camera: CameraInfo, arrivals_ms: FloatArray) -> Finding:
    rate_hz = 1e3 * (len(arrivals_ms) - 1) / (arrivals_ms[-1] - arrivals_ms[0])
    text = f"{len(arrivals_ms)} frames, {rate_hz:.2f} a second"
    if camera.rate_hz is None:
        return Finding(what, "ok", f"{text}; {rate_in_words(None, camera.trigger)}")
    held = abs(rate_hz / camera.rate_hz - 1.0) <= RATE_TOLERANCE
    return Finding(what, "ok" if held else "FAILS", f"{text}; {camera.rate_hz:g} are nominal")


def _losses(what: str, session: Session | Delivered, name: str, frames: int) -> Finding:
    counts: dict[str, int] = {}
    for drop in session.drops:
        if drop.camera == name and drop.stage != "end":
            counts[drop.reason] = counts.get(drop.reason, 0) + drop.count
    lost = sum(counts.values())
    state: State = "ok" if not lost else "warning" if lost <= MOST_LOST * frames else "FAILS"
    return Finding(
        what, state, "; ".join(f"{n} {why}" for why, n in counts.items()) or "no frame lost or replaced"
    )


def _exposures(what: str, session: Session | Delivered, name: str) -> Finding:
    stamps = [f.stamps for f in session.frames if f.camera == name]
    known = [s for s in stamps if s.t_exposure_ns is not None]
    if not known:
        return Finding(what, "warning", "exposure times: not reported by the camera; arrivals stand for them")
    delays_ms = np.array([s.t_arrival_ns - (s.t_exposure_ns or 0) for s in known]) / NS_PER_MS
    error_ms = max(s.clock_error_ns for s in known) / NS_PER_MS
    state: State = "ok" if len(known) == len(stamps) else "warning"
    text = f"exposure times of {len(known)} of {len(stamps)} frames, within {error_ms:.3f} ms"
    return Finding(what, state, f"{text}; exposure to arrival, ms: {_figures(delays_ms)}")


def _budget(session: Session) -> Iterator[Finding]:
    columns = stamp_columns(session.observations)
    latency_ms, what = _latency_ms(columns)
    if not len(latency_ms):
        yield Finding("budget", "FAILS", "no frame was decided on")
        return
    budget_ms = session.info.budget_ms or np.inf
    late = int((latency_ms > budget_ms).sum())
    state: State = "ok" if not late else "warning" if np.percentile(latency_ms, 99) <= budget_ms else "FAILS"
    yield Finding("budget", state, f"{what}, ms: {_figures(latency_ms)}; {late} over {budget_ms:g} ms")


def _latency_ms(columns: StampColumns) -> tuple[FloatArray, str]:
    decided = columns.stages["t_decided_ns"]
    exposure = (decided - columns.t_exposure_ns)[np.isfinite(columns.t_exposure_ns)]
    if len(exposure):
        return exposure[np.isfinite(exposure)] / NS_PER_MS, "exposure to decision"
    image = decided - columns.t_arrival_ns
    return image[np.isfinite(image)] / NS_PER_MS, "image to decision"


def _disk(out: Path, infos: Mapping[str, CameraInfo], config: RunConfig, clock: Clock) -> Iterator[Finding]:
    cameras = {name: dataclasses.asdict(info) for name, info in infos.items()}
    needed, rate = needed_mib_s(config, cameras), write_rate_mib_s(out, clock)
    state: State = "ok" if rate >= DISK_MARGIN * needed else "warning" if rate >= needed else "FAILS"
    yield Finding("disk", state, f"writes {rate:.0f} MiB/s; a session needs {needed:.2f} MiB/s or more")


def _outputs(config: RunConfig, clock: Clock, pulse: bool) -> Iterator[Finding]:
    for name, wanted in config.outputs.items():
        what = f"output {name}"
        try:
            output = make_output(name, wanted.driver, wanted.options, DriverContext(clock, config.seed))
            info = output.open()
            try:
                yield from _answers(what, info, output, wanted, pulse)
                output.safe_state()
            finally:
                output.close()
        except Exception as error:  # noqa: BLE001 - whatever a driver raises is what was to be found
            yield Finding(what, "FAILS", str(error) or type(error).__name__)


def _answers(
    what: str, info: OutputInfo, output: Any, wanted: OutputConfig, pulse: bool
) -> Iterator[Finding]:
    """How an output answers to commands that do nothing, and to pulses where they are allowed."""
    if not info.actions or "stop" in info.actions:
        yield _echo(what, info, [output.send(Command(i, None, info.name, 0, "stop")) for i in range(ECHOES)])
    else:
        yield Finding(what, "ok", "opened, lines low; without --pulse there is nothing it could answer to")
    if pulse and (not info.actions or "pulse" in info.actions):
        for line in range(max(1, len(wanted.lines))):
            label = wanted.lines[line] if line < len(wanted.lines) else str(line)
            ack = output.send(Command(ECHOES + line, None, info.name, line, "pulse", duration_us=PULSE_US))
            yield _echo(f"{what} line {label}", info, [ack])


def _echo(what: str, info: OutputInfo, acks: list[Any]) -> Finding:
    failed = [ack for ack in acks if not ack.ok]
    if failed:
        return Finding(
            what, "FAILS", f"{len(failed)} of {len(acks)} commands not carried out: {failed[0].detail}"
        )
    if not info.echoes:
        return Finding(what, "ok", f"{len(acks)} commands written; the device echoes nothing")
    waits_ms = (
        np.array([ack.t_ack_ns - ack.t_sent_ns for ack in acks if ack.t_ack_ns is not None]) / NS_PER_MS
    )
    if not len(waits_ms):
        return Finding(what, "FAILS", f"none of {len(acks)} commands was echoed")
    return Finding(what, "ok", f"echo of {len(waits_ms)} commands, ms: {_figures(waits_ms)}")


def _figures(values: FloatArray) -> str:
    p50, p90, p99 = np.percentile(values, (50, 90, 99))
    return f"P50 {p50:.3f}, P90 {p90:.3f}, P99 {p99:.3f}, max {values.max():.3f}"
