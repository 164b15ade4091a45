"""`rt-pose rules check`: every rule read, bound and explained, and its zones drawn on a frame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rt_pose.config.check import check_run
from rt_pose.config.schema import EngineConfig, RunConfig
from rt_pose.decisions.explain import explain
from rt_pose.decisions.protocol import make_protocol
from rt_pose.decisions.rule import Rig, Rule, make_rules
from rt_pose.errors import UserError
from rt_pose.package import GOLDEN_CONFIDENCE, Package, read_package
from rt_pose.rules.draw import RulesPicture, draw
from rt_pose.rules.parse import parse
from rt_pose.rules.quantities import find_quantity
from rt_pose.rules.tree import And, Call, Chain, Compare, Name, Negative, Node, Not, Or
from rt_pose.video import read_frames

BLANK_PX = 60
"""Margin around zones where there is no frame to draw them on."""


def check(config: RunConfig, model: str = "", video: str = "", image: str = "", out: str = "") -> list[str]:
    """Explain the rules of a configuration, one sentence each.

    Parameters
    ----------
    config
        The run's configuration.
    model
        Path of a model package, for the keypoints' names; empty for that of the configuration.
    video
        A video whose first frame the zones are drawn on.
    image
        A picture that they are drawn on instead.
    out
        The PNG to write; empty for none.

    Returns
    -------
    list[str]
        Lines for the terminal.

    Raises
    ------
    UserError
        Where a rule, zone or geometry is not valid, or a file cannot be read or written.
    """
    check_run(config)
    package = read_package(model or config.model) if model or config.model else None
    keypoints = package.manifest.keypoints if package else named_keypoints(config)
    rules = make_rules(config, keypoints, dict.fromkeys(config.outputs, 0.0))
    make_protocol(config)
    lines = [explain(rule, config) for rule in rules] or ["the configuration has no rules"]
    if package is None and rules:
        names = ", ".join(keypoints)
        lines.append(f"No model was given (--model), so names of keypoints are as written: {names}.")
    if out:
        _write(Path(out), _picture(config, package, keypoints, rules, video, image))
        lines.append(f"picture: {out}")
    return lines


def named_keypoints(config: RunConfig) -> list[str]:
    """List the names in the rules that can only be keypoints.

    Parameters
    ----------
    config
        The run's configuration.

    Returns
    -------
    list[str]
        The names, in the order of their first use.
    """
    names: dict[str, None] = {}
    for rule in config.rules:
        for text in (rule.when, rule.release):
            if isinstance(text, str):
                names |= dict.fromkeys(_names(parse(text, f"rule '{rule.name}'")))
    return [name for name in names if name not in config.zones]


def _names(node: Node) -> Iterator[str]:
    match node:
        case Call(name, arguments):
            quantity = find_quantity(name)
            kinds = quantity.arguments if quantity else ("keypoint",) * len(arguments)
            for kind, argument in zip(kinds, arguments, strict=False):
                if isinstance(argument, Name):
                    if kind in ("keypoint", "place"):
                        yield argument.text
                else:
                    yield from _names(argument)
        case Chain(parts) | Compare(parts) | And(parts) | Or(parts):
            for part in parts:
                yield from _names(part)
        case Negative(inner) | Not(inner):
            yield from _names(inner)


def _picture(
    config: RunConfig,
    package: Package | None,
    keypoints: list[str],
    rules: list[Rule],
    video: str,
    image: str,
) -> NDArray[np.uint8]:
    rig = Rig.of(config, keypoints)
    frame = _frame(package, video, image)
    found = {} if frame is None or package is None else _estimate(package, frame)
    if frame is None:
        frame = _blank(rig)
    geometry = next(iter(rig.geometries.values()), None)
    caption = [explain(rule, config) for rule in rules]
    return draw(frame, RulesPicture(rig.zones, geometry, found, caption))


def _frame(package: Package | None, video: str, image: str) -> NDArray[np.uint8] | None:
    channels = package.manifest.input.channels if package else 3
    if video:
        for frame in read_frames(Path(video), channels):
            return frame.image.copy()
        raise UserError(f"{video}: has no frame to draw on")
    if not image:
        return None
    read = cv2.imread(image, cv2.IMREAD_GRAYSCALE if channels == 1 else cv2.IMREAD_COLOR)
    if read is None:
        raise UserError(f"{image}: cannot be read as a picture; give --image a PNG or JPEG")
    return read[..., None] if channels == 1 else cv2.cvtColor(read, cv2.COLOR_BGR2RGB)


def _estimate(package: Package, frame: NDArray[np.uint8]) -> dict[str, tuple[float, float]]:
    """Positions (px) of the confident keypoints by name; others would look like faults in the picture."""
    from rt_pose.inference.choose_engine import choose_engine

    found = choose_engine(package, EngineConfig()).estimator.estimate(frame)
    xy, confidence = np.asarray(found.xy)[0], np.asarray(found.confidence)[0]
    return {
        name: (float(x), float(y))
        for name, (x, y), confident in zip(package.manifest.keypoints, xy, confidence, strict=True)
        if confident >= GOLDEN_CONFIDENCE
    }


def _blank(rig: Rig) -> NDArray[np.uint8]:
    """A grey frame, large enough for all zones."""
    geometry = next(iter(rig.geometries.values()), None)
    places = [
        geometry.to_px(*place) if zone.metric and geometry is not None else place
        for zone in rig.zones.values()
        for place in zone.outline()
    ]
    width, height = np.max([(320.0, 240.0), *places], axis=0) + BLANK_PX
    return np.full((int(height), int(width), 1), 60, np.uint8)


def _write(path: Path, picture: NDArray[np.uint8]) -> None:
    if path.suffix.lower() != ".png":
        raise UserError(f"{path}: expected the name of a PNG, e.g. --out rules.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), picture):
        raise UserError(f"{path}: cannot be written; choose another --out")
