"""`rt-pose demo` and `run`, the verbs for a running loop, and those for its preparation."""

from __future__ import annotations

import sys
import threading
from argparse import Namespace
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rt_pose.cli.options import EXIT_OK, Parser, add_overwrite, boolean
from rt_pose.clock import HostClock
from rt_pose.config.build import load
from rt_pose.config.check import report_run
from rt_pose.config.schema import CameraConfig, PublishConfig, RunConfig
from rt_pose.config.source import Source
from rt_pose.errors import UserError
from rt_pose.files import check_output, is_own_png, mark_png

if TYPE_CHECKING:
    from rt_pose.session.run import RunResult

ORDERS_HELP = """\
orders:
  status           print rates, counts and states of the run
  start            take frames, in a run with `start_on: control`
  stop             end the run
  arm, disarm      let commands out; make the lines low and hold commands back
  emergency        all outputs low at once; nothing goes out until `arm`
  block NAME       go to a block of the protocol
  set KEY VALUE    change a rule: rules.NAME.enabled true or false, rules.NAME.probability and
                   rules.NAME.release a number between 0 and 1, where the rule has one
  mark TEXT        write a note into the log
  input NAME on    switch an input of the driver `key`: on, off, or press as its key does
"""


def demo(options: Namespace) -> int:
    """Train on a simulated animal, then run the closed loop on it, with a stimulus it reacts to."""
    from rt_pose.cli.demo import run_demo

    return run_demo(Path(options.out), options.seconds, options.animals, options.views)


def demo_parser(parser: Parser) -> None:
    """Add the options of `rt-pose demo`."""
    parser.add_argument("--out", type=str, default="runs/demo", help="Folder of the demo; replaced.")
    parser.add_argument("--seconds", type=float, default=20.0, help="Length of the closed-loop run.")
    parser.add_argument(
        "--animals",
        type=int,
        default=1,
        help="Simulated animals, 1 to 4: several cross and hide each other.",
    )
    parser.add_argument(
        "--views",
        type=int,
        default=0,
        help="Calibrated cameras around one animal in space, 2 to 4; 0: one that looks straight down.",
    )


def run(options: Namespace) -> int:
    """Run the closed loop: camera, network, filter, rules, outputs; records a session."""
    import rigs
    from rt_pose.session.console import RunConsole, default_session
    from rt_pose.session.run import run_session

    clock = HostClock()
    session = Path(options.out) if options.out else default_session(clock)
    with RunConsole() as console:
        result = run_session(options.config, session, rigs.register, clock, console)
    return _conclude(result, options.report)


def run_parser(parser: Parser) -> None:
    """Add the options of `rt-pose run`."""
    parser.takes(RunConfig, file=True, check=check_run_options)
    parser.add_argument(
        "--camera",
        type=str,
        help="sim, video:PATH, a bare path, or DRIVER:SERIAL; in place of the configuration's cameras.",
    )
    parser.add_argument("--out", type=str, help="Session folder; a new one in sessions/ where not given.")
    parser.add_argument("--report", type=boolean, default=True, help="Write the report at the end.")


def check_run_options(source: Source, options: Namespace) -> None:
    """Put `--camera` in its place, and note what is wrong with drivers, names and numbers."""
    import rigs
    from rt_pose import drivers
    from rt_pose.config.certificate import place_certificate
    from rt_pose.config.views import place_calibrations

    rigs.register()
    drivers.report_drivers(source, [*([] if options.camera else ["cameras"]), "outputs", "inputs"])
    if options.config is not None:
        if options.camera:
            options.config.cameras = _replace_camera(options.config.cameras, options.camera)
        report_run(options.config, source)
        place_certificate(options.config, source)
        place_calibrations(options.config.views, source.where)


def _replace_camera(cameras: dict[str, CameraConfig], spec: str) -> dict[str, CameraConfig]:
    """The configuration's cameras with `--camera SPEC` in their place."""
    from rt_pose import drivers

    name = next(iter(cameras)) if len(cameras) == 1 else "camera"
    old = cameras.get(name)

    def options_of(driver: str) -> dict[str, Any]:
        return dict(old.options) if old is not None and old.driver == driver else {}

    if spec == "sim":
        return {name: CameraConfig("simulated", options_of("simulated"))}
    driver, colon, rest = spec.partition(":")
    known = drivers.cameras()
    if colon and driver in known:
        key = getattr(known[driver], "named_by", "serial")
        return {name: CameraConfig(driver, options_of(driver) | {key: rest})}
    if "/" in spec or Path(spec).suffix or Path(spec).exists():
        return {name: CameraConfig("video", options_of("video") | {"path": spec})}
    raise UserError(
        f"--camera {spec}: expected sim, the path of a recording, or DRIVER:SERIAL (video:PATH, "
        f"images:FOLDER, stream:SOURCE) with one of the drivers {', '.join(known)}"
    )


def _conclude(result: RunResult, plot: bool) -> int:
    from rt_pose.session.read import INFO_NAME

    if result.session is not None and (result.session / INFO_NAME).is_file():  # its disk may be gone
        print(f"session: {result.session}")
        if plot:
            _report(result.session)
    if result.problem:
        print(f"rt-pose: {result.problem}", file=sys.stderr)
    return result.exit_code


def _report(session: Path) -> None:
    """Write the report; where that is not possible, the run has ended as it has all the same."""
    from rt_pose.reports.session_report import make_report
    from rt_pose.reports.summary import format_summary

    try:
        print(format_summary(make_report(session)))
        print(f"report: {session / 'report.html'}")
    except (UserError, OSError) as error:
        print(f"rt-pose: no report: {error}", file=sys.stderr)


def view(options: Namespace) -> int:
    """A window on a running loop, on a recorded session, or on the zones of a configuration."""
    from rt_pose.viewer import ViewRequest
    from rt_pose.viewer import main as view_main

    request = ViewRequest(
        address=options.connect,
        keys=_path(options.keys),
        session=_path(options.session),
        zones=options.zones,
        camera=options.camera,
        video=options.video,
        image=options.image,
        traces=options.trace or [],
        theme=options.theme,
    )
    return int(view_main(request))


def view_parser(parser: Parser) -> None:
    """Add the options of `rt-pose view`."""
    parser.add_argument(
        "session", type=str, nargs="?", help="Folder of a recorded session; a running loop where not given."
    )
    parser.add_argument(
        "--connect", type=str, default=PublishConfig.address, help="Address the loop publishes on."
    )
    _add_keys(parser)
    parser.add_argument(
        "--trace",
        type=str,
        action="append",
        metavar="EXPRESSION",
        help="What is traced, in the language of rules, e.g. 'distance(nose, tail)'; may be given several "
        "times. The speed of the first keypoint where not given.",
    )
    parser.add_argument("--theme", type=str, default="dark", help="dark or light.")
    parser.add_argument(
        "--zones",
        type=str,
        default="",
        metavar="CONFIG.yaml",
        help="Draw and move the zones of a configuration with the mouse, on a picture of SESSION, --video or "
        "--image; saved in place, comments and order kept, after a copy of the file.",
    )
    parser.add_argument("--camera", type=str, default="", help="Of --zones: the camera; the first.")
    parser.add_argument(
        "--video", type=str, default="", help="Of --zones: recording whose first frame is drawn on."
    )
    parser.add_argument("--image", type=str, default="", help="Of --zones: picture that is drawn on.")


def bridge_lsl(options: Namespace) -> int:
    """Send the poses of a running loop into the Lab Streaming Layer, a MoCap stream for each camera."""
    from rigs.lsl_bridge import run_bridge

    with suppress(KeyboardInterrupt):  # is how it ends
        run_bridge(options.connect, options.name, HostClock(), print, threading.Event())
    return EXIT_OK


def bridge_lsl_parser(parser: Parser) -> None:
    """Add the options of `rt-pose bridge lsl`."""
    parser.add_argument(
        "--connect", type=str, default=PublishConfig.address, help="Address the loop publishes on."
    )
    parser.add_argument("--name", type=str, default="rt-pose", help="A stream is called NAME CAMERA.")


def order(options: Namespace) -> int:
    """Give an order to a running loop: status, start, stop, arm, disarm, emergency, block, set, mark ..."""
    from rt_pose.session.orders import arguments, format_status, send_order

    words = arguments(options.do, options.words)
    answer = send_order(options.connect, options.do, words, _path(options.keys))
    print(format_status(answer["status"]) if options.do == "status" else f"{options.do}: done")
    return EXIT_OK


def order_parser(parser: Parser) -> None:
    """Add the options of `rt-pose order`."""
    parser.epilog = ORDERS_HELP
    parser.add_argument("do", type=str, help="The order; see below.")
    parser.add_argument("words", type=str, nargs="*", default=[], help="What the order is about.")
    parser.add_argument(
        "--connect", type=str, default=PublishConfig.control, help="Address of the run's control socket."
    )
    _add_keys(parser)


def _add_keys(parser: Parser) -> None:
    parser.add_argument(
        "--keys", type=str, help="Key file of the run; found by the port where the run is this user's."
    )


def _path(name: str | None) -> Path | None:
    return Path(name) if name else None


def keys(options: Namespace) -> int:
    """Make permanent keys, for runs whose sockets other machines reach."""
    from rt_pose.loop.curve import make_permanent_keys

    server, client = make_permanent_keys(Path(options.out))
    print(f"for the run, `--publish.keys {server}`: {server}")
    print(f"for other machines, `rt-pose order ... --keys {client.name}`: {client}")
    return EXIT_OK


def keys_parser(parser: Parser) -> None:
    """Add the options of `rt-pose keys`."""
    parser.add_argument(
        "--out",
        type=str,
        default="rt-pose-keys.json",
        help="The server's file; the client's stands beside it.",
    )


def devices(options: Namespace) -> int:  # noqa: ARG001
    """List the cameras and outputs that can be used here."""
    import rigs
    from rt_pose.drivers import find_devices

    rigs.register()
    for kind, found in find_devices():
        state = "usable" if found.usable else f"not usable: {found.remedy}"
        print(f"{kind:7} {found.driver:12} {found.serial or '-':16} {found.description} ({state})")
    return EXIT_OK


def rules_check(options: Namespace) -> int:
    """Explain the rules and blocks of a configuration, a sentence each; draw its zones on a frame."""
    from rt_pose.decisions.check import check
    from rt_pose.session.yoke import with_yoke_times

    inputs = [Path(path) for path in (options.config, options.video, options.image) if path]
    if options.out:
        check_output(Path(options.out), inputs, overwrite=options.overwrite, is_ours=is_own_png)
    config = with_yoke_times(load(RunConfig, options.config))
    for line in check(config, options.model, options.video, options.image, options.out, details=True):
        print(line)
    if options.out:
        mark_png(Path(options.out))
    return EXIT_OK


def rules_words(options: Namespace) -> int:  # noqa: ARG001
    """List what rules can measure: every word with its arguments, unit and meaning."""
    from rt_pose.rules.vocabulary import vocabulary

    print("\n".join(vocabulary()))
    return EXIT_OK


def rules_parser(parser: Parser) -> None:
    """Add the options of `rt-pose rules check`."""
    parser.add_argument("config", type=str, help="YAML file of a run.")
    parser.add_argument("--model", type=str, default="", help="Model package: its keypoints' names.")
    parser.add_argument("--video", type=str, default="", help="Recording whose first frame is drawn on.")
    parser.add_argument("--image", type=str, default="", help="Picture to draw on, in place of a recording.")
    parser.add_argument("--out", type=str, default="", help="PNG to write; none where not given.")
    add_overwrite(parser)
