"""A processor as DeepLabCut-Live takes it: notes when the first keypoint goes left of a line.

processors:
  left: {source: "examples/processor.py:LeftOf", options: {x: 160}}
"""

import numpy as np
from dlclive import Processor  # where DeepLabCut-Live is not installed, a run gives a base class of this name


class LeftOf(Processor):
    def __init__(self, x, least=0.5):
        super().__init__()
        self.x, self.least = x, least
        self.left, self.times = False, []

    def process(self, pose, **kwargs):
        x, _, likelihood = pose[0]
        left = likelihood > self.least and x < self.x
        if left and not self.left:
            self.times.append(kwargs["frame_time"])  # here a lamp would go on
        self.left = left
        return pose

    def save(self, file):
        np.save(file, self.times)  # FILE.npy
        return 1
