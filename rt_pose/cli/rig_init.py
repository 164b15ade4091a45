"""`rt-pose rig init`: asks what is plugged in, and writes the rig's YAML."""

from __future__ import annotations

import re
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rt_pose.cli.options import EXIT_OK, Parser
from rt_pose.cli.rig_text import Part, Rig, rig_yaml
from rt_pose.errors import UserError, nearest

if TYPE_CHECKING:
    from rt_pose.drivers import FoundDevice

NOT_PLUGGED_IN = ("simulated", "video")
"""Drivers without a device: proposed only where nothing else is there."""
SUBJECT = ("id", "species", "sex", "date_of_birth")
PROTOCOL = ("name", "experimenter")
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
Ask = Callable[[str, str], str]
"""A question and the answer that is taken for none."""


def init(options: Namespace) -> int:
    """Ask what is plugged in, and write a commented rig that `rt-pose run` takes."""
    import rigs
    from rt_pose import drivers

    out = Path(options.rig)
    if out.exists():
        raise UserError(f"{out}: exists already; give another name")
    if not options.yes and not sys.stdin.isatty():
        raise UserError(
            "rig init: there is no terminal to ask on; give --yes, with --camera, --output and --model"
        )
    rigs.register()
    ask: Ask = (lambda _, default: default) if options.yes else _ask
    found = [] if options.camera and options.output else drivers.find_devices()
    plugged = {kind: [d for k, d in found if k == kind and d.usable] for kind in ("camera", "output")}
    for kind, device in found if not options.yes else []:
        if not device.usable:
            print(f"{kind} {device.driver} {device.serial}: not usable: {device.remedy}", file=sys.stderr)
    cameras = _parts("camera", options.camera, plugged["camera"], drivers.cameras(), ask)
    outputs = _parts("output", options.output, plugged["output"], drivers.outputs(), ask)
    for part in outputs:
        names = ask(f"names of the lines of '{part.name}', from line 0 on, with commas between them", "")
        part.lines = [name.strip() for name in names.split(",") if name.strip()]
    rig = Rig(cameras, outputs, options.model or ask("folder of the model package", ""))
    rig.keypoint = _keypoint(rig.model)
    rig.subject = {key: ask(f"subject: {key}", "") for key in SUBJECT}
    rig.protocol = {key: ask(f"protocol: {key}", "") for key in PROTOCOL}
    text = rig_yaml(rig, out.name)
    _check(text, str(out))
    _write(out, text)
    print(f"rig: {out}\n`rt-pose rig check {out}` runs it for some seconds, disarmed")
    return EXIT_OK


def init_parser(parser: Parser) -> None:
    """Add the options of `rt-pose rig init`."""
    parser.add_argument("rig", type=str, nargs="?", default="rig.yaml", help="The file to write")
    for kind in ("camera", "output"):
        parser.add_argument(
            f"--{kind}",
            type=str,
            action="append",
            metavar="[NAME=]DRIVER[:SERIAL]",
            help=f"One {kind}, with its serial number, path or port; may be given several times, and "
            "`--output none` is none. Without it you are asked; with --yes every device here is taken.",
        )
    parser.add_argument("--model", type=str, default="", help="Folder of the model package.")
    parser.add_argument("--yes", action="store_true", help="Ask nothing.")


def _parts(
    kind: str, specs: list[str] | None, found: list[FoundDevice], known: dict[str, Any], ask: Ask
) -> list[Part]:
    """Cameras or outputs, as they were given or chosen."""
    if specs is None:
        specs = _chosen(kind, found, ask)
    if specs == ["none"] and kind == "output":
        return []
    parts: list[Part] = []
    for spec in specs:
        name, equals, rest = spec.partition("=")
        driver, _, device = (rest if equals else spec).partition(":")
        if driver not in known:
            raise UserError(f"--{kind} {spec}: there is no {kind} driver '{driver}'{nearest(driver, known)}")
        if equals and not NAME.fullmatch(name):
            raise UserError(
                f"--{kind} {spec}: {name!r} cannot be a name; expected a letter, then letters, digits, _ or -"
            )
        taken = [part.name for part in parts]
        if name in taken and equals:
            raise UserError(f"--{kind} {spec}: '{name}' is there already; give each a name of its own")
        part = Part(name if equals else _free_name(kind, taken), driver, known[driver].Options, device)
        part.named_by = getattr(known[driver], "named_by", "")
        parts.append(part)
    return parts


def _chosen(kind: str, found: list[FoundDevice], ask: Ask) -> list[str]:
    """Devices by the numbers that the user gives; those that are plugged in where none are given."""
    for number, device in enumerate(found, 1):
        print(f"  {number}  {device.driver} {device.serial}  {device.description}", file=sys.stderr)
    real = [str(i) for i, d in enumerate(found, 1) if d.driver not in NOT_PLUGGED_IN]
    default = ",".join(real or [str(i) for i, d in enumerate(found, 1) if d.driver == "simulated"][:1])
    while True:
        answer = ask(f"{kind}s, by their numbers, with commas between them; 0 for none", default)
        numbers = [part.strip() for part in answer.split(",") if part.strip()]
        if numbers == ["0"] and kind != "camera":
            return []
        if numbers and all(n.isdecimal() and 1 <= int(n) <= len(found) for n in numbers):
            chosen = [found[int(n) - 1] for n in numbers]
            return [device.driver + (f":{device.serial}" if device.serial else "") for device in chosen]
        if answer == default and not numbers:
            raise UserError(f"rig init: no {kind} can be used here; `rt-pose devices` says why")
        print(f"expected numbers from 1 to {len(found)}, got {answer!r}", file=sys.stderr)


def _free_name(kind: str, taken: Iterable[str]) -> str:
    return next(name for i in range(1, 1000) if (name := kind if i == 1 else f"{kind}{i}") not in taken)


def _ask(question: str, default: str) -> str:
    try:
        return input(f"{question} [{default}]: ").strip() or default
    except EOFError:
        raise UserError(
            "rig init: the terminal was closed before the last answer; nothing was written"
        ) from None


def _keypoint(model: str) -> str:
    """A keypoint for the example of a rule; UserError where the package cannot be read."""
    from rt_pose.package import read_package

    return read_package(model).manifest.keypoints[0] if model else "nose"


def _check(text: str, name: str) -> None:
    """UserError where `rt-pose run` would not take the rig."""
    import yaml

    from rt_pose.config.build import read_section
    from rt_pose.config.check import report_run
    from rt_pose.config.schema import RunConfig
    from rt_pose.config.source import Source
    from rt_pose.drivers import report_drivers

    source = Source(yaml.safe_load(text), name)
    config = read_section(RunConfig, source.plain, (), source)
    report_drivers(source)
    if config is not None:
        report_run(config, source)
    source.check()


def _write(out: Path, text: str) -> None:
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UserError(f"{out}: exists already; give another name") from None
    except OSError as error:
        raise UserError(f"{out}: cannot be written: {error.strerror}; give another name") from error
