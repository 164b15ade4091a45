"""What a person does to the labels, without a window: frames, the current keypoint, changes, undo."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np

from rt_pose.labeling.animal_points import AnimalPoints, PointGroup
from rt_pose.labeling.frame_labels import UNSETTLED, FrameLabels, Mark

MOST_UNDONE = 1000
"""Changes that can be undone."""


class LabelStore(Protocol):
    """Where labels are kept."""

    def read(self, name: str) -> FrameLabels:
        """Return the labels of a frame.

        Parameters
        ----------
        name
            Of the frame.

        Returns
        -------
        FrameLabels
            As they were written last.
        """
        ...

    def write(self, name: str, labels: FrameLabels) -> None:
        """Keep the labels of a frame.

        Parameters
        ----------
        name
            Of the frame.
        labels
            Its labels; proposals among them are not kept.
        """
        ...


class LabelEditor:
    """Frames one after another, with one of them and one of its points the current ones.

    A point is a keypoint of an animal; the current animal is that of the current point.
    """

    def __init__(self, names: Sequence[str], points: AnimalPoints, store: LabelStore) -> None:
        """Begin at the first frame that is not done.

        Parameters
        ----------
        names
            Of the F frames, in the order in which they are gone through.
        points
            Names of the animals and keypoints.
        store
            Where labels are kept.
        """
        self.names, self.points = list(names), points
        self._store = store
        self._labels = [store.read(name) for name in self.names]
        self._written = list(self._labels)
        self._undo: list[tuple[int, int, FrameLabels]] = []
        self._redo: list[tuple[int, int, FrameLabels]] = []
        self.index = next((i for i, labels in enumerate(self._labels) if not labels.done), 0)
        self.cursor = 0
        self._to_unsettled()

    @property
    def animal(self) -> int:
        """Number of the current animal among the groups of points."""
        return self.points.owners[self.cursor]

    @property
    def group(self) -> PointGroup:
        """The points of the current animal."""
        return self.points.groups[self.animal]

    @property
    def labels(self) -> FrameLabels:
        """Of the current frame."""
        return self._labels[self.index]

    @property
    def name(self) -> str:
        """Of the current frame."""
        return self.names[self.index]

    def labels_of(self, index: int) -> FrameLabels:
        """Return the labels of a frame.

        Parameters
        ----------
        index
            Of the frame.

        Returns
        -------
        FrameLabels
            As they are now, written or not.
        """
        return self._labels[index]

    @property
    def open_frames(self) -> list[int]:
        """Indices of the frames that are not done."""
        return [i for i, labels in enumerate(self._labels) if not labels.done]

    # ---- the current frame and keypoint ----

    def select(self, k: int) -> None:
        """Make a point the current one.

        Parameters
        ----------
        k
            Its index; round about.
        """
        self.cursor = k % len(self.points.names)

    def next_keypoint(self, step: int) -> None:
        """Make another keypoint of the current animal the current one.

        Parameters
        ----------
        step
            How much further on; round about.
        """
        own = self.group.points
        self.cursor = own[(own.index(self.cursor) + step) % len(own)]

    def select_animal(self, animal: int) -> None:
        """Make an animal the current one, at the first of its keypoints that is not settled.

        Parameters
        ----------
        animal
            Its number; round about.
        """
        own = self.points.groups[animal % len(self.points.groups)].points
        found = self.labels.unsettled(own)
        self.cursor = own[0] if found is None else found

    def go_to(self, index: int) -> None:
        """Write what has changed and make another frame the current one.

        Parameters
        ----------
        index
            Of the frame; beyond the first or the last one nothing happens.

        Raises
        ------
        UserError
            Where the labels cannot be written; the frame then stays the current one.
        """
        self.write()
        if 0 <= index < len(self.names):
            self.index = index
            self.cursor = 0
            self._to_unsettled()

    def accept(self) -> None:
        """Take all proposals of the frame as they are, write it, and go to the next frame that is not done.

        Behind the last of these it is the next frame.

        Raises
        ------
        UserError
            Where the labels cannot be written.
        """
        self._change(self.labels.accepted())
        after = [*range(self.index + 1, len(self.names)), *range(self.index)]
        following = next(
            (i for i in after if not self._labels[i].done), min(self.index + 1, len(self.names) - 1)
        )
        self.go_to(following)

    def write(self) -> None:
        """Write the frames that have changed since they were written.

        Raises
        ------
        UserError
            Where they cannot be written.
        """
        for i, (labels, written) in enumerate(zip(self._labels, self._written, strict=True)):
            if not labels.same(written):
                self._store.write(self.names[i], labels)
                self._written[i] = labels

    # ---- changes ----

    def place(self, x: float, y: float) -> None:
        """Place the current keypoint, and go to the next one that is not settled.

        Parameters
        ----------
        x, y
            Frame px.
        """
        self.move(self.cursor, x, y)
        self._to_unsettled(self.cursor)

    def move(self, k: int, x: float, y: float) -> None:
        """Place a keypoint, which becomes the current one.

        Parameters
        ----------
        k
            Its index.
        x, y
            Frame px.
        """
        mark = Mark.HIDDEN if self.labels.marks[k] == Mark.HIDDEN else Mark.PLACED
        self.cursor = k
        self._change(self.labels.with_keypoint(k, mark, (x, y)))

    def nudge(self, dx: float, dy: float, origin: tuple[float, float]) -> None:
        """Move the current keypoint a little.

        Parameters
        ----------
        dx, dy
            By how much, frame px.
        origin
            Where one begins that has no place yet, frame px.
        """
        place = self.labels.xy[self.cursor]
        x, y = place.tolist() if np.isfinite(place).all() else origin
        self.move(self.cursor, x + dx, y + dy)

    def mark_absent(self) -> None:
        """Note that the current keypoint cannot be seen, and go to the next one that is not settled."""
        self._mark_absent([self.cursor])

    def mark_rest_absent(self) -> None:
        """Note that what is not settled of the current animal cannot be seen, and go to the next one."""
        self._mark_absent([k for k in self.group.points if self.labels.marks[k] in UNSETTLED])

    def remove_animal(self) -> None:
        """Note that the current animal is not in the frame, and go to the next one."""
        self._mark_absent(self.group.points)

    def exchange(self, other: int) -> None:
        """Exchange the labels of the current animal with those of another one of the frame.

        Parameters
        ----------
        other
            Its number; that of body parts of no animal changes nothing.
        """
        own, others = self.group, self.points.groups[other]
        if own.is_animal and others.is_animal:
            self._change(self.labels.exchanged(own.points, others.points))

    def toggle_hidden(self) -> None:
        """Note that the current keypoint, which is placed, is occluded; or that it is not."""
        mark = self.labels.marks[self.cursor]
        if mark in (Mark.PLACED, Mark.PROPOSED):
            self._change(self.labels.with_keypoint(self.cursor, Mark.HIDDEN))
        elif mark == Mark.HIDDEN:
            self._change(self.labels.with_keypoint(self.cursor, Mark.PLACED))

    def clear(self) -> None:
        """Take the current keypoint's label away: it is open again."""
        self._change(self.labels.with_keypoint(self.cursor, Mark.OPEN))

    def copy_previous(self, every_animal: bool = False) -> None:
        """Propose, for keypoints that are open or proposed, their places in the frame before.

        Parameters
        ----------
        every_animal
            Whether for those of all animals; else of the current one.
        """
        if self.index == 0:
            return
        before, labels = self._labels[self.index - 1], self.labels
        for k in range(len(labels.marks)) if every_animal else self.group.points:
            if labels.marks[k] in UNSETTLED and before.marks[k] in (Mark.PLACED, Mark.HIDDEN):
                x, y = before.xy[k].tolist()
                labels = labels.with_keypoint(k, Mark.PROPOSED, (x, y))
        self._change(labels)
        self._to_unsettled(self.group.points[-1])

    def undo(self) -> None:
        """Take the last change back, and show the frame that it was made in."""
        self._swap(self._undo, self._redo)

    def redo(self) -> None:
        """Make the change again that was taken back last."""
        self._swap(self._redo, self._undo)

    def _change(self, labels: FrameLabels) -> None:
        if labels.same(self.labels):
            return
        self._undo.append((self.index, self.cursor, self.labels))
        del self._undo[:-MOST_UNDONE]
        self._redo.clear()
        self._labels[self.index] = labels

    def _mark_absent(self, points: Iterable[int]) -> None:
        labels = self.labels
        for k in points:
            labels = labels.with_keypoint(k, Mark.ABSENT)
        self._change(labels)
        self._to_unsettled(self.cursor)

    def _swap(
        self, source: list[tuple[int, int, FrameLabels]], target: list[tuple[int, int, FrameLabels]]
    ) -> None:
        if not source:
            return
        index, cursor, labels = source.pop()
        target.append((index, cursor, self._labels[index]))
        self._labels[index] = labels
        self.index, self.cursor = index, cursor

    def _to_unsettled(self, after: int = -1) -> None:
        found = self.labels.unsettled(self.points.order_after(after))
        if found is not None:
            self.cursor = found
