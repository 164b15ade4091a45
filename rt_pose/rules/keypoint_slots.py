"""Keypoints and centroids that a condition names, each bound to a slot of the samples."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from rt_pose.errors import UserError, nearest
from rt_pose.rules.keypoint_name import CENTROID, KeypointName, individual_names, read_name
from rt_pose.rules.samples import Slot
from rt_pose.rules.tree import Call, Name, Node


class KeypointSlots:
    """Binds the names of one condition, and gathers which camera and individual they are of."""

    def __init__(
        self,
        error: Callable[[int, str], UserError],
        keypoints: list[str],
        cameras: Sequence[str],
        individuals: int,
    ) -> None:
        """Begin with nothing named.

        Parameters
        ----------
        error
            Makes an error of a place in the condition and a message.
        keypoints
            Names of the model's keypoints, in their order.
        cameras
            Names of the run's cameras; empty where any name will do.
        individuals
            How many the model tracks.
        """
        self._error, self._keypoints, self._cameras = error, keypoints, cameras
        self._individuals = individual_names(individuals)
        self.slots: list[Slot] = []
        """The keypoints and centroids, each in px or in mm."""
        self.camera = ""
        """The camera that they name; empty for none."""
        self.individual: int | None = None
        """The individual that they name; None for none."""

    def bind(self, node: Node, metric: bool, zones: Collection[str]) -> tuple[int, str] | None:
        """Bind what stands for one place.

        Parameters
        ----------
        node
            An argument.
        metric
            Whether lengths are in mm.
        zones
            Names that could be meant as well; only the plain word `centroid` stands back behind them.

        Returns
        -------
        tuple[int, str] or None
            Its slot, and what it is in words; None where it is neither a keypoint nor a centroid.

        Raises
        ------
        UserError
            Where a camera, an individual or a keypoint of a centroid does not exist, or does not go with the
            others of the condition.
        """
        if isinstance(node, Call) and node.name == CENTROID:
            names = [self._member(part) for part in node.arguments]
            for part, member in zip(node.arguments, names, strict=True):
                if names.count(member) > 1:
                    raise self._error(part.place, f"the centroid has '{member}' twice; expected each once")
            return self._slot(names, metric), _centroid(node)
        if not isinstance(node, Name):
            return None
        read = self._read(node)
        if read.keypoint in self._keypoints:
            return self._slot([read.keypoint], metric), node.text
        if read.keypoint == CENTROID and CENTROID not in zones:
            return self._slot(self._keypoints, metric), f"the {node.text} of all keypoints"
        return None

    def unknown(self, kind: str, node: Name, valid: Sequence[str]) -> UserError:
        """Make the error of a name that does not exist.

        Parameters
        ----------
        kind
            What it should be.
        node
            The name.
        valid
            The names that exist.

        Returns
        -------
        UserError
            The error, to be raised.
        """
        hint = nearest(node.text, valid) if valid else f"; the configuration has no {kind}s"
        return self._error(node.place, f"unknown {kind} '{node.text}'{hint}")

    def _slot(self, keypoints: Sequence[str], metric: bool) -> int:
        first, *others = sorted(self._keypoints.index(name) for name in keypoints)
        slot = Slot(first, metric, tuple(others))
        if slot not in self.slots:
            self.slots.append(slot)
        return self.slots.index(slot)

    def _member(self, node: Node) -> str:
        """A keypoint of a centroid."""
        if not isinstance(node, Name):
            raise self._error(node.place, "expected a keypoint of the centroid, got a number or condition")
        name = self._read(node)
        if name.keypoint not in self._keypoints:
            raise self.unknown("keypoint", node, self._keypoints)
        return name.keypoint

    def _read(self, node: Name) -> KeypointName:
        """The parts of `individual.keypoint@camera`, individual and camera checked and taken in."""
        name = read_name(node.text, self._keypoints, self._individuals)
        if name.camera:
            self._set_camera(node, name.camera)
        if name.individual:
            self._set_individual(node, name.individual)
        return name

    def _set_camera(self, node: Name, camera: str) -> None:
        if self._cameras and camera not in self._cameras:
            hint = nearest(camera, self._cameras)
            raise self._error(node.place, f"there is no camera '{camera}'{hint}")
        if self.camera not in ("", camera):
            raise self._error(
                node.place, f"the condition looks at '{self.camera}' already; expected one camera a rule"
            )
        self.camera = camera

    def _set_individual(self, node: Name, individual: str) -> None:
        if individual not in self._individuals:
            there_is = " and ".join(self._individuals)
            raise self._error(node.place, f"there is no individual '{individual}'; there is {there_is}")
        number = self._individuals.index(individual)
        if self.individual not in (None, number):
            raise self._error(
                node.place,
                f"the condition looks at individual{self.individual} already; expected one individual a rule",
            )
        self.individual = number


def _centroid(call: Call) -> str:
    """A centroid in words."""
    *first, last = [part.text for part in call.arguments if isinstance(part, Name)]
    return f"the centroid of {', '.join(first)} and {last}" if first else last
