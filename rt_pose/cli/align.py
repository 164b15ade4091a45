"""`rt-pose align`: a session's times on the clock of an electrophysiology recording."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from rt_pose.cli.options import EXIT_OK, Parser
from rt_pose.cli.session import session_parser
from rt_pose.files import check_output
from rt_pose.offline.event_formats import FORMATS


def align(options: Namespace) -> int:
    """Match a session's sync pulses to another recording, and write its frames' times on that clock."""
    from rt_pose.audit.align import AlignOptions
    from rt_pose.audit.align import align as find_alignment
    from rt_pose.audit.aligned_tables import tables_of, write_tables
    from rt_pose.session.read import Session

    folder, events = Path(options.session), Path(options.events)
    tables = tables_of(Path(options.out) if options.out else folder / "aligned.csv")
    for file in tables:
        check_output(file, [events], overwrite=options.overwrite)
    wanted = AlignOptions(
        events,
        *(options.format, options.line, options.signal, options.rate_hz),
        first_pulse=options.first_pulse,
        zero_utc=options.zero_utc,
    )
    session = Session.read(folder)
    found = find_alignment(session, wanted)
    print("\n".join(found.lines()))
    write_tables(session, wanted, found, tables)
    print(f"frames: {tables.frames}\nevents: {tables.events}\nsummary: {tables.summary}")
    return EXIT_OK


def align_parser(parser: Parser) -> None:
    """Add the options of `rt-pose align`."""
    session_parser(parser)
    parser.add_argument(
        "--events",
        type=str,
        required=True,
        help="What the other system has exported: a file, or a TTL folder of Open Ephys.",
    )
    parser.add_argument("--format", choices=FORMATS, help="Of --events; told by its content where not given.")
    parser.add_argument("--line", type=str, help="The recorded line, or the text of a marker.")
    parser.add_argument(
        "--signal",
        choices=("code", "frames"),
        help="What is on the line; the code where there is one, otherwise the pulses of frames.",
    )
    parser.add_argument("--rate-hz", type=float, help="Samples a second, where --events has no times in s.")
    parser.add_argument(
        "--first-pulse", action="store_true", help="The first recorded pulse is the session's first."
    )
    parser.add_argument(
        "--zero-utc",
        type=str,
        metavar="TIME",
        help="When the other clock was 0, to 0.1 s, e.g. 2026-05-01T09:30:00.2Z.",
    )
    parser.add_argument(
        "--out", type=str, help="Table of frames to write; SESSION/aligned.csv where not given."
    )
    parser.add_argument("--overwrite", action="store_true", help="Replace files that are there already.")
