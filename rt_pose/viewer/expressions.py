"""Quantities and conditions of the rules' language, evaluated on poses as they come; no Qt in here.

A rule judges the prediction at the time of effect; what is traced is the estimate at the exposure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.rules.bind import bind, bind_number, is_number
from rt_pose.rules.condition import Condition, ConditionEvaluator
from rt_pose.rules.geometry import Geometry
from rt_pose.rules.unit_resolver import MetricScale
from rt_pose.rules.zones import Zone, make_zones
from rt_pose.session.individuals import names_of_individuals
from rt_pose.types import Track
from rt_pose.viewer.messages import Meta, PoseMessage
from rt_pose.viewer.placement import camera_geometry, geometry_configs

NOT_KNOWN = {"unseen": "when a keypoint was last seen", "line": "the lines of inputs"}
"""Quantities of what neither the wire nor the log of tracks holds, and what that is."""
MOST = 6
"""Expressions that are traced at once."""


@dataclass(frozen=True)
class Scope:
    """What an expression may name."""

    keypoints: list[str]
    zones: dict[str, Zone]
    geometries: dict[str, Geometry]
    metric_scale: MetricScale
    cameras: tuple[str, ...]
    individuals: int
    names: tuple[str, ...]
    """Of the individuals."""

    @classmethod
    def of(cls, meta: Meta, individuals: int) -> Scope:
        """Make what expressions about a session may name.

        Parameters
        ----------
        meta
            The session's description.
        individuals
            How many animals its poses have.

        Returns
        -------
        Scope
            The names; zones and measures that this program cannot read are left out.
        """
        zones: dict[str, Zone] = {}
        for name, config in meta.zones.items():
            try:
                zones |= make_zones({name: config}, "meta")
            except UserError:
                continue
        found = {camera: camera_geometry(meta, camera) for camera in meta.geometry}
        geometries = {camera: geometry for camera, geometry in found.items() if geometry is not None}
        scale = MetricScale.of(
            {name: config for name, config in geometry_configs(meta).items() if name in geometries},
            meta.cameras,
        )
        count = max(individuals, 1)
        who = tuple(names_of_individuals(meta.config, count))
        return cls(meta.keypoints, zones, geometries, scale, tuple(meta.cameras), count, who)


class Expression:
    """One quantity, or a condition, which is 1 where it is true of the estimate and else 0."""

    def __init__(self, text: str, scope: Scope) -> None:
        """Bind it.

        Parameters
        ----------
        text
            As written.
        scope
            What it may name.

        Raises
        ------
        UserError
            Where it is not of the rules' language, names what is not there, or what is not known here.
        """
        self.text, self._scope = text, scope
        where = f"trace `{text}`"
        for name, what in NOT_KNOWN.items():
            if re.search(rf"\b{name}\s*\(", text):
                raise UserError(f"{where}: {what}, `{name}(...)`, is known to the loop alone")
        self.is_number = is_number(text, where)
        names = (text, scope.keypoints, scope.zones, where, scope.metric_scale, scope.cameras)
        self._condition: Condition = (
            bind_number(*names, individuals=scope.names)
            if self.is_number
            else bind(*names, individuals=scope.names)
        )
        self._evaluators: dict[tuple[str, int], ConditionEvaluator] = {}

    @property
    def unit(self) -> str:
        """Of its values; empty for a plain number."""
        return self._condition.unit if self.is_number else ""

    @property
    def camera(self) -> str:
        """The camera that it names; empty for none."""
        return self._condition.camera

    @property
    def has_memory(self) -> bool:
        """Whether its value depends on the frames before."""
        return bool(self._condition.memories)

    def evaluate(self, camera: str, pose: PoseMessage, track: Track) -> NDArray[np.float32]:
        """Compute its value for each individual; what it keeps from frame to frame goes on.

        Parameters
        ----------
        camera
            Name of the camera.
        pose
            A pose; poses of a camera come in the order of their times.
        track
            The same as the rules take it; see `track_of`.

        Returns
        -------
        NDArray[np.float32]
            (N,); NaN where a keypoint that it needs is lost, or where it is about something else.
        """
        condition, count = self._condition, len(track.lost)
        values = np.full(count, np.nan, np.float32)
        if condition.camera not in ("", camera):
            return values
        confidence = None if pose.confidence is None else pose.confidence.astype(np.float64)
        wanted = range(count) if condition.individual is None else (condition.individual,)
        for who in wanted:
            if who >= count or condition.is_lost(track.lost, who):
                continue
            evaluator = self._evaluators.get((camera, who))
            if evaluator is None:
                evaluator = condition.evaluator(who, self._scope.geometries.get(camera))
                self._evaluators[camera, who] = evaluator
            if evaluator.has_memory:
                evaluator.observe(track, confidence)
            evaluator.set_track(track, confidence)
            values[who] = evaluator.value() if self.is_number else float(evaluator.holds())
        return values


class Expressions:
    """The expressions that are traced."""

    def __init__(self, texts: Sequence[str], scope: Scope) -> None:
        """Bind them.

        Parameters
        ----------
        texts
            As written.
        scope
            What they may name.

        Raises
        ------
        UserError
            Where one cannot be traced, or there are too many.
        """
        if len(texts) > MOST:
            raise UserError(f"traces: expected at most {MOST} expressions, got {len(texts)}")
        self.scope = scope
        self.members = [Expression(text, scope) for text in texts]

    def evaluate(self, camera: str, pose: PoseMessage) -> list[NDArray[np.float32]]:
        """Compute the values of all of them.

        Parameters
        ----------
        camera
            Name of the camera.
        pose
            A pose; those of a camera come in the order of their times.

        Returns
        -------
        list[NDArray[np.float32]]
            (N,) each.
        """
        if pose.lost.shape[1] != len(self.scope.keypoints):
            return [np.full(len(pose.lost), np.nan, np.float32) for _ in self.members]
        track = track_of(camera, pose)
        return [member.evaluate(camera, pose, track) for member in self.members]


def track_of(camera: str, pose: PoseMessage) -> Track:
    """Make a track, as rules take it, of a pose.

    Parameters
    ----------
    camera
        Name of the camera.
    pose
        The pose.

    Returns
    -------
    Track
        What is not lost counts as seen; covariances of velocities are not known and 0.
    """
    n, k = pose.lost.shape
    cov = np.zeros((n, k, 4, 4))
    cov[..., 0, 0], cov[..., 1, 1] = pose.cov[..., 0], pose.cov[..., 2]
    cov[..., 0, 1] = cov[..., 1, 0] = pose.cov[..., 1]
    header = pose.header
    times = (header.t_valid_ns, header.t_exposure_ns, header.t_pub_ns)
    return Track(
        camera,
        header.frame,
        next(t for t in times if t is not None),
        pose.xy.astype(np.float64),
        pose.velocity.astype(np.float64),
        cov,
        np.where(pose.lost, np.nan, 0.0),
        pose.lost,
    )


def split_expressions(text: str) -> list[str]:
    """Split what a user has written into expressions.

    Parameters
    ----------
    text
        Expressions with semicolons between them.

    Returns
    -------
    list[str]
        The expressions, none of them empty, each once.
    """
    return list(dict.fromkeys(part.strip() for part in text.split(";") if part.strip()))


def default_expression(keypoint: str) -> str:
    """Write the expression that is traced where nobody has chosen one.

    Parameters
    ----------
    keypoint
        Name of a keypoint.

    Returns
    -------
    str
        Its speed.
    """
    return f"speed({quoted(keypoint)})"


def quoted(name: str) -> str:
    """Write a name as the rules' language takes it.

    Parameters
    ----------
    name
        Name of a keypoint or zone.

    Returns
    -------
    str
        In quotes where it holds anything but letters, digits, `_` and `-`, or does not begin with a letter.
    """
    return name if re.fullmatch(r"[A-Za-z_][\w-]*", name) else f"'{name}'"
