"""What cameras cost, and whether every frame of theirs is accounted for.

    python -m bench.cameras --model PACKAGE --video FILE   one, two and four cameras that share one engine
    python -m bench.cameras --model PACKAGE --part two     two emulated Basler cameras, at 30 and 90 a second
    python -m bench.cameras --model PACKAGE --part long    an emulated one at 60 a second, for 30 minutes
    python -m bench.cameras --model PACKAGE --part threads  the same for a minute, with other threads in turns

Basler's library emulates its cameras in the process of the loop, so that they take processor time which a
camera would not: it is measured alone as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from bench.cameras import long, shared_engine, threads, two
from bench.cameras.emulated import EmulatedRun
from bench.cameras.shared_engine import SharedEngine
from bench.program import Out, run
from rt_pose.config.schema import Precision
from rt_pose.errors import UserError
from rt_pose.video import parse_size


@dataclass(kw_only=True)
class Options:
    """Options of the command line."""

    model: Annotated[str, "folder of the model package"]
    part: Annotated[Literal["engine", "two", "long", "threads"], "what is measured"] = "engine"
    video: Annotated[Path | None, "part engine: the recording that every camera plays"] = None
    rate: Annotated[float | None, "frames a second of each camera; by default as the part has it"] = None
    seconds: Annotated[float | None, "length of each run; by default as the part has it"] = None
    size: Annotated[str, "emulated cameras: WIDTHxHEIGHT of the frames"] = "1024x1040"
    precision: Precision = "auto"
    priority: Annotated[Literal["normal", "high"], "emulated cameras: of the loop's process"] = "normal"
    out: Out = None


def measure(options: Options) -> dict[str, Any]:
    """Measure a part.

    Parameters
    ----------
    options
        The command line.

    Returns
    -------
    dict[str, Any]
        The figures, for JSON.

    Raises
    ------
    UserError
        Where the part lacks something.
    """
    given = {
        key: value
        for key, value in (("rate", options.rate), ("seconds", options.seconds))
        if value is not None
    }
    if options.part == "engine":
        if options.video is None:
            raise UserError("--video: part engine needs the recording that every camera plays")
        return shared_engine.measure(
            SharedEngine(model=options.model, video=options.video, precision=options.precision, **given)
        )
    size = parse_size(options.size)
    if size is None:
        raise UserError("--size: expected WIDTHxHEIGHT in px such as 1024x1040, got nothing")
    plan = EmulatedRun(options.model, size, options.precision, priority=options.priority)
    parts = {"two": two.measure, "long": long.measure, "threads": threads.measure}
    return parts[options.part](plan, options.rate, options.seconds)


def text(figures: dict[str, Any]) -> str:
    """Format the figures for people.

    Parameters
    ----------
    figures
        What `measure` returned.

    Returns
    -------
    str
        Markdown.
    """
    formats = {
        "cameras": shared_engine.text,
        "cameras two": two.text,
        "cameras long": long.text,
        "cameras threads": threads.text,
    }
    return formats[figures["bench"]](figures)


def main() -> int:
    """Run the command line."""
    return run(Options, measure, text)
