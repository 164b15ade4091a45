"""Checks of a run's configuration that its types cannot make."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from rt_pose.config.build import duration_ns, duration_problems
from rt_pose.config.check_views import view_problems
from rt_pose.config.source import Path, Source
from rt_pose.errors import UserError, nearest
from rt_pose.files import LONGEST_NAME

if TYPE_CHECKING:
    from rt_pose.config.schema import (
        CameraConfig,
        CropConfig,
        OutputConfig,
        RecoveryConfig,
        RunConfig,
        SafetyConfig,
    )
    from rt_pose.config.sync import FramePulsesConfig, SyncCodeConfig

EVERY_CAMERA = ("any", "all")
"""What several cameras mean to a rule that names none."""
MOST_ATTEMPTS, MOST_REOPENINGS = 100, 10_000
"""After one fault of an output, and of an output or a camera in a whole session."""
MAX_CORNERS = 100
"""Of a polygon: a probability looks at each corner some thousand times a frame."""
WORDS_FOR_INDIVIDUALS = ("any", "each", "other")
"""What several animals mean to a rule: any of them, each by itself, and another one than that."""
MOST_INDIVIDUALS = 16
SHORTEST_CODE_NS = 4e9
"""Between the beginnings of codes that take up to 2.1 s each."""
SHORTEST_TRIAL_NS = 1e6
"""All trials that end between two frames are gone through at the second one."""
_NAME = re.compile(rf"[A-Za-z_][A-Za-z0-9_-]{{0,{LONGEST_NAME - 1}}}")


def check_run(config: RunConfig) -> None:
    """Check a run's configuration for what makes no sense.

    Parameters
    ----------
    config
        The run.

    Raises
    ------
    UserError
        With every problem.
    """
    source = Source({}, "configuration")
    report_run(config, source)
    source.check()


def report_run(config: RunConfig, source: Source) -> None:
    """Report what makes no sense in a run's configuration.

    Parameters
    ----------
    config
        The run.
    source
        What it was built from; gets the problems.
    """
    problems = (
        *_names(config),
        *_numbers(config),
        *_processors(config),
        *_individuals(config),
        *view_problems(config),
    )
    for path, message in problems:
        source.report(path, message)


Problem = tuple[Path, str]


def _names(config: RunConfig) -> Iterator[Problem]:
    """Names that could not be a topic, a file or a word of a rule."""
    named: dict[str, Iterable[tuple[str | int, str]]] = {
        "cameras": ((name, name) for name in config.cameras),
        "outputs": ((name, name) for name in config.outputs),
        "inputs": ((name, name) for name in config.inputs),
        "processors": ((name, name) for name in config.processors),
        "views": ((name, name) for name in config.views),
        "zones": ((name, name) for name in config.zones),
        "rules": ((i, rule.name) for i, rule in enumerate(config.rules)),
        "protocol": ((i, block.block) for i, block in enumerate(config.protocol)),
        "individuals": enumerate(config.individuals if isinstance(config.individuals, list) else ()),
    }
    for name in EVERY_CAMERA:
        if name in config.cameras:
            yield ("cameras", name), f"{name!r} is a word of the rules: it stands for {name} of the cameras"
    for kind, names in named.items():
        for key, name in names:
            if not _NAME.fullmatch(name):
                yield (
                    (kind, key),
                    f"{name[:LONGEST_NAME]!r} cannot be a name; expected a letter, then letters, digits, "
                    f"'_' or '-', {LONGEST_NAME} at most",
                )
    for name, output in config.outputs.items():
        twice = next((line for i, line in enumerate(output.lines) if line in output.lines[:i]), None)
        if twice is not None:
            yield ("outputs", name, "lines"), f"two lines are called {twice!r}; expected each name once"


def _numbers(config: RunConfig) -> Iterator[Problem]:
    publish = config.publish
    positive: dict[Path, float | None] = {
        ("budget_ms",): config.budget_ms,
        ("certificate_max_days",): config.certificate_max_days,
        ("seconds",): config.seconds,
        ("publish", "frame_width_px"): publish.frame_width_px,
    }
    for path, value in positive.items():
        if value is not None and not 0 < value < float("inf"):
            yield path, f"expected more than 0, got {value}"
    bounded: dict[Path, float] = {
        ("group_ms",): config.group_ms,
        ("publish", "frame_rate_hz"): publish.frame_rate_hz,
    }
    for path, value in bounded.items():
        if not 0 <= value <= 1000:
            yield path, f"expected 0 to 1000, got {value}"
    for name, camera in config.cameras.items():
        yield from _camera(camera, ("cameras", name))
    if config.group_tolerance:
        yield from duration_problems(config.group_tolerance, 1e3, 1e9, "1 us to 1 s", ("group_tolerance",))
    for name, output in config.outputs.items():
        yield from _output(output, ("outputs", name))
    for i, block in enumerate(config.protocol):
        if block.trial is not None:
            expected = "1 ms to 1000 hours"
            yield from duration_problems(
                block.trial, SHORTEST_TRIAL_NS, float("inf"), expected, ("protocol", i, "trial")
            )
    yield from _safety(config.safety)
    yield from duration_problems(
        config.first_frame_within, 1e6, 600e9, "1 ms to 600 s", ("first_frame_within",)
    )
    yield from _sync(config)
    if config.engine.threads < 0:
        yield ("engine", "threads"), f"expected 0 or more, got {config.engine.threads}"


def _camera(camera: CameraConfig, path: Path) -> Iterator[Problem]:
    if camera.crop is not None:
        yield from _crop(camera.crop, (*path, "crop"))
    for key in ("reconnect", "silent_after"):
        yield from duration_problems(getattr(camera, key), 0.0, 3600e9, "0 s to 1 h", (*path, key))
    if not 1 <= camera.reconnects <= MOST_REOPENINGS:
        yield (*path, "reconnects"), f"expected 1 to {MOST_REOPENINGS}, got {camera.reconnects}"


def _output(output: OutputConfig, path: Path) -> Iterator[Problem]:
    yield from _recovery(output.recovery, (*path, "recovery"))
    for camera, aim in output.aim.items():
        if aim.field is not None and len(aim.field) > MAX_CORNERS:
            expected = f"expected at most {MAX_CORNERS} corners"
            yield (*path, "aim", camera, "field"), f"{expected}, got {len(aim.field)}"


def _sync(config: RunConfig) -> Iterator[Problem]:
    frames, code = config.sync.frames, config.sync.code
    if frames is not None:
        path: Path = ("sync", "frames")
        yield from _sync_output(frames, config, path)
        yield from duration_problems(frames.pulse, 1e4, 1e9, "10 us to 1 s", (*path, "pulse"))
        if frames.every < 1:
            yield (*path, "every"), f"expected 1 or more, got {frames.every}"
        if frames.camera and frames.camera not in config.cameras:
            hint = nearest(frames.camera, config.cameras)
            yield (*path, "camera"), f"there is no camera '{frames.camera}'{hint}"
    if code is not None:
        path = ("sync", "code")
        yield from _sync_output(code, config, path)
        yield from duration_problems(code.pulse, 1e4, 20e6, "10 us to 20 ms", (*path, "pulse"))
        yield from duration_problems(code.every, SHORTEST_CODE_NS, 3600e9, "4 s to 60 min", (*path, "every"))


def _sync_output(
    signal: FramePulsesConfig | SyncCodeConfig, config: RunConfig, path: Path
) -> Iterator[Problem]:
    if signal.output not in config.outputs:
        hint = nearest(signal.output, config.outputs) or "; there are none"
        yield (*path, "output"), f"there is no output '{signal.output}'{hint}"


def _recovery(recovery: RecoveryConfig, path: Path) -> Iterator[Problem]:
    if not 0 <= recovery.attempts <= MOST_ATTEMPTS:
        yield (*path, "attempts"), f"expected 0 to {MOST_ATTEMPTS}, got {recovery.attempts}"
    yield from duration_problems(recovery.pause, 10e6, 60e9, "10 ms to 60 s", (*path, "pause"))
    if not 1 <= recovery.in_all <= MOST_REOPENINGS:
        yield (*path, "in_all"), f"expected 1 to {MOST_REOPENINGS}, got {recovery.in_all}"


def _safety(safety: SafetyConfig) -> Iterator[Problem]:
    lengths_ns = []
    for key in ("heartbeat_until", "kill_after"):
        try:
            lengths_ns.append(duration_ns(getattr(safety, key), ""))
        except UserError as error:
            yield ("safety", key), str(error).removeprefix(": ")
    # The supervisor receives the time of the last turn twice a second.
    if len(lengths_ns) == 2 and (not 100e6 <= lengths_ns[0] <= lengths_ns[1] or lengths_ns[1] < 1e9):
        yield (
            ("safety",),
            "expected 100 ms <= heartbeat_until <= kill_after and a kill_after of 1 s or more, got "
            f"{safety.heartbeat_until!r} and {safety.kill_after!r}",
        )


def _crop(crop: CropConfig, path: Path) -> Iterator[Problem]:
    if crop.width < 1 or crop.height < 1:
        yield path, f"expected a window of at least 1x1 px, got {crop.width}x{crop.height}"
    for key in ("margin_px", "seen_within_ms"):
        if not 0 <= getattr(crop, key) < float("inf"):
            yield (*path, key), f"expected 0 or more, got {getattr(crop, key)}"
    if not 0 < crop.min_seen <= 1:
        yield (*path, "min_seen"), f"expected a share above 0, up to 1, got {crop.min_seen}"


def _processors(config: RunConfig) -> Iterator[Problem]:
    for name, processor in config.processors.items():
        path: Path = ("processors", name)
        place, _, kind = processor.source.rpartition(":")
        if not place or not kind.isidentifier():
            expected = "expected FILE.py:Class or package.module:Class"
            yield (*path, "source"), f"{expected}, got {processor.source!r}"
        elif place.endswith(".py") and not os.path.isfile(place):
            yield (*path, "source"), f"there is no file {place}"
        if processor.camera and processor.camera not in config.cameras:
            hint = nearest(processor.camera, config.cameras) or "; there are none"
            yield (*path, "camera"), f"there is no camera '{processor.camera}'{hint}"
        if processor.individual < 0:
            yield (*path, "individual"), f"expected 0 or more, got {processor.individual}"


def _individuals(config: RunConfig) -> Iterator[Problem]:
    """How many animals there are, and their names."""
    names, count = config.individuals, config.individual_count
    if not 1 <= count <= MOST_INDIVIDUALS:
        yield ("individuals",), f"expected 1 to {MOST_INDIVIDUALS} animals, got {count}"
    if isinstance(names, list):
        for i, name in enumerate(names):
            if name in names[:i]:
                yield ("individuals", i), f"two animals are called {name!r}; expected each name once"
            if name in WORDS_FOR_INDIVIDUALS:
                yield ("individuals", i), f"{name!r} is a word of the rules; expected another name"
    for name, processor in config.processors.items():
        if processor.individual >= max(count, 1):
            expected = "0" if count == 1 else f"0 to {count - 1}"
            yield ("processors", name, "individual"), f"expected {expected}, got {processor.individual}"
