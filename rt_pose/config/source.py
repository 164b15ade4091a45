"""Plain values of a configuration, and where each of them was written."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rt_pose.errors import UserError

Path = tuple[str | int, ...]
"""Keys and indices from the configuration's root to a value."""


class Place(NamedTuple):
    """Where something was written: a line of a file, or an option (line 0)."""

    name: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.name}:{self.line}" if self.line else self.name

    @property
    def is_option(self) -> bool:
        """Whether it was given on the command line."""
        return self.name.startswith("--")


@dataclass
class Source:
    """What a user wrote, as plain values with their places, and what is wrong with it."""

    plain: dict[str, Any]
    where: str
    """The file, or what stands for it in messages."""
    by_options: bool = False
    """No file was given: keys are options of the command line."""
    places: dict[Path, Place] = field(default_factory=dict)
    problems: list[tuple[Place, str]] = field(default_factory=list)

    def place(self, path: Path) -> Place:
        """Get the place of a value; where it is not known, that of what holds it.

        Parameters
        ----------
        path
            Path of the value.

        Returns
        -------
        Place
            The configuration itself where no place is known.
        """
        for end in range(len(path), 0, -1):
            if path[:end] in self.places:
                return self.places[path[:end]]
        return Place(self.where)

    def report(self, path: Path, message: str) -> None:
        """Note a problem.

        Parameters
        ----------
        path
            Path of the value.
        message
            What was expected and what came.
        """
        place, name = self.place(path), path_text(path)
        named = "" if name in ("", place.name.removeprefix("--")) else f"{name}: "
        self.problems.append((place, f"{place}: {named}{message}"))

    def check(self) -> None:
        """Raise what was reported.

        Raises
        ------
        UserError
            With every problem, in the order of the file's lines.
        """
        if self.problems:
            ordered = sorted(self.problems, key=lambda p: (p[0].is_option, p[0].line))
            raise UserError("\n".join(text for _, text in ordered))


def path_text(path: Path) -> str:
    """Write a path as a user reads it.

    Parameters
    ----------
    path
        E.g. ("rules", 0, "hold").

    Returns
    -------
    str
        E.g. `rules[0].hold`.
    """
    return "".join(f"[{key}]" if type(key) is int else f".{key}" for key in path).lstrip(".")
