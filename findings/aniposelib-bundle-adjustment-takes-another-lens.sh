#!/usr/bin/env bash
# aniposelib: bundle adjustment makes every pixel square and keeps one coefficient of the lens, whatever calibration it
# is given; an exact one comes out worse than it went in.
#
# Surprising: `CameraGroup.bundle_adjust` is what one runs to make a calibration better. It adjusts one focal length and
# k1 of each camera; fy, k2, p1, p2 and k3 are not left as they are but become fx and 0, also those of a camera whose
# lens was measured before and read from a file. A reprojection error of 0 is larger afterwards, without a word. With
# `only_extrinsics=True` the lenses stay.
# Matters for: calibrations of other programs that are refined in anipose, and lenses that were calibrated one by one
# before the cameras were put up.
# Seen: fx 800, fy 816, lens [-0.35, 0.17, 0.001, -0.0015, -0.04]: 0.0003 px; after: fx = fy = 800.5, lens
#       [-0.3, 0, 0, 0, 0]: 0.107 px (means); with only_extrinsics the lens as before: 0.0003 px
# Versions: aniposelib 0.8.0, numpy 2.4.6, opencv-contrib-python 5.1.0.95, scipy 1.17.1, Python 3.11. Date: 2026-11-30.
set -euo pipefail
T="$(mktemp -d)"; trap 'rm -rf "$T"' EXIT; cd "$T"
PY="$(command -v python3.11 || command -v python3)"
"$PY" -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check aniposelib==0.8.0 numpy==2.4.6 \
    opencv-contrib-python==5.1.0.95 scipy==1.17.1 2>&1 | grep -v -i warning || true
venv/bin/python - <<'PY'
import sys
from importlib.metadata import version

import numpy as np
from aniposelib.cameras import Camera, CameraGroup

random = np.random.default_rng(0)
LENS = [-0.35, 0.17, 0.001, -0.0015, -0.04]
TURNS = [(0.0, -0.6, 0.0), (0.0, 0.0, 0.0), (0.0, 0.6, 0.0)]


def rig():
    """Three cameras about the origin, 1 m away, whose pixels are not square."""
    cameras = []
    for number, turn in enumerate(TURNS):
        matrix = np.array([[800.0, 0.0, 640.0], [0.0, 816.0, 512.0], [0.0, 0.0, 1.0]])
        cameras.append(
            Camera(matrix=matrix, dist=LENS, size=(1280, 1024), rvec=turn, tvec=(0.0, 0.0, 1000.0), name=str(number))
        )
    return CameraGroup(cameras)


def error_px(group, pixels):
    return float(group.reprojection_error(group.triangulate(pixels), pixels, mean=True).mean())


places = random.uniform(-350, 350, (200, 3))
group = rig()
pixels = group.project(places)
before = error_px(group, pixels)
group.bundle_adjust(pixels, verbose=False)
after = error_px(group, pixels)
camera = group.cameras[0]
print("aniposelib", version("aniposelib"))
print(f"before: fx 800.0, fy 816.0, lens {LENS}: reprojection error {before:.4f} px")
fx, fy = camera.get_focal_length(both=True)
print(f"after:  fx {fx:.1f}, fy {fy:.1f}, lens {np.round(camera.get_distortions(), 4).tolist()}: {after:.4f} px")
kept = rig()
kept.bundle_adjust(pixels, verbose=False, only_extrinsics=True)
print(f"with only_extrinsics: lens {np.round(kept.cameras[0].get_distortions(), 4).tolist()}: {error_px(kept, pixels):.4f} px")
same = (
    before < 1e-3 < 0.1 < after
    and fx == fy
    and np.all(camera.get_distortions()[1:] == 0)
    and np.allclose(kept.cameras[0].get_distortions(), LENS)
)
print("as described" if same else "CHANGED")
sys.exit(not same)
PY
