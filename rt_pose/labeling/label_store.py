"""Labels between the person who works on them and the folder that they are kept in."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import numpy as np

from rt_pose.clock import Clock
from rt_pose.errors import UserError
from rt_pose.labeling.frame_labels import UNSETTLED, FrameLabels, Mark
from rt_pose.labeling.label_file import OCCLUDED, UNLABELED, VISIBLE, FrameRow
from rt_pose.labeling.label_folder import LabelFolder, empty_row
from rt_pose.labeling.label_record import FrameNote, LabelRecord, read_record, utc_text, write_record

_MARK_OF = {VISIBLE: Mark.PLACED, OCCLUDED: Mark.HIDDEN, UNLABELED: Mark.OPEN}
_VISIBLE_OF = {Mark.PLACED: VISIBLE, Mark.HIDDEN: OCCLUDED}


class FolderStore:
    """Reads and writes the labels of a folder; see `LabelStore`."""

    def __init__(self, opened: LabelFolder, record: LabelRecord, by: str, clock: Clock) -> None:
        """Keep the folder.

        Parameters
        ----------
        opened
            The folder.
        record
            Its record.
        by
            Who labels now.
        clock
            For the time at which a frame is labeled.
        """
        self._opened, self._record, self._by, self._clock = opened, record, by, clock

    def note(self, name: str) -> FrameNote:
        """Return what is noted of a frame.

        Parameters
        ----------
        name
            Path of its image.

        Returns
        -------
        FrameNote
            An empty one where nothing is.
        """
        return self._record.frames.get(name, FrameNote())

    def read(self, name: str) -> FrameLabels:
        """See `LabelStore.read`. Blank cells of what another program labeled are taken for settled."""
        points, note = self._opened.points.names, self.note(name)
        row = self._opened.rows.get(name) or empty_row(len(points))
        marks = np.array([_MARK_OF[int(value)] for value in row.visible], np.uint8)
        labels = FrameLabels(row.xy.copy(), marks)
        of_others = not note.by and bool((row.visible != UNLABELED).any())
        for k in np.flatnonzero(marks == Mark.OPEN).tolist():
            if of_others or points[k] in note.absent:
                labels = labels.with_keypoint(k, Mark.ABSENT)
            elif points[k] in note.proposed:
                x, y, _ = note.proposed[points[k]]
                labels = labels.with_keypoint(k, Mark.PROPOSED, (x, y))
        return labels

    def write(self, name: str, labels: FrameLabels) -> None:
        """See `LabelStore.write`. A frame of which nothing is settled gets no row."""
        points, marks = self._opened.points.names, [Mark(mark) for mark in labels.marks.tolist()]
        visible = np.array([_VISIBLE_OF.get(mark, UNLABELED) for mark in marks], np.uint8)
        xy = np.where(visible[:, None] != UNLABELED, labels.xy, np.nan)
        # Read anew: somebody else may have labeled other frames of the folder meanwhile.
        self._record.frames |= read_record(self._opened.folder).frames
        before = self.note(name)
        self._record.frames[name] = replace(
            before,
            by=self._by,
            at=utc_text(self._clock.utc_ns()),
            open=[points[k] for k, mark in enumerate(marks) if mark in UNSETTLED],
            absent=[points[k] for k, mark in enumerate(marks) if mark == Mark.ABSENT],
        )
        # The note first: a row without one counts as another program's, whose blank cells are settled.
        write_record(self._opened.folder, self._record)
        if name in self._opened.rows or any(mark not in UNSETTLED for mark in marks):
            try:
                self._opened.write(name, FrameRow(xy, visible))
            except UserError:
                self._record.frames[name] = before
                with suppress(UserError):  # the first mistake is the one to report
                    write_record(self._opened.folder, self._record)
                raise
