"""Labeling: from videos to a folder of labeled frames, in one window.

Only `canvas`, `keypoint_list` and `window` need Qt. The rest picks frames, holds labels with their undo, and
writes files, of which only those cells change that were labeled.
"""
