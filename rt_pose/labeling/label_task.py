"""What a window shows: frames, their labels, and what is known beside them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rt_pose.image_file import read_image
from rt_pose.labeling.editor import LabelEditor
from rt_pose.labeling.label_folder import LabelFolder
from rt_pose.labeling.label_store import FolderStore
from rt_pose.labeling.review import Review
from rt_pose.types import FloatArray


@dataclass
class LabelTask:
    """All that a window needs."""

    opened: LabelFolder
    editor: LabelEditor
    store: FolderStore
    scorer: str
    """Who labels now."""
    review: Review | None = None
    """The evaluation that is gone through."""

    def image(self, name: str) -> NDArray[np.uint8] | None:
        """Read the image of a frame.

        Parameters
        ----------
        name
            Of the frame.

        Returns
        -------
        NDArray[np.uint8] | None
            (H, W, C), C 1 or 3 (RGB); None where it cannot be read.

        Raises
        ------
        UserError
            Where its metadata turns it.
        """
        return read_image(self.opened.image(name))

    def predicted(self, name: str) -> FloatArray | None:
        """Return what the network of the evaluation found in a frame.

        Parameters
        ----------
        name
            Of the frame.

        Returns
        -------
        FloatArray | None
            (P, 2) frame px; None without an evaluation.
        """
        if self.review is None:
            return None
        return self.review.predicted[self.review.names.index(name)]

    def worst_keypoint(self, name: str) -> int | None:
        """Return which point of a frame is to be looked at first.

        Parameters
        ----------
        name
            Of the frame.

        Returns
        -------
        int | None
            The one with the largest error; None without an evaluation.
        """
        if self.review is None:
            return None
        return int(np.nanargmax(self.review.errors[self.review.names.index(name)]))

    def about(self, name: str) -> str:
        """Describe why a frame is shown, and who labeled it.

        Parameters
        ----------
        name
            Of the frame.

        Returns
        -------
        str
            A line.
        """
        note = self.store.note(name)
        parts = [note.reason] if note.reason else []
        k = self.worst_keypoint(name)
        if self.review is not None and k is not None:
            error = self.review.errors[self.review.names.index(name), k]
            parts = [f"{self.opened.points.names[k]}: {error:.1f} px between label and prediction"]
        if note.by:
            parts.append(f"labeled by {note.by}, {note.at}")
        return "; ".join(parts)
