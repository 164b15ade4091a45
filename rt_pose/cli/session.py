"""`rt-pose replay`, `verify` and `report`: what can be asked of a session afterwards."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from rt_pose.cli.options import EXIT_OK, Parser, add_overwrite, add_tolerance, boolean
from rt_pose.errors import UserError
from rt_pose.extras import require
from rt_pose.files import check_output_folder

if TYPE_CHECKING:
    from rt_pose.audit.verify import Verification


def replay(options: Namespace) -> int:
    """Compute a session's decisions again: exit 0 identical, 1 differs, 4 incomplete, 5 not comparable."""
    from rt_pose.audit.audit import Audit, audit

    if options.publish is not None:
        return _publish(Path(options.session), options.publish, options.speed)
    wanted = Audit(
        *(options.set or [], options.from_video, options.model),
        tolerance_ms=options.tolerance_ms,
        reference=options.reference,
        truth=options.truth or [],
    )
    if options.hindsight:
        from rt_pose.offline.smooth import smooth_observations

        wanted.smooth = smooth_observations
    session = Path(options.session)
    found = audit(session, wanted)
    if found.hindsight:
        from rt_pose.reports import hindsight_page

        try:
            hindsight_page.write(session, found.hindsight)
            print(f"plots: {session / hindsight_page.PAGE_NAME}")
        except UserError as error:  # an archive may be read-only: the scores stand
            print(f"not kept: {error}")
    if (session / "report.html").is_file():
        print(f"`rt-pose report {session}` puts this into its report.html")
    return found.exit_code


def _publish(path: Path, address: str, speed: float) -> int:
    """Put the session on the wire again, at its pace."""
    from rt_pose.audit.republish import republish, topics
    from rt_pose.clock import HostClock
    from rt_pose.session.read import Session

    session = Session.read(path)
    print(f"publishing {path} on {address}: {', '.join(topics(session))}; Ctrl-C ends it", flush=True)
    print(f"{republish(session, address, HostClock(), speed):,} messages sent")
    return EXIT_OK


def replay_parser(parser: Parser) -> None:
    """Add the options of `rt-pose replay`."""
    session_parser(parser)
    parser.add_argument(
        "--set",
        type=str,
        action="append",
        metavar="KEY=VALUE",
        help="What would have differed with another parameter, e.g. rules.reach.hold='30 ms'; may be given "
        "several times.",
    )
    parser.add_argument(
        "--from-video",
        action="store_true",
        help="Also run the network again, on the session's film: how far poses move, which events differ.",
    )
    parser.add_argument(
        "--publish",
        type=str,
        metavar="ADDRESS",
        help="Put the session on the wire again, at the pace at which it happened, "
        "e.g. tcp://127.0.0.1:5790; nothing is compared.",
    )
    parser.add_argument("--speed", type=float, default=1.0, help="Of --publish: how many times as fast.")
    parser.add_argument("--model", type=str, help="Model package for --from-video; the session's own.")
    parser.add_argument(
        "--hindsight",
        action="store_true",
        help="Also score each rule against the smoothed session, and against the truth where the rig knew "
        "it; writes SESSION/hindsight.html and .json.",
    )
    parser.add_argument(
        "--truth",
        type=str,
        action="append",
        metavar="FILE",
        help="Of --hindsight: poses that another network or a person found in the camera's video (CSV, .h5, "
        ".slp, .nwb), to score against as well; of several cameras CAMERA=FILE, once for each.",
    )
    parser.add_argument(
        "--reference",
        action="store_true",
        help="Also compute every track with filterpy, keypoint by keypoint, and tell the largest difference; "
        "more than 1e-6 px is a failure (exit 1).",
    )
    add_tolerance(parser)


def report(options: Namespace) -> int:
    """Write report.html and report.json of a session."""
    from rt_pose.reports.session_report import JSON_NAME, PAGE_NAME, make_report

    session = Path(options.session)
    out = Path(options.out) if options.out else session
    if out.absolute() != session.absolute():
        check_output_folder(out, (JSON_NAME, PAGE_NAME), JSON_NAME, overwrite=options.overwrite)
    make_report(session, out)
    print(f"report: {out / PAGE_NAME}")
    return EXIT_OK


def session_parser(parser: Parser) -> None:
    """Add the session's folder."""
    parser.add_argument("session", type=str, help="Session folder.")


def report_parser(parser: Parser) -> None:
    """Add the options of `rt-pose report`."""
    session_parser(parser)
    parser.add_argument(
        "--out", type=str, help="Folder to write to, for a session that cannot be written; its own otherwise."
    )
    add_overwrite(parser)


def verify(options: Namespace) -> int:
    """Check that a session is what its run wrote: log, films, tables, package, and its decisions by
    replay."""
    from rt_pose.audit.verify import verify_session

    key, path = None if options.key is None else Path(options.key), Path(options.session)
    if path.suffix == ".nwb" and path.is_file():
        found = _verify_deposited(path, key, options.replay)
    else:
        found = verify_session(path, key, replays=options.replay)
    for line in found.lines():
        print(line)
    return found.exit_code


def _verify_deposited(file: Path, key: Path | None, replays: bool) -> Verification:
    """Check the session that an NWB file carries."""
    from rt_pose.audit.verify import verify_session
    from rt_pose.export.deposit import unpack
    from rt_pose.export.nwb_check import COMPARED, differing_parts
    from rt_pose.session.read import Session

    require("sleap", "an NWB file")
    with TemporaryDirectory(prefix="rt-pose-verify-") as name:
        folder = Path(name)
        if not unpack(file, folder):
            raise UserError(
                f"{file}: it carries no session of rt-pose; `rt-pose export` writes one that does"
            )
        try:
            found = verify_session(folder, key, replays=replays, deposited=True)
        except UserError as error:
            raise UserError(str(error).replace(name, str(file))) from error
        differing = found.run("tables", lambda: list(differing_parts(file, Session.read(folder))))
    found.fails += differing or []
    if differing == []:
        found.holds.append(f"tables: {COMPARED}")
    for sentences in (found.holds, found.fails, found.open):  # the folder is gone
        sentences[:] = [sentence.replace(name, str(file)) for sentence in sentences]
    return found


def verify_parser(parser: Parser) -> None:
    """Add the options of `rt-pose verify`."""
    session_parser(parser)
    parser.add_argument(
        "--key", type=str, help="PEM file of the public key that the session should be signed by."
    )
    parser.add_argument(
        "--replay",
        type=boolean,
        default=True,
        help="Compute the decisions again as well; no: check files only.",
    )
