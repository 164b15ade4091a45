#!/usr/bin/env bash
# sleap-io: a colour video whose first frame is black is read as one channel throughout, and that channel is red.
#
# Surprising: whether a video is gray is decided by the first frame that is read, and kept: where its first and last
# channel are equal, every later frame is cut to its first channel. Nothing is averaged: a green animal on black is then
# black on black. The same file gives colour where another frame happens to be read first.
# Matters for: recordings that fade in, begin before the light is on or with a lens cap; networks trained and run
# through sleap-io (SLEAP, sleap-nn), which then see the red channel, in training or in prediction only.
# Seen: opened, frame 5:                        shape (64, 64, 1), brightest 0: the green square is gone
#       frame 5 first, then frame 0, frame 5:   shapes (64, 64, 3) (64, 64, 3) (64, 64, 3)
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

opened = sio.load_video("video.mp4")
opened.shape  # as whoever asks how long it is
frame = opened[5]
print("opened, frame 5: shape", frame.shape, "brightest", int(frame.max()))
other = sio.Video.from_filename("video.mp4")
shapes = [other[number].shape for number in (5, 0, 5)]
print("frame 5 first, then frame 0, frame 5: shapes", *shapes)
same = frame.shape == (64, 64, 1) and frame.max() < 30 and shapes == [(64, 64, 3)] * 3
print("as described" if same else "CHANGED")
sys.exit(not same)
PY
