"""One pyqtgraph window: a subscriber like any other, which may die without effect on the loop."""

from rt_pose.viewer.app import main, screen_problem

__all__ = ["main", "screen_problem"]
