"""Keypoints and centroids that a condition names, each bound to a slot of the samples.

A condition about one individual holds its keypoints by their numbers in the model. One that names several
holds those of individual i of N as i * K + k, as if all together were one animal of N * K keypoints.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from rt_pose.config.check import WORDS_FOR_INDIVIDUALS
from rt_pose.errors import UserError, nearest
from rt_pose.rules.keypoint_name import CENTROID, KeypointName, individual_names, read_name
from rt_pose.rules.samples import Slot
from rt_pose.rules.tree import Call, Name, Node, names_in

OTHER = "other"
"""In place of an individual: another one than the one that is judged."""


class KeypointSlots:
    """Binds the names of one condition, and gathers which camera and individual they are of."""

    def __init__(
        self,
        error: Callable[[int, str], UserError],
        keypoints: list[str],
        cameras: Sequence[str],
        individuals: int | Sequence[str],
        refuses_twofold: bool = True,
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
            How many are tracked, or their names.
        refuses_twofold
            Whether a name that may be meant as a keypoint and as a zone is an error; else it is the keypoint.
        """
        self._error, self._keypoints, self._cameras = error, keypoints, cameras
        self._refuses_twofold = refuses_twofold
        self._individuals = individual_names(individuals)
        self.slots: list[Slot] = []
        """The keypoints and centroids, each in px or in mm."""
        self.camera = ""
        """The camera that they name; empty for none."""
        self.individual: int | None = None
        """The individual that they name, the first of several; None for none."""
        self.named: tuple[int, ...] = ()
        """All that they name."""
        self.word = ""
        """`any` or `each`, where that stands in place of an individual."""
        self.pair = False
        """Whether they name another one than that (`other`): then its keypoints follow those of the first."""
        self.without = ""
        """The first keypoint that is named without an individual."""
        self.joint = False
        """Whether they name several individuals, or a pair."""

    def take_individuals(self, tree: Node) -> None:
        """Find out which individuals a condition names, before anything of it is bound.

        Parameters
        ----------
        tree
            The condition.

        Raises
        ------
        UserError
            Where those that it names do not go together.
        """
        named: dict[int, None] = {}
        words: dict[str, int] = {}
        for node in names_in(tree):
            name = read_name(node.text, self._keypoints, self._individuals)
            if name.keypoint not in (*self._keypoints, CENTROID):
                continue
            if name.individual in self._individuals:
                named[self._individuals.index(name.individual)] = None
            elif name.individual in WORDS_FOR_INDIVIDUALS:
                words.setdefault(name.individual, node.place)
        self.named = tuple(named)
        self.individual = self.named[0] if named else None
        self.pair = words.pop(OTHER, None) is not None
        self.word = next(iter(words), "")
        self.joint = len(named) > 1 or self.pair
        self._check_words(words)

    def _check_words(self, words: dict[str, int]) -> None:
        """Refuse words for individuals that contradict each other, or one that is named."""
        names = [*words, *(self._individuals[who] for who in self.named)]
        if words and len(names) > 1:
            both = " and ".join(f"'{name}'" for name in names[:2])
            raise self._error(
                next(iter(words.values())),
                f"{both} in one condition; expected one of them, or between two e.g. {self._example()}",
            )
        if self.pair and (not self.word or len(self._individuals) == 1):
            why = "there is one individual" if len(self._individuals) == 1 else "than which one?"
            raise self._error(0, f"'other': {why}; write it beside any or each, e.g. {self._example()}")

    def _example(self) -> str:
        """A quantity between two individuals."""
        keypoint = self._keypoints[0] if self._keypoints else "nose"
        return f"distance(any.{keypoint}, other.{keypoint})"

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
            members = [self._member(part) for part in node.arguments]
            for part, member in zip(node.arguments, members, strict=True):
                if members.count(member) > 1:
                    name = self._keypoints[member % len(self._keypoints)]
                    raise self._error(part.place, f"the centroid has '{name}' twice; expected each once")
            return self._slot(members, metric), _centroid(node)
        if not isinstance(node, Name):
            return None
        read = self._read(node)
        if read.keypoint in self._keypoints:
            if self._refuses_twofold and node.text in zones:
                raise self._error(
                    node.place, f"'{node.text}' is a keypoint of the model and a zone: rename the zone"
                )
            return self._slot([self._number(node, read)], metric), node.text
        if read.keypoint == CENTROID and CENTROID not in zones:
            first = self._offset(node, read)
            every = range(first, first + len(self._keypoints))
            return self._slot(every, metric), f"the {node.text} of all keypoints"
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

    def _slot(self, keypoints: Sequence[int], metric: bool) -> int:
        first, *others = sorted(keypoints)
        slot = Slot(first, metric, tuple(others))
        if slot not in self.slots:
            self.slots.append(slot)
        return self.slots.index(slot)

    def _number(self, node: Name, name: KeypointName) -> int:
        """A keypoint's number, among those of all individuals where the condition names several."""
        return self._offset(node, name) + self._keypoints.index(name.keypoint)

    def _offset(self, node: Name, name: KeypointName) -> int:
        """The number of the first keypoint of its individual."""
        if not name.individual:
            self.without = self.without or name.keypoint
        if not self.joint:
            return 0
        if not name.individual:
            whose = self.word or self._individuals[self.individual or 0]
            raise self._error(
                node.place,
                f"whose {name.keypoint}? The condition names several individuals; write e.g. "
                f"{whose}.{name.keypoint}",
            )
        if self.pair:
            return len(self._keypoints) if name.individual == OTHER else 0
        return self._individuals.index(name.individual) * len(self._keypoints)

    def _member(self, node: Node) -> int:
        """A keypoint of a centroid."""
        if not isinstance(node, Name):
            raise self._error(node.place, "expected a keypoint of the centroid, got a number or condition")
        name = self._read(node)
        if name.keypoint not in self._keypoints:
            raise self.unknown("keypoint", node, self._keypoints)
        return self._number(node, name)

    def _read(self, node: Name) -> KeypointName:
        """The parts of `individual.keypoint@camera`, individual and camera checked and taken in."""
        name = read_name(node.text, self._keypoints, self._individuals)
        if name.camera:
            self._set_camera(node, name.camera)
        if name.individual and name.individual not in (*self._individuals, *WORDS_FOR_INDIVIDUALS):
            there_is = " and ".join(self._individuals)
            raise self._error(node.place, f"there is no individual '{name.individual}'; there is {there_is}")
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


def _centroid(call: Call) -> str:
    """A centroid in words."""
    *first, last = [part.text for part in call.arguments if isinstance(part, Name)]
    return f"the centroid of {', '.join(first)} and {last}" if first else last
