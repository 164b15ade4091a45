#!/usr/bin/env bash
# sleap-io: a DeepLabCut table with three path columns and one labeled image is read as labels without a frame.
#
# Surprising: DeepLabCut writes the path of an image in three cells (folder, video, image). To tell how many there are
# sleap-io peeks at the table with a header of too many rows, and where the table has one labeled row only, that row is
# used up: `load_file(..., format="dlc")` returns Labels with no frames, without error or warning. With more labeled
# rows the same table is read whole.
# Matters for: whoever labels the first frame of a video and passes the folder on, and tests that try one frame.
# Seen: rows 1 -> frames 0; rows 2 -> frames 2; rows 5 -> frames 5
# Versions: sleap-io 0.9.5, Python 3.11, Linux x86-64. Date: 2026-11-30.
set -euo pipefail
T="$(mktemp -d)"; trap 'rm -rf "$T"' EXIT; cd "$T"
PY="$(command -v python3.11 || command -v python3)"
"$PY" -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check sleap-io==0.9.5 2>&1 | grep -v -i warning || true
venv/bin/python - <<'PY'
from importlib.metadata import version
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import sleap_io

print("sleap-io", version("sleap-io"))
found = {}
for rows in (1, 2, 5):
    folder = Path(f"with-{rows}") / "labeled-data" / "v"
    folder.mkdir(parents=True)
    lines = ["scorer,,,a,a", "bodyparts,,,n,n", "coords,,,x,y"]
    for number in range(rows):
        iio.imwrite(folder / f"img{number}.png", np.zeros((8, 8), np.uint8))
        lines.append(f"labeled-data,v,img{number}.png,1,2")
    table = folder / "CollectedData_a.csv"
    table.write_text("\n".join(lines) + "\n")
    found[rows] = len(sleap_io.load_file(str(table), format="dlc"))
    print("rows", rows, "-> frames", found[rows])
if found[1] != 0 or found[5] != 5:
    raise SystemExit("sleap-io behaves otherwise than described")
PY
echo "as described"
