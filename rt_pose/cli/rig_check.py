"""`rt-pose rig check`: whether a rig does what its configuration says, before the animal is there."""

from __future__ import annotations

import sys
import tempfile
from argparse import Namespace
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from rt_pose.cli.live import check_run_options
from rt_pose.cli.options import EXIT_FAILED, EXIT_OK, Parser
from rt_pose.clock import HostClock
from rt_pose.config.schema import RunConfig
from rt_pose.errors import UserError
from rt_pose.files import check_folder

if TYPE_CHECKING:
    from rt_pose.audit.rig_check import Finding

LEAST_S, MOST_S = 1.0, 3600.0
LEAST_MIB = 256


def check(options: Namespace) -> int:
    """Run a rig for some seconds, disarmed, and state how it did: exit 0 if nothing fails, else 1."""
    import rigs
    from rt_pose.audit.rig_check import check_rig
    from rt_pose.session.console import RunConsole
    from rt_pose.session.run import RunObserver

    if not LEAST_S <= options.for_s <= MOST_S:
        raise UserError(f"--for-s: expected {LEAST_S:g} to {MOST_S:g}, got {options.for_s:g}")
    place = Path(options.out) if options.out else Path.cwd()
    check_folder(place, LEAST_MIB, "--out")
    place.mkdir(parents=True, exist_ok=True)
    console: AbstractContextManager[RunObserver] = nullcontext(RunObserver())
    if options.config.model:
        console = RunConsole()
    else:
        print(f"without a model: cameras deliver for {options.for_s:g} s ...", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix=".rt-pose-check-", dir=place) as folder, console as observer:
        found = check_rig(
            *(
                options.config,
                options.for_s,
                Path(folder) / "session",
                rigs.register,
                HostClock(),
                observer,
            ),
            pulse=options.pulse,
        )
    print("\n".join(lines(found)))
    return EXIT_FAILED if any(row.state == "FAILS" for row in found) else EXIT_OK


def check_parser(parser: Parser) -> None:
    """Add the options of `rt-pose rig check`."""
    parser.takes(RunConfig, file=True, check=check_run_options)
    parser.add_argument(
        "--camera", type=str, help="In place of the configuration's cameras, as in `rt-pose run`."
    )
    parser.add_argument("--for-s", type=float, default=10.0, help="How long it runs, s.")
    parser.add_argument(
        "--pulse",
        action="store_true",
        help="Also give every named line a pulse of 5 ms, and send sync signals: nothing may be connected "
        "that must not act.",
    )
    parser.add_argument(
        "--out",
        type=str,
        help="Folder on the disk that sessions will be on; nothing is left there. Here if not given.",
    )


def lines(found: list[Finding]) -> list[str]:
    """Format a table.

    Parameters
    ----------
    found
        Its rows.

    Returns
    -------
    list[str]
        A line a row, and one that sums up.
    """
    width = max((len(row.what) for row in found), default=0)
    failing = sum(row.state == "FAILS" for row in found)
    last = f"{failing} of {len(found)} checks fail" if failing else "the rig does what its configuration says"
    return [*(f"{row.state:9}{row.what:{width}}  {row.found}" for row in found), last]
