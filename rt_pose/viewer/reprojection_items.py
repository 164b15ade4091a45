"""What is drawn of an animal in space on a camera's picture: crosses where it should see the keypoints."""

from __future__ import annotations

import numpy as np
import pyqtgraph as pg
from PySide6.QtGui import QPainterPath

from rt_pose.types import FloatArray
from rt_pose.viewer.pose_items import ring_pen, scatter

CROSS_PX = 19
"""Of the screen: its ends stand out beyond the ring of a prediction."""


class ReprojectionItems:
    """The crosses on one picture, made once and moved."""

    def __init__(self, view: pg.ViewBox) -> None:
        """Add the graphics to a view, with nothing to show.

        Parameters
        ----------
        view
            The view, in px of the sensor.
        """
        self.points = scatter(view, size=CROSS_PX)
        self.points.setSymbol(_cross())
        self.points.setBrush(None)

    def draw(self, xy: FloatArray | None) -> None:
        """Show where a camera should see the keypoints.

        Parameters
        ----------
        xy
            (K, 2) px, NaN of one that is lost or outside of what the lens can show; None removes all.
        """
        if xy is None:
            self.points.clear()
            return
        seen = np.isfinite(xy).all(axis=-1)
        pens = [ring_pen(int(k), len(xy)) for k in np.flatnonzero(seen)]
        self.points.setData(pos=xy[seen], pen=pens)


def _cross() -> QPainterPath:
    """Two lines; pyqtgraph's own cross is an area."""
    path = QPainterPath()
    path.moveTo(-0.5, 0.0)
    path.lineTo(0.5, 0.0)
    path.moveTo(0.0, -0.5)
    path.lineTo(0.0, 0.5)
    return path
