"""Whether the lines of inputs are on, as decisions see them: a function of the edges before a frame."""

from __future__ import annotations

from collections import Counter

from rt_pose.rules.semantics import CURRENT, KNOWN
from rt_pose.types import Edge


class InputLines:
    """The states of all inputs. One object for all cameras, called in the loop's order."""

    def __init__(self, semantics: int = CURRENT) -> None:
        """Begin with every line off.

        Parameters
        ----------
        semantics
            Whether pulses from before a camera's first frame count at it (`rt_pose.rules.semantics`).
        """
        self._on: set[str] = set()
        self._rises: Counter[str] = Counter()
        self._seen: dict[str, Counter[str]] = {}
        """By camera: the rises that its frames have been shown."""
        self._forgets = semantics >= KNOWN

    def take(self, edge: Edge) -> None:
        """Take an edge in.

        Parameters
        ----------
        edge
            The edge.
        """
        if not edge.on:
            self._on.discard(edge.input)
        elif edge.input not in self._on:
            self._on.add(edge.input)
            self._rises[edge.input] += 1

    def at_frame(self, camera: str) -> set[str]:
        """Get the lines that count as on at a frame.

        A pulse that was shorter than the time between two frames counts at the next one; one from before the
        camera's first frame does not count.

        Parameters
        ----------
        camera
            Name of the frame's camera.

        Returns
        -------
        set[str]
            Names of the lines that are on, or have gone on since the camera's frame before.
        """
        before = self._seen.get(camera)
        if before is None:
            before = self._rises if self._forgets else Counter()
        rose = {name for name, count in self._rises.items() if count > before[name]}
        self._seen[camera] = self._rises.copy()
        return self._on | rose

    def rises(self, name: str) -> int:
        """Count how often a line has gone on.

        Parameters
        ----------
        name
            Name of the input.

        Returns
        -------
        int
            Since the run began.
        """
        return self._rises[name]
