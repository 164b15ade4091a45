"""The rendered animal and its world, with ground truth.

Everything is a pure function of (seed, camera, frame, animal, stimulus times): a run replays exactly.
Scene coordinates are in heights of the arena, x right, y down, the arena spanning (0, 0) to (1.25, 1).
"""
