"""`rt-pose rig ...`: setting a rig up and measuring it."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from rt_pose.cli.options import EXIT_OK, Parser
from rt_pose.clock import HostClock
from rt_pose.config.schema import RunConfig
from rt_pose.config.source import Source
from rt_pose.errors import UserError

if TYPE_CHECKING:
    from rt_pose.clock import Clock
    from rt_pose.session.loopback import Decisions, Wanted

MOST_FLASHES, MOST_FRAMES_BETWEEN = 100_000, 10_000


def loopback(options: Namespace) -> int:
    """Measure command to light to frame with an LED in view; writes the rig's latency certificate."""
    from rt_pose.config.certificate import read_certificates, write_certificate
    from rt_pose.session.loopback import Wanted, choose, format_certificate, make_certificate, measure

    config: RunConfig = options.config
    path = Path(options.out or config.certificate_file)
    read_certificates(path)  # a file that cannot be added to is known before minutes have gone into it
    wanted = Wanted(
        choose(list(config.cameras), options.camera, "camera"),
        choose(list(config.outputs), options.output, "output"),
        options.line,
        options.flashes,
        options.every,
    )
    clock = HostClock()
    measured = measure(config, wanted, clock, lambda text: print(text, file=sys.stderr))
    decisions = _decisions(options, wanted, clock)
    certificate = make_certificate(config, wanted, measured, decisions, clock.utc_ns())
    write_certificate(path, certificate)
    print("\n".join(format_certificate(certificate)))
    print(f"certificate: {path}")
    return EXIT_OK


def loopback_parser(parser: Parser) -> None:
    """Add the options of `rt-pose rig loopback`."""
    parser.takes(RunConfig, file=True, check=_check_loopback)
    parser.add_argument(
        "--camera", type=str, help="Camera that sees the light; the only one where not given."
    )
    parser.add_argument("--output", type=str, help="Output that switches it; the only one where not given.")
    parser.add_argument("--line", type=int, default=0, help="The output's line, a number.")
    parser.add_argument("--flashes", type=int, default=200, help="How often the light flashes.")
    parser.add_argument("--every", type=int, default=8, help="Frames between two flashes.")
    parser.add_argument(
        "--decisions",
        type=float,
        default=20.0,
        help="Seconds for which the run's chain is timed, disarmed; 0, or a rig without a model: not at all.",
    )
    parser.add_argument("--session", type=str, help="Take the decision's share from this session instead.")
    parser.add_argument(
        "--out", type=str, help="The certificate; NAME.certificate.json beside NAME.yaml where not given."
    )


def _decisions(options: Namespace, wanted: Wanted, clock: Clock) -> Decisions | None:
    """The decision's share, where it can be had."""
    import rigs
    from rt_pose.session.loopback import decisions_of, time_decisions
    from rt_pose.session.read import Session

    if options.session:
        return decisions_of(Session.read(options.session), wanted.camera)
    if not options.config.model or options.decisions == 0:
        return None
    print(f"timing decisions for {options.decisions:g} s ...", file=sys.stderr)
    return time_decisions(options.config, wanted.camera, options.decisions, rigs.register, clock)


def _check_loopback(source: Source, options: Namespace) -> None:
    """Put the certificate in its place, and note what is wrong with drivers, names and numbers."""
    import rigs
    from rt_pose import drivers
    from rt_pose.config.certificate import place_certificate
    from rt_pose.config.check import report_run
    from rt_pose.config.views import place_calibrations

    rigs.register()
    drivers.report_drivers(source, ["cameras", "outputs"])
    for name, value, low, high in (
        ("flashes", options.flashes, 1, MOST_FLASHES),
        ("every", options.every, 4, MOST_FRAMES_BETWEEN),
        ("line", options.line, 0, 255),
        ("decisions", options.decisions, 0, 3600),
    ):
        if not low <= value <= high:
            raise UserError(f"--{name}: expected {low} to {high}, got {value:g}")
    if options.config is None:
        return
    report_run(options.config, source)
    place_certificate(options.config, source)
    place_calibrations(options.config.views, source.where)
    if not (options.out or options.config.certificate_file):
        raise UserError("rig loopback: give the rig's YAML file, or --out for the certificate")
