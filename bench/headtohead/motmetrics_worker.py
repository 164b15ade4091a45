"""Counts identity switches and the like by py-motmetrics, in an environment of its own.

    PYTHON motmetrics_worker.py FRAMES.json ANSWER.json

FRAMES.json is a list, for each frame of {"objects": [ids], "found": [ids], "distances": [[...]]} with null
where two cannot be the same.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
from pathlib import Path

FIGURES = (
    "num_frames",
    "num_switches",
    "idf1",
    "idp",
    "idr",
    "num_misses",
    "num_false_positives",
    "num_fragmentations",
    "mota",
    "mostly_tracked",
)


def main(frames: Path, answer: Path) -> None:
    """Count.

    Parameters
    ----------
    frames, answer
        JSON files, one to read and one to write.
    """
    import motmetrics
    import numpy as np

    events = motmetrics.MOTAccumulator(auto_id=True)
    for frame in json.loads(frames.read_text()):
        shape = len(frame["objects"]), len(frame["found"])
        distances = np.array(frame["distances"], dtype=float).reshape(shape)  # null becomes NaN
        events.update(frame["objects"], frame["found"], distances)
    found = motmetrics.metrics.create().compute(events, metrics=list(FIGURES), return_dataframe=False)
    plain = {name: float(value) for name, value in found.items()}
    answer.write_text(json.dumps({"version": importlib.metadata.version("motmetrics"), **plain}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
