"""What is drawn of a pose: keypoints, bones, covariance, prediction, names."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from PySide6.QtGui import QBrush, QColor, QPen

from rt_pose.session.individuals import SURE
from rt_pose.viewer import style
from rt_pose.viewer.messages import PoseHeader, PoseMessage

CHI2_95 = 5.991
"""95 % of chi-square with 2 degrees of freedom."""
_ANGLES = np.linspace(0.0, 2.0 * np.pi, 33)
UNIT_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=-1)
RIM = "#101318"
"""Around a keypoint, so that it is seen on any frame."""


def ellipses(xy: NDArray[np.float32], cov: NDArray[np.float32]) -> NDArray[np.float64]:
    """Compute outlines that hold 95 % of normal distributions, by their Cholesky factors.

    Parameters
    ----------
    xy
        Means, (P, 2) px.
    cov
        Covariances, (P, 3) sxx, sxy, syy, px^2.

    Returns
    -------
    NDArray[np.float64]
        (P, 34, 2), the last point NaN so that one curve draws them all; a distribution that is not one (NaN,
        not positive definite) is all NaN.
    """
    sxx, sxy, syy = np.moveaxis(cov.astype(np.float64), -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        l11 = np.sqrt(sxx)
        l21 = sxy / l11
        l22 = np.sqrt(syy - l21**2)
    out = np.full((len(xy), len(UNIT_CIRCLE) + 1, 2), np.nan)
    radius = np.sqrt(CHI2_95)
    out[:, :-1, 0] = xy[:, :1] + radius * l11[:, None] * UNIT_CIRCLE[:, 0]
    out[:, :-1, 1] = xy[:, 1:] + radius * (
        l21[:, None] * UNIT_CIRCLE[:, 0] + l22[:, None] * UNIT_CIRCLE[:, 1]
    )
    out[np.isnan(out[:, :-1]).any(axis=(1, 2))] = np.nan
    return out


def label_of(header: PoseHeader, who: int) -> str:
    """Write what stands above one of several individuals.

    Parameters
    ----------
    header
        Header of the pose.
    who
        Its slot.

    Returns
    -------
    str
        Its name, and the probability that it is this one where that is below `SURE`.
    """
    name = header.individuals[who] if header.individuals else str(who)
    p = header.identity_p[who] if header.identity_p else None
    return name if p is None or p >= SURE else f"{name} {p:.2f}"


class PoseItems:
    """The graphics of a pose in a view, made once and moved."""

    def __init__(self, view: pg.ViewBox) -> None:
        """Add the graphics to a view, with nothing to show.

        Parameters
        ----------
        view
            The view, in px of the sensor.
        """
        self._view = view
        self.lead = self._curve(pg.mkPen("#ffffff90", width=1))
        self.cov = self._curve(pg.mkPen("#ffffff90", width=1))
        self.bones: list[pg.PlotCurveItem] = []
        """One curve an individual."""
        self.ghost = scatter(view, size=15)
        self.ghost.setBrush(None)
        self.points = scatter(view, size=9)
        self._keypoints: list[str] = []
        self._names: list[pg.TextItem] = []
        """Of the keypoints of each individual in turn."""
        self.labels: list[pg.TextItem] = []
        """Of each of several individuals."""
        self._individuals = 1
        self.show_cov = self.show_prediction = True
        self.show_names = False

    def set_names(self, names: Sequence[str]) -> None:
        """Take the names of the keypoints.

        Parameters
        ----------
        names
            The names.
        """
        for item in self._names:
            self._view.removeItem(item)
        self._names, self._keypoints = [], list(names)

    def clear(self) -> None:
        """Show nothing."""
        for item in (self.points, self.ghost, *self.bones, self.lead, self.cov):
            item.clear()
        for text in (*self._names, *self.labels):
            text.setVisible(False)

    def draw(
        self, pose: PoseMessage, prediction: PoseMessage | None, skeleton: Sequence[tuple[int, int]]
    ) -> None:
        """Show a pose: keypoints in a colour each, or of several individuals each in its own.

        Parameters
        ----------
        pose
            The pose.
        prediction
            That of the same frame at the time of effect; None for none.
        skeleton
            Bones, by the numbers of their keypoints.
        """
        n, k = pose.lost.shape
        xy = pose.xy.reshape(n * k, 2)
        lost = pose.lost.reshape(n * k)
        seen = np.isfinite(xy[:, 0] + xy[:, 1])
        # Of several individuals each has a colour, of one each keypoint.
        numbers = [(i // k, 0) if n > 1 else (i, k) for i in range(n * k)]
        looks = [point_look(*numbers[i], bool(lost[i])) for i in np.flatnonzero(seen)]
        self.points.setData(pos=xy[seen], pen=[pen for pen, _ in looks], brush=[brush for _, brush in looks])
        alive = seen & ~lost
        self._draw_bones(pose, alive.reshape(n, k), skeleton)
        if self.show_cov:
            outline = ellipses(xy[alive], pose.cov.reshape(n * k, 3)[alive]).reshape(-1, 2)
            self.cov.setData(outline[:, 0], outline[:, 1], connect="finite")
        else:
            self.cov.clear()
        self._draw_prediction(xy, alive, prediction if self.show_prediction else None, numbers)
        self._place_names(pose, seen.reshape(n, k))
        self._place_labels(pose, seen.reshape(n, k))

    def _draw_bones(
        self, pose: PoseMessage, alive: NDArray[np.bool_], skeleton: Sequence[tuple[int, int]]
    ) -> None:
        n, k = alive.shape
        if n != self._individuals:
            self._individuals = n
            for who, curve in enumerate(self.bones):
                curve.setPen(self._bone_pen(who))
        while len(self.bones) < n:
            self.bones.append(self._curve(self._bone_pen(len(self.bones))))
        ends = np.array([bone for bone in skeleton if max(bone) < k], dtype=int).reshape(-1, 2)
        for who, curve in enumerate(self.bones):
            if who >= n:
                curve.clear()
                continue
            whole = alive[who, ends].all(axis=-1)  # (B,)
            points = pose.xy[who, ends][whole].reshape(-1, 2)
            curve.setData(points[:, 0], points[:, 1], connect="pairs")

    def _bone_pen(self, who: int) -> QPen:
        color = style.individual_color(who) if self._individuals > 1 else QColor(style.BONES)
        color.setAlpha(0xC0)
        return pg.mkPen(color, width=1.5)

    def _draw_prediction(
        self,
        xy: NDArray[np.float32],
        alive: NDArray[np.bool_],
        prediction: PoseMessage | None,
        numbers: Sequence[tuple[int, int]],
    ) -> None:
        if prediction is None or prediction.lost.size != len(alive):
            self.ghost.clear()
            self.lead.clear()
            return
        ahead = prediction.xy.reshape(-1, 2)
        drawn = alive & np.isfinite(ahead).all(axis=-1)
        pens = [ring_pen(*numbers[i]) for i in np.flatnonzero(drawn).tolist()]
        self.ghost.setData(pos=ahead[drawn], pen=pens)
        lead = np.stack([xy[drawn], ahead[drawn]], axis=1).reshape(-1, 2)
        self.lead.setData(lead[:, 0], lead[:, 1], connect="pairs")

    def _place_names(self, pose: PoseMessage, seen: NDArray[np.bool_]) -> None:
        """Beside the keypoints."""
        count = len(self._keypoints)
        while self.show_names and len(self._names) < len(seen) * count:
            k = len(self._names) % count
            item = pg.TextItem(
                self._keypoints[k],
                color=style.keypoint_color(k, count),
                anchor=(-0.15, 0.5),
                fill=style.SHADE,
            )
            self._view.addItem(item, ignoreBounds=True)
            self._names.append(item)
        for i, item in enumerate(self._names):
            who, k = divmod(i, count)
            visible = self.show_names and who < len(seen) and k < seen.shape[1] and bool(seen[who, k])
            item.setVisible(visible)
            if visible:
                item.setPos(*pose.xy[who, k].tolist())

    def _place_labels(self, pose: PoseMessage, seen: NDArray[np.bool_]) -> None:
        """Above each of several individuals who it is, and how probably where that is not certain."""
        n = len(seen) if len(seen) > 1 else 0
        while len(self.labels) < n:
            color = style.individual_color(len(self.labels))
            item = pg.TextItem("", color=color, anchor=(0.5, 1.4), fill=style.SHADE)
            self._view.addItem(item, ignoreBounds=True)
            self.labels.append(item)
        for who, item in enumerate(self.labels):
            visible = who < n and bool(seen[who].any())
            item.setVisible(visible)
            if visible:
                text = label_of(pose.header, who)
                if item.toPlainText() != text:
                    item.setText(text)
                xy = pose.xy[who, seen[who]]
                item.setPos(float(xy[:, 0].mean()), float(xy[:, 1].min()))

    def _curve(self, pen: object) -> pg.PlotCurveItem:
        curve = pg.PlotCurveItem(pen=pen, antialias=True)
        self._view.addItem(curve, ignoreBounds=True)
        return curve


@cache
def point_look(index: int, count: int, lost: bool) -> tuple[QPen, QBrush]:
    """Get how a keypoint is drawn; a lost one is empty.

    Equal points share these objects: pyqtgraph keeps one picture of a symbol for each pen and brush that it
    has seen, and would draw all symbols anew for new ones.

    Parameters
    ----------
    index, count
        Number of the keypoint, and how many there are; or number of the individual, and 0.
    lost
        Whether it is lost.

    Returns
    -------
    tuple[QPen, QBrush]
        Its rim and what fills it.
    """
    color = _color(index, count)
    return pg.mkPen(color if lost else RIM, width=1), pg.mkBrush(None if lost else color)


@cache
def ring_pen(index: int, count: int) -> QPen:
    """Get the pen of a predicted keypoint; equal ones share it, see `point_look`.

    Parameters
    ----------
    index, count
        Number of the keypoint, and how many there are; or number of the individual, and 0.

    Returns
    -------
    QPen
        The pen of its ring.
    """
    return pg.mkPen(_color(index, count), width=2)


def _color(index: int, count: int) -> QColor:
    return style.keypoint_color(index, count) if count else style.individual_color(index)


def scatter(view: pg.ViewBox, size: int) -> pg.ScatterPlotItem:
    """Add points to a view.

    Parameters
    ----------
    view
        The view.
    size
        Of each point, px of the screen.

    Returns
    -------
    pg.ScatterPlotItem
        The points; there are none yet.
    """
    made = pg.ScatterPlotItem(size=size, pxMode=True, antialias=True)
    view.addItem(made, ignoreBounds=True)
    return made
