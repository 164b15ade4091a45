#!/usr/bin/env bash
# sleap-io: a colour video whose first frame is black is read as one channel throughout, and that channel is red.
#
# Surprising: whether a video is gray is decided by its first frame alone, and kept: where the first and the last channel of
# that are equal, every later frame is cut to its first channel. Nothing is averaged: a green animal on black is
# then black on black. `grayscale=False` when it is opened gives the colours. No warning.
# Matters for: recordings that fade in, begin before the light is on or with a lens cap; networks trained and run
# through sleap-io (SLEAP, sleap-nn), which then see the red channel.
# Seen: as it comes, frame 5:        shape (64, 64, 1), brightest value 14
#       grayscale=False, frame 5:    shape (64, 64, 3), brightest value 199
# Versions: sleap-io 0.9.5, av 18.1.0, numpy 2.4.6, Python 3.11, Linux x86-64. Date: 2026-11-30.
set -euo pipefail
T="$(mktemp -d)"; trap 'rm -rf "$T"' EXIT; cd "$T"
PY="$(command -v python3.11 || command -v python3)"
"$PY" -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check sleap-io==0.9.5 av==18.1.0 numpy==2.4.6 2>&1 | grep -v -i warning || true
venv/bin/python -W ignore - <<'PY'
import sys
from importlib.metadata import version

import av
import numpy as np
import sleap_io as sio

print({name: version(name) for name in ("sleap-io", "av", "numpy")})
with av.open("video.mp4", "w") as out:
    stream = out.add_stream("libx264", rate=25, options={"qp": "0"})
    stream.width = stream.height = 64
    stream.pix_fmt = "yuv420p"
    for number in range(10):
        image = np.zeros((64, 64, 3), np.uint8)
        if number:
            image[16:48, 16:48, 1] = 200  # a green animal, from the second frame on
        out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
    out.mux(stream.encode())

found = {"as it comes": sio.load_video("video.mp4")[5], "grayscale=False": sio.load_video("video.mp4", grayscale=False)[5]}
for name, frame in found.items():
    print(f"{name}, frame 5: shape {frame.shape}, brightest value {int(frame.max())}")
gray, colour = found.values()
same = gray.shape == (64, 64, 1) and gray.max() < 30 and colour.shape == (64, 64, 3) and colour.max() > 150
print("as described" if same else "CHANGED")
sys.exit(not same)
PY
