"""`rt-pose doctor` and `configs`: what is installed here, and the configurations that come with rt-pose."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

from rt_pose.cli.options import EXIT_FAILED, EXIT_OK, Parser
from rt_pose.config.copied import copy_shipped
from rt_pose.config.shipped import find_shipped, shipped_configs
from rt_pose.errors import UserError, nearest


def doctor(options: Namespace) -> int:
    """Say what works here, what does not, and what would fix it: exit 0 if experiments can run, else 1."""
    from rt_pose.cli.doctor import as_json, examine, lines, runs

    checks = examine()
    print(json.dumps(as_json(checks), indent=1) if options.json else "\n".join(lines(checks)))
    return EXIT_OK if runs(checks) else EXIT_FAILED


def doctor_parser(parser: Parser) -> None:
    """Add the options of `rt-pose doctor`."""
    parser.add_argument("--json", action="store_true", help="Print it as JSON.")


def configs(options: Namespace) -> int:
    """List the configurations that come with rt-pose, or copy one of them, with its files, to change it."""
    names = [config.name for config in shipped_configs()]
    if options.do is None:
        width = max(map(len, names))
        print("\n".join(f"{config.name:{width}}  {config.about}" for config in shipped_configs()))
        return EXIT_OK
    if options.do != "copy":
        raise UserError(f"configs: expected `configs`, or `configs copy NAME`, got '{options.do}'")
    name = options.name or ""
    source = find_shipped(name)
    if source is None:
        raise UserError(f"configs copy: there is no '{name}'{nearest(name, names)}")
    first, *others = copy_shipped(source, Path(options.out or source.name))
    print(f"configuration: {first.out}")
    for one in others:
        print(f"it refers to: {one.out}{', which was there already' if one.there else ''}")
    return EXIT_OK


def configs_parser(parser: Parser) -> None:
    """Add the options of `rt-pose configs`."""
    parser.add_argument("do", type=str, nargs="?", help="copy NAME; without it they are listed.")
    parser.add_argument("name", type=str, nargs="?", help="Which one, e.g. video or train/mirror-mouse.")
    parser.add_argument("--out", type=str, help="The file to write; its own name where not given.")
