"""`rt-pose rig loopback`: flashes measured, decisions timed, and the certificate that says both."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_MS, NS_PER_S, Clock
from rt_pose.config.certificate import Certificate, Percentiles, hash_of, settings_of
from rt_pose.config.schema import PublishConfig, RecordConfig, RunConfig
from rt_pose.drivers import DriverContext, make_camera, make_output
from rt_pose.errors import UserError, nearest
from rt_pose.loop.interval_delays import add_up
from rt_pose.loop.latency import summary
from rt_pose.loop.loopback import Flashes, Rig, find_light, measure_flashes
from rt_pose.package import read_package
from rt_pose.session.locks import temporary_folder
from rt_pose.session.read import Session
from rt_pose.session.run import RunObserver, run_session
from rt_pose.types import CameraInfo, OutputInfo

FLASHES, EVERY, SECONDS = 200, 8, 20.0
"""What `rt-pose rig loopback` does where nothing else is asked for."""
WARM_UP_S = 1.0
"""Decisions of the first frames are not counted: caches and the filter are cold."""


@dataclass(frozen=True)
class Wanted:
    """What is to be measured."""

    camera: str
    output: str
    line: int = 0
    flashes: int = FLASHES
    every: int = EVERY


@dataclass(frozen=True)
class Measured:
    """Flashes, and the devices of which they are."""

    camera: CameraInfo
    output: OutputInfo
    flashes: Flashes


@dataclass(frozen=True)
class Decisions:
    """What the chain from image to decision took in a run."""

    image_to_decision_ms: NDArray[np.float64]
    rate_hz: float
    """Frames that the camera delivered, a second."""
    replaced: float
    """Share of them that the loop passed over."""
    package_sha256: str


def choose(names: list[str], wanted: str | None, kind: str) -> str:
    """Choose a camera or an output of a configuration.

    Parameters
    ----------
    names
        Those of the configuration.
    wanted
        The user's choice; None where there is none.
    kind
        "camera" or "output".

    Returns
    -------
    str
        One of `names`.

    Raises
    ------
    UserError
        Where there is none of that name, or several and none was chosen.
    """
    if wanted is not None and wanted not in names:
        raise UserError(f"--{kind} {wanted}: the configuration has no such {kind}{nearest(wanted, names)}")
    if wanted is None and len(names) != 1:
        listed = ", ".join(names) or "none"
        raise UserError(
            f"the configuration has {len(names)} {kind}s ({listed}); say which with --{kind} NAME"
        )
    return wanted or names[0]


def measure(
    config: RunConfig, wanted: Wanted, clock: Clock, progress: Callable[[str], None] = lambda _: None
) -> Measured:
    """Open a camera and an output of a rig and measure the way from one to the other.

    Parameters
    ----------
    config
        The rig; its drivers are registered.
    wanted
        What to measure.
    clock
        The host clock.
    progress
        Called with what is being done.

    Returns
    -------
    Measured
        The flashes that were seen.

    Raises
    ------
    UserError
        Where a device cannot be opened or fails, or the light is not seen.
    """
    channels = read_package(config.model).manifest.input.channels if config.model else None
    context = DriverContext(clock, config.seed, channels=channels)
    source, sink = config.cameras[wanted.camera], config.outputs[wanted.output]
    with ExitStack() as stack:
        output = make_output(wanted.output, sink.driver, sink.options, context)
        output_info = output.open()
        stack.callback(output.close)
        camera = make_camera(wanted.camera, source.driver, source.options, context)
        camera_info = camera.open()
        stack.callback(camera.close)
        rig = Rig((camera_info, camera), (output_info, output), wanted.line, clock)
        stack.callback(rig.close)
        rig.start()
        progress("looking for the light: three flashes of a second ...")
        spot = find_light(rig)
        progress(f"the light brightens {len(spot.places)} values by {spot.contrast:.0f} grey levels")

        def count(number: int) -> None:
            if number % 10 == 0 or number == wanted.flashes:
                progress(f"{number} of {wanted.flashes} flashes")

        flashes = measure_flashes(rig, spot, wanted.flashes, wanted.every, count)
    return Measured(camera_info, output_info, flashes)


def time_decisions(
    config: RunConfig, camera: str, seconds: float, register: Callable[[], None], clock: Clock
) -> Decisions:
    """Run the rig's own chain, disarmed, and see how long its decisions take.

    Parameters
    ----------
    config
        The rig, with its model.
    camera
        Whose frames count.
    seconds
        How long, s.
    register
        Fills the registry of drivers.
    clock
        The host clock.

    Returns
    -------
    Decisions
        What they took.

    Raises
    ------
    UserError
        Where the run cannot be made, or decides on nothing.
    """
    alone = dataclasses.replace(
        config,
        publish=PublishConfig("tcp://127.0.0.1:*", "tcp://127.0.0.1:*"),
        record=RecordConfig(video=False),
        certificate="off",
        armed_at_start=False,
        start_on="launch",
        seconds=seconds + WARM_UP_S,
    )
    with temporary_folder() as folder:
        out = Path(folder) / "session"
        result = run_session(alone, out, register, clock, RunObserver())
        if not result.ok:
            raise UserError(f"decisions could not be timed: {result.status}")
        return decisions_of(Session.read(out), camera)


def decisions_of(session: Session, camera: str) -> Decisions:
    """Get from a session what its decisions took.

    Parameters
    ----------
    session
        The session.
    camera
        Whose frames count.

    Returns
    -------
    Decisions
        All but those of the first second.

    Raises
    ------
    UserError
        Where there are none.
    """
    seen = [o for o in session.observations if o.camera == camera and o.stages.t_decided_ns]
    begin_ns = seen[0].stamps.t_arrival_ns + round(WARM_UP_S * NS_PER_S) if seen else 0
    taken_ms = np.array(
        [
            (o.stages.t_decided_ns - o.stamps.t_arrival_ns) / NS_PER_MS
            for o in seen
            if o.stamps.t_arrival_ns >= begin_ns
        ]
    )
    if taken_ms.size == 0:
        raise UserError(f"session {session.path}: no decisions on camera '{camera}' after its first second")
    arrivals = [f.stamps.t_arrival_ns for f in session.frames if f.camera == camera]
    length_s = max((arrivals[-1] - arrivals[0]) / NS_PER_S, 1e-9) if arrivals else 1e-9
    counts = session.end.counts.get("cameras", {}).get(camera, {}) if session.end else {}
    replaced = counts.get("superseded", 0) / max(counts.get("captured", len(arrivals)), 1)
    return Decisions(
        taken_ms, round((len(arrivals) - 1) / length_s, 3), replaced, session.info.package.sha256
    )


def make_certificate(
    config: RunConfig, wanted: Wanted, measured: Measured, decisions: Decisions | None, utc_ns: int
) -> Certificate:
    """Make the certificate of what was measured.

    Parameters
    ----------
    config
        The rig.
    wanted
        What was measured.
    measured
        Flashes and devices.
    decisions
        What decisions took; None where that was not measured.
    utc_ns
        Time of day now.

    Returns
    -------
    Certificate
        For `write_certificate`.
    """
    flashes = measured.flashes
    to_arrival, to_light = flashes.to_arrival(), flashes.to_light()
    sha256 = "" if decisions is None else decisions.package_sha256
    settings = settings_of(config, measured.camera, measured.output, sha256)
    taken = None if decisions is None else decisions.image_to_decision_ms
    camera, output = measured.camera, measured.output
    return Certificate(
        date=datetime.fromtimestamp(utc_ns // NS_PER_S, UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        utc_ns=utc_ns,
        camera=wanted.camera,
        output=wanted.output,
        camera_device=f"{camera.driver} {camera.serial}".strip(),
        output_device=f"{output.driver} {output.serial}".strip(),
        line=wanted.line,
        exposure_source=camera.exposure_source,
        rate_hz=round(NS_PER_S / flashes.period_ns, 3),
        n=to_light.n,
        missed=flashes.missed,
        delay_ms=to_light.summary()["p50"],
        stated_delay_ms=output.delay_ms,
        as_seen_ms=_percentiles(summary(flashes.as_seen_ms())),
        command_to_arrival_ms=_percentiles(to_arrival.summary()),
        command_to_light_ms=_percentiles(to_light.summary()),
        image_to_decision_ms=None if taken is None else _percentiles(summary(taken)),
        decision_rate_hz=None if decisions is None else decisions.rate_hz,
        decision_replaced=None if decisions is None else round(decisions.replaced, 5),
        loop_ms=None if taken is None else _percentiles(add_up(to_arrival, taken)),
        settings=settings,
        settings_hash=hash_of(settings),
    )


def format_certificate(certificate: Certificate) -> list[str]:
    """Format a certificate for the terminal.

    Parameters
    ----------
    certificate
        The certificate.

    Returns
    -------
    list[str]
        A table of its figures, and what must be known to read them.
    """
    rows = {
        "command to first lit frame": certificate.as_seen_ms,
        "... without the wait for an exposure": certificate.command_to_arrival_ms,
        "command to light": certificate.command_to_light_ms,
        "image to decision": certificate.image_to_decision_ms,
        "light to light, all together": certificate.loop_ms,
    }
    c = certificate
    lines = [
        f"camera '{c.camera}' ({c.camera_device}, {c.rate_hz:.1f} frames/s), output '{c.output}' "
        f"({c.output_device}), {c.n} flashes, {c.missed} not seen",
        f"{'ms':38}{'n':>7}{'P50':>9}{'P90':>9}{'P99':>9}{'P99.9':>9}{'max':>9}",
    ]
    for name, figure in rows.items():
        if figure is None:
            lines.append(f"{name:38}   not measured")
            continue
        values = (figure.p50, figure.p90, figure.p99, figure.p99_9, figure.max)
        shown = "".join("        -" if v is None else f"{v:9.2f}" for v in values)
        lines.append(f"{name:38}{figure.n:7}{shown}")
    lines.append(f"delay of output '{c.output}': {c.delay_ms:.2f} ms (stated: {c.stated_delay_ms:g} ms)")
    if c.exposure_source == "unavailable":
        lines.append("the camera tells no exposure times: its delays reach to the arrival of frames")
    if c.decision_replaced:
        lines.append(
            f"the chain passed over {c.decision_replaced:.1%} of the frames at {c.decision_rate_hz:g} a "
            "second: it does not hold that rate"
        )
    return lines


def _percentiles(found: dict[str, object] | None) -> Percentiles:
    return msgspec.convert(found, Percentiles)
