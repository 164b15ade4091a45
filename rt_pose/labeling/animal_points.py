"""The points that are labeled in a frame: the keypoints of each animal in turn, then body parts of none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from rt_pose.config.check import WORDS_FOR_INDIVIDUALS
from rt_pose.errors import UserError
from rt_pose.offline.prediction_files import NO_ANIMAL
from train.data.animals import MOST_ANIMALS

Bone = tuple[int, int]


@dataclass(frozen=True)
class PointGroup:
    """The points of one animal, or those of none."""

    name: str
    """Of the animal; `NO_ANIMAL` for body parts of none; empty where labels are of one animal."""
    parts: list[str]
    """Names of its keypoints."""
    points: range
    """Their places among the points of a frame."""

    @property
    def is_animal(self) -> bool:
        """Whether it is an animal."""
        return self.name != NO_ANIMAL


@dataclass(frozen=True)
class AnimalPoints:
    """Names of the P points of a frame: of K keypoints of N animals, and of body parts of none."""

    keypoints: list[str]
    animals: list[str] = field(default_factory=list)
    """Names of the N animals; empty for one without a name."""
    unique: list[str] = field(default_factory=list)
    """Body parts of no animal, such as corners of a cage."""

    @cached_property
    def groups(self) -> list[PointGroup]:
        """The animals, and last the body parts of none, where there are any."""
        owners = [(animal, self.keypoints) for animal in self.animals or [""]]
        owners += [(NO_ANIMAL, self.unique)] if self.unique else []
        groups, first = [], 0
        for name, parts in owners:
            groups.append(PointGroup(name, parts, range(first, first + len(parts))))
            first += len(parts)
        return groups

    @property
    def several(self) -> bool:
        """Whether a keypoint alone does not say which point is meant."""
        return len(self.groups) > 1

    @cached_property
    def names(self) -> list[str]:
        """Names of the P points: of the keypoint; of several animals `animal.keypoint`."""
        return [self.name(group.name, part) for group in self.groups for part in group.parts]

    @cached_property
    def owners(self) -> list[int]:
        """Of each point the number of its group."""
        return [i for i, group in enumerate(self.groups) for _ in group.points]

    def name(self, animal: str, keypoint: str) -> str:
        """Name a point.

        Parameters
        ----------
        animal
            Its animal.
        keypoint
            Its keypoint, which need not be one of these.

        Returns
        -------
        str
            The name.
        """
        return point_name(animal if self.several else "", keypoint)

    def names_of(self, keypoints: Sequence[str]) -> list[str]:
        """Name some keypoints of each animal in turn.

        Parameters
        ----------
        keypoints
            Their names.

        Returns
        -------
        list of str
            Names of points, all of the first animal first.
        """
        return [self.name(group.name, k) for group in self.groups if group.is_animal for k in keypoints]

    def bones(self, skeleton: Sequence[Sequence[str]]) -> list[list[Bone]]:
        """List the bones of each group.

        Parameters
        ----------
        skeleton
            Pairs of keypoints.

        Returns
        -------
        list of list of (int, int)
            Of each group pairs of its points.
        """
        return [
            [(group.points[group.parts.index(a)], group.points[group.parts.index(b)]) for a, b in own]
            for group in self.groups
            for own in [[bone for bone in skeleton if set(bone) <= set(group.parts)]]
        ]

    def order_after(self, point: int) -> list[int]:
        """List all points as they follow one.

        Parameters
        ----------
        point
            The one, which comes last of its own animal; -1 begins with the first.

        Returns
        -------
        list of int
            The others of its animal round about, then the animals that follow, round about.
        """
        here = self.owners[max(point, 0)]
        own, place = self.groups[here].points, max(point + 1, 0) - self.groups[here].points.start
        others = [*self.groups[here + 1 :], *self.groups[:here]]
        return [*own[place:], *own[:place], *(k for group in others for k in group.points)]


def point_name(animal: str, keypoint: str) -> str:
    """Name a keypoint of an animal.

    Parameters
    ----------
    animal
        Name of the animal; empty where there is one.
    keypoint
        Name of the keypoint.

    Returns
    -------
    str
        `animal.keypoint`, as evaluations and rules write it.
    """
    return f"{animal}.{keypoint}" if animal else keypoint


def check_points(points: AnimalPoints, option: str) -> None:
    """Check names of animals.

    Parameters
    ----------
    points
        The animals with their keypoints.
    option
        What messages call the animals.

    Raises
    ------
    UserError
        Where a name is there twice or cannot be written, or there are too many.
    """
    animals = points.animals
    if len(animals) > MOST_ANIMALS:
        raise UserError(f"{option}: expected at most {MOST_ANIMALS} animals, got {len(animals)}")
    twice = sorted({name for name in animals if animals.count(name) > 1})
    if twice:
        raise UserError(f"{option}: '{twice[0]}' is there twice; give every animal a name of its own")
    for name in animals:
        if not name.strip() or name != name.strip() or not name.isprintable():
            raise UserError(f"{option}: {name!r} is no name; write letters, digits and underscores")
        if name == NO_ANIMAL or name in WORDS_FOR_INDIVIDUALS:
            raise UserError(f"{option}: '{name}' has a meaning of its own; give the animal another name")
    check_distinct(points, option)


def check_distinct(points: AnimalPoints, where: str) -> None:
    """Check that no name of a point means two.

    Parameters
    ----------
    points
        The animals with their keypoints.
    where
        The beginning of messages.

    Raises
    ------
    UserError
        Where one does.
    """
    same = sorted({name for name in points.names if points.names.count(name) > 1})
    if same:
        raise UserError(
            f"{where}: '{same[0]}' may be read as two keypoints; give the animals names without a dot"
        )
