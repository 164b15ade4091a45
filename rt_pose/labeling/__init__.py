"""Labeling: from videos to a folder of labeled frames, in one window.

Only `canvas`, `animal_list`, `keypoint_list`, `point_colors` and `window` need Qt. The rest picks frames,
holds labels with their undo, and writes files, of which only those cells change that were labeled.

The labels of a frame are one list of points, whatever the animals: `animal_points` says which keypoint of
which animal each is.
"""
