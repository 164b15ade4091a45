"""The film of one camera of a session, decoded where it is asked for. No Qt in here."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
from numpy.typing import NDArray

from rt_pose.errors import UserError
from rt_pose.session.read import Session
from rt_pose.session.video_file import read_times, read_video
from rt_pose.viewer.messages import FrameMessage
from rt_pose.viewer.raw_frame import raw_frame

KEPT_BYTES = 128 << 20
"""Of decoded frames."""
AROUND = 12
"""Frames on either side of the one that is shown that are decoded with it."""


class Film:
    """Frames of one camera's film."""

    def __init__(self, session: Session, camera: str) -> None:
        """Read the table of the film.

        Parameters
        ----------
        session
            The session.
        camera
            Name of the camera.
        """
        self._session, self._camera = session, camera
        self.problem = ""
        """Why there are no pictures; empty where there are."""
        self._kept: OrderedDict[int, FrameMessage] = OrderedDict()
        self._bytes = 0
        self._row_of: dict[int, int] = {}
        self._index_of: list[int] = []
        try:
            times = read_times(session.path, camera)
        except UserError as error:
            self.problem = str(error)
            return
        if times is None:
            self.problem = f"camera '{camera}' was not filmed (`record.video`)"
            return
        self._row_of = times.rows_by_arrival()
        self._index_of = [int(index) for index in times.frame]

    def frame(self, t_arrival_ns: int) -> FrameMessage | None:
        """Get the picture of a frame.

        Parameters
        ----------
        t_arrival_ns
            When the frame arrived, ns.

        Returns
        -------
        FrameMessage | None
            The picture; None where the film does not hold it.
        """
        row = self._row_of.get(t_arrival_ns)
        if row is None:
            return None
        if row not in self._kept and not self.problem:
            self._decode(row)
        found = self._kept.get(row)
        if found is not None:
            self._kept.move_to_end(row)
        return found

    def _decode(self, row: int) -> None:
        info = self._session.info.cameras[self._camera]
        near = range(max(0, row - AROUND), min(row + AROUND, len(self._index_of)))
        rows = [r for r in near if r not in self._kept]
        size = (info.height, info.width)
        try:
            for at, image in read_video(self._session.path, self._camera, rows, info.channels, size):
                self._keep(at, image)
        except UserError as error:
            self.problem = str(error)
        while self._bytes > KEPT_BYTES and len(self._kept) > 2 * AROUND:
            _, old = self._kept.popitem(last=False)
            self._bytes -= len(old.pixels)

    def _keep(self, row: int, image: NDArray[np.uint8]) -> None:
        info = self._session.info
        message = raw_frame(image, self._index_of[row], row, info.id, info.cameras[self._camera].offset_xy)
        self._kept[row] = message
        self._bytes += len(message.pixels)
