"""`rt-pose rules check`: every rule read, bound and explained, and its zones drawn on a frame."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from rt_pose.clock import NS_PER_MS, HostClock
from rt_pose.config.check import check_run
from rt_pose.config.schema import EngineConfig, RunConfig
from rt_pose.decisions.explain import explain, explain_protocol, explain_views, seed_warnings
from rt_pose.decisions.lines import meetings
from rt_pose.decisions.protocol import make_protocol
from rt_pose.decisions.rig import Rig
from rt_pose.decisions.rule import Rule, make_rules
from rt_pose.errors import UserError
from rt_pose.image_file import read_image
from rt_pose.package import GOLDEN_CONFIDENCE, Package, read_package
from rt_pose.rules.draw import RulesPicture, draw
from rt_pose.rules.keypoint_name import CENTROID, individual_names, read_name
from rt_pose.rules.parse import parse
from rt_pose.rules.quantities import find_quantity
from rt_pose.rules.tree import And, Call, Chain, Compare, Name, Negative, Node, Not, Or
from rt_pose.rules.weighted_point import point_names
from rt_pose.rules.zones import Zone
from rt_pose.types import Individuals, Track, Track3D
from rt_pose.video import read_frames

COST_RUNS = 30
"""Evaluations of which the median is told."""
BLANK_PX = 60
"""Margin around zones where there is no frame to draw them on."""


def check(
    config: RunConfig, model: str = "", video: str = "", image: str = "", out: str = "", details: bool = False
) -> list[str]:
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
    details
        Whether to say also where actions may meet on a line, and how long a decision about each rule takes.

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
    rig = Rig.of(config, keypoints)
    make_protocol(config)
    lines = [explain(rule, config) for rule in rules] or ["the configuration has no rules"]
    if details:
        lines += meetings(rules, config.outputs)
        lines += [_cost(rule, rig, len(keypoints), config.individual_count) for rule in rules]
    lines += [*explain_views(config), *explain_protocol(config), *seed_warnings(config)]
    if package is None and rules:
        names = ", ".join(keypoints)
        lines.append(f"No model was given (--model), so names of keypoints are as written: {names}.")
    if out:
        _write(Path(out), _picture(config, package, rig, rules, video, image))
        if rig.spatial_zones:
            names = ", ".join(rig.spatial_zones)
            lines.append(f"Zones in space are in no camera's picture, and not drawn: {names}.")
        lines.append(f"picture: {out}")
    return lines


def _cost(rule: Rule, rig: Rig, keypoints: int, individuals: int) -> str:
    """How long one decision about a rule takes, on a track in the middle of what it looks at."""
    clock = HostClock()
    geometry = None if rule.views else next(iter(rig.geometries.values()), None)
    judged = [rule.individual] if isinstance(rule.individual, int) else range(individuals)
    others = range(individuals - 1 if rule.pair else 1)  # as many as are evaluated for each
    evaluators = [rule.condition.evaluator(who, geometry) for who in judged for _ in others]
    track = (
        _track_in_space(rig, keypoints, individuals)
        if rule.views
        else _track_in_frame(rig, keypoints, individuals)
    )
    times_ns = []
    for _ in range(COST_RUNS):
        begin_ns = clock.now_ns()
        for evaluator in evaluators:
            evaluator.set_track(track)
            evaluator.holds() if rule.config.probability is None else evaluator.probability()
        times_ns.append(clock.now_ns() - begin_ns)
    return f"{rule.name} takes {np.median(times_ns) / NS_PER_MS:.2f} ms a decision here."


def _track_in_frame(rig: Rig, keypoints: int, individuals: int) -> Track:
    """A track in the middle of the zones of the frame."""
    shape = individuals, keypoints
    places = [place for zone in rig.zones.values() for place in zone.outline()] or [(160.0, 120.0)]
    xy = np.broadcast_to(np.mean(places, axis=0), (*shape, 2)).copy()
    cov = np.broadcast_to(np.diag([25.0, 25.0, 1e4, 1e4]), (*shape, 4, 4)).copy()
    return Track("", 0, 0, xy, np.full_like(xy, 10.0), cov, np.zeros(shape), np.zeros(shape, bool))


def _track_in_space(rig: Rig, keypoints: int, individuals: int) -> Track3D:
    """A track in the middle of the zones in space."""
    shape = (keypoints,) if individuals == 1 else (individuals, keypoints)
    places = [zone.centre for zone in rig.spatial_zones.values()] or [(0.0, 0.0, 0.0)]
    xyz = np.broadcast_to(np.mean(places, axis=0), (*shape, 3)).copy()
    cov = np.broadcast_to(np.diag([4.0, 4.0, 4.0, 1e4, 1e4, 1e4]), (*shape, 6, 6)).copy()
    velocity, unseen, lost = np.full_like(xyz, 10.0), np.zeros(shape), np.zeros(shape, bool)
    if individuals == 1:
        return Track3D(0, xyz, velocity, cov, unseen, lost)
    who = np.arange(individuals)
    there = Individuals(who >= 0, np.ones(individuals), who, np.ones(shape), who < 0)
    return Track3D(0, xyz, velocity, cov, unseen, lost, individuals=there)


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
    individuals = individual_names(config.individuals)
    for rule in config.rules:
        for text in (rule.when, rule.release):
            if isinstance(text, str):
                names |= dict.fromkeys(_names(parse(text, f"rule '{rule.name}'"), individuals))
        if rule.do.aim is not None:
            aimed = point_names(rule.do.aim.keypoint, f"rule '{rule.name}': do.aim.keypoint")
            names |= dict.fromkeys(aimed)
    found = [name for name in names if name not in config.zones]
    return [name for name in found if name != CENTROID] or found  # it is that of the others


def _names(node: Node, individuals: Collection[str]) -> Iterator[str]:
    match node:
        case Call(name, arguments):
            quantity = find_quantity(name)
            kinds = quantity.arguments if quantity else ("keypoint",) * len(arguments)
            for kind, argument in zip(kinds, arguments, strict=False):
                if isinstance(argument, Name):
                    if kind in ("keypoint", "place"):
                        yield read_name(argument.text, (), individuals).keypoint
                else:
                    yield from _names(argument, individuals)
        case Chain(parts) | Compare(parts) | And(parts) | Or(parts):
            for part in parts:
                yield from _names(part, individuals)
        case Negative(inner) | Not(inner):
            yield from _names(inner, individuals)


def _picture(
    config: RunConfig,
    package: Package | None,
    rig: Rig,
    rules: list[Rule],
    video: str,
    image: str,
) -> NDArray[np.uint8]:
    frame = _frame(package, video, image)
    found = {} if frame is None or package is None else _estimate(package, frame, config.individual_count)
    if frame is None:
        frame = _blank(rig)
    geometry = next(iter(rig.geometries.values()), None)
    caption = [explain(rule, config) for rule in rules]
    fields = _fields(rules)
    return draw(frame, RulesPicture({**rig.zones, **fields}, geometry, found, caption))


def _fields(rules: list[Rule]) -> dict[str, Zone]:
    """The regions outside which no light is aimed, by names for the picture."""
    return {
        f"field of {rule.output}": calibration.field
        for rule in rules
        if rule.aim is not None
        for calibration in rule.aim.calibrations.values()
        if calibration.field is not None
    }


def _frame(package: Package | None, video: str, image: str) -> NDArray[np.uint8] | None:
    channels: Literal[1, 3] = 1 if package and package.manifest.input.channels == 1 else 3
    if video:
        for frame in read_frames(Path(video), channels):
            return frame.image.copy()
        raise UserError(f"{video}: has no frame to draw on")
    if not image:
        return None
    read = read_image(image, channels)
    if read is None:
        raise UserError(f"{image}: cannot be read as a picture; give --image a PNG or JPEG")
    return read


def _estimate(package: Package, frame: NDArray[np.uint8], individuals: int) -> dict[str, tuple[float, float]]:
    """Positions (px) of the confident keypoints by name; others would look like faults in the picture."""
    from rt_pose.inference.choose_engine import choose_engine

    detections = individuals if package.manifest.individuals > 1 else 0
    found = choose_engine(package, EngineConfig(), detections).estimator.estimate(frame)
    names = package.manifest.keypoints
    xy, confidence = found.xy.reshape(-1, len(names), 2), found.confidence.reshape(-1, len(names))
    return {
        f"{name} {row + 1}" if len(xy) > 1 else name: (float(xy[row, k, 0]), float(xy[row, k, 1]))
        for row in range(len(xy))
        for k, name in enumerate(names)
        if confidence[row, k] >= GOLDEN_CONFIDENCE
    }


def _blank(rig: Rig) -> NDArray[np.uint8]:
    """A grey frame, large enough for all zones."""
    geometry = next(iter(rig.geometries.values()), None)
    places = [
        geometry.to_px(*place) if zone.metric and geometry is not None else place
        for zone in rig.zones.values()
        for place in zone.outline()
    ]
    seen = [place for place in places if np.isfinite(place).all()]
    width, height = np.max([(320.0, 240.0), *seen], axis=0) + BLANK_PX
    return np.full((int(height), int(width), 1), 60, np.uint8)


def _write(path: Path, picture: NDArray[np.uint8]) -> None:
    if path.suffix.lower() != ".png":
        raise UserError(f"{path}: expected the name of a PNG, e.g. --out rules.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(path), picture):
        raise UserError(f"{path}: cannot be written; choose another --out")
