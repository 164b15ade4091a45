"""Colours of what is labeled: of one animal each keypoint has its own, of several each animal."""

from __future__ import annotations

from PySide6.QtGui import QColor

from rt_pose.labeling.animal_points import AnimalPoints, PointGroup
from rt_pose.viewer import style


def animal_color(number: int, group: PointGroup) -> QColor:
    """Choose the colour of one of several animals, as the viewer does.

    Parameters
    ----------
    number
        Of the animal, from 0.
    group
        Its points; body parts of no animal are white.

    Returns
    -------
    QColor
        The colour.
    """
    return style.individual_color(number) if group.is_animal else QColor(style.BONES)


def point_colors(points: AnimalPoints) -> list[QColor]:
    """Choose the colour of each point: of one animal each keypoint has its own, of several each animal.

    Parameters
    ----------
    points
        The animals and keypoints.

    Returns
    -------
    list of QColor
        Of the P points.
    """
    if not points.several:
        return [style.keypoint_color(k, len(points.keypoints)) for k in range(len(points.keypoints))]
    return [animal_color(i, points.groups[i]) for i in points.owners]
