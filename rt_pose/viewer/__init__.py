"""pyqtgraph windows: on a run a subscriber like any other, which may die without effect on the loop."""

from rt_pose.viewer.app import ViewRequest, main, screen_problem

__all__ = ["ViewRequest", "main", "screen_problem"]
