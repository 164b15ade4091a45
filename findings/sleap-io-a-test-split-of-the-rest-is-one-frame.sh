#!/usr/bin/env bash
# sleap-io, `Labels.make_training_splits` by shares: where train and test are to share all frames, the test split holds
# a single one.
#
# Surprising: 100 labeled frames, n_train=0.8, n_test=0.2: 80, and 1 to test; the other 19 become validation, which nobody
# asked for. 0.5 and 0.5: 50, 1, 49. (The share of the rest comes out as 1.0, and that is taken for a number of
# frames; where validation is asked for by share the case is caught.) No error, no warning.
# Matters for: whoever splits before training (SLEAP, sleap-nn) and keeps no validation apart: the test error that is
# reported is that of one frame, and looks like any other.
# Seen: 100 frames, train 0.8, test 0.2            -> {'train': 80, 'val': 19, 'test': 1}
#       100 frames, train 0.5, test 0.5            -> {'train': 50, 'val': 49, 'test': 1}
#       100 frames, train 0.8, val 0.1, test 0.1   -> {'train': 80, 'val': 10, 'test': 10}
# Versions: sleap-io 0.9.5, numpy 2.4.6, Python 3.11, Linux x86-64. Date: 2026-11-30.
set -euo pipefail
T="$(mktemp -d)"; trap 'rm -rf "$T"' EXIT; cd "$T"
PY="$(command -v python3.11 || command -v python3)"
"$PY" -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check sleap-io==0.9.5 numpy==2.4.6 2>&1 | grep -v -i warning || true
venv/bin/python -W ignore - <<'PY'
import sys
from importlib.metadata import version

import numpy as np
import sleap_io as sio

print({name: version(name) for name in ("sleap-io", "numpy")})
skeleton, video = sio.Skeleton(["nose"]), sio.Video(filename="video.mp4", open_backend=False)


def sizes(frames, train, val=None, test=None):
    labels = sio.Labels(
        [
            sio.LabeledFrame(
                video=video, frame_idx=i, instances=[sio.Instance.from_numpy(np.array([[1.0, i]]), skeleton=skeleton)]
            )
            for i in range(frames)
        ]
    )
    splits = labels.make_training_splits(train, n_val=val, n_test=test, seed=0)
    return {name: len(splits[name]) for name in ("train", "val", "test")}


found = sizes(100, 0.8, test=0.2), sizes(100, 0.5, test=0.5), sizes(100, 0.8, 0.1, 0.1)
print("100 frames, train 0.8, test 0.2            ->", found[0])
print("100 frames, train 0.5, test 0.5            ->", found[1])
print("100 frames, train 0.8, val 0.1, test 0.1   ->", found[2])
same = found == (
    {"train": 80, "val": 19, "test": 1},
    {"train": 50, "val": 49, "test": 1},
    {"train": 80, "val": 10, "test": 10},
)
print("as described" if same else "CHANGED")
sys.exit(not same)
PY
