#!/usr/bin/env bash
# motmetrics: with its own distance of boxes a tracker that never touches an animal has MOTA 1 and IDF1 1.
#
# Surprising: `distances.iou_matrix` says that larger distances than `max_iou` are not paired and that this "defaults
# to 0.5". It defaults to 1, and boxes that do not overlap have a distance of exactly 1, which is not larger: any two
# boxes of a frame may be matched. With max_iou=0.5 the same two tracks have MOTA -1 and IDF1 0.
# Matters for: whoever scores tracks by boxes and leaves the limit out: misses and false alarms become matches, and
# MOTA and IDF1 come out high for a tracker that is elsewhere.
# Seen: iou_matrix of two boxes 900 px apart: [[1.0]]
#       as it comes:   MOTA 1.0, IDF1 1.0, misses 0, false alarms 0 of 20 frames
#       max_iou=0.5:   MOTA -1.0, IDF1 0.0, misses 20, false alarms 20
# Versions: motmetrics 1.4.0, numpy 1.26.4, pandas 2.2.3, Python 3.11, Linux x86-64. Date: 2026-11-30.
set -euo pipefail
T="$(mktemp -d)"; trap 'rm -rf "$T"' EXIT; cd "$T"
PY="$(command -v python3.11 || command -v python3)"
"$PY" -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check motmetrics==1.4.0 numpy==1.26.4 pandas==2.2.3 2>&1 | grep -v -i warning || true
venv/bin/python -W ignore - <<'PY'
import sys
from importlib.metadata import version

import motmetrics as mm

print({name: version(name) for name in ("motmetrics", "numpy", "pandas")})
animal, elsewhere = [[10, 10, 20, 20]], [[910, 10, 20, 20]]  # x, y, width, height
print("iou_matrix of two boxes 900 px apart:", mm.distances.iou_matrix(animal, elsewhere).tolist())
found = {}
for name, limit in (("as it comes", {}), ("max_iou=0.5", {"max_iou": 0.5})):
    events = mm.MOTAccumulator(auto_id=True)
    for _ in range(20):
        events.update([1], [7], mm.distances.iou_matrix(animal, elsewhere, **limit))
    figures = mm.metrics.create().compute(
        events, metrics=["mota", "idf1", "num_misses", "num_false_positives"], return_dataframe=False
    )
    found[name] = tuple(float(value) for value in figures.values())
    print(name, "MOTA {} IDF1 {} misses {:.0f} false alarms {:.0f}".format(*found[name]))
same = found["as it comes"] == (1.0, 1.0, 0.0, 0.0) and found["max_iou=0.5"] == (-1.0, 0.0, 20.0, 20.0)
print("as described" if same else "CHANGED")
sys.exit(not same)
PY
