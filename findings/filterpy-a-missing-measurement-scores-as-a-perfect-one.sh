#!/usr/bin/env bash
# filterpy, KalmanFilter: after `update(None)`, the documented way to say that a measurement is missing,
# `log_likelihood` is neither the last one's, nor 0, nor NaN.
#
# Surprising: it is the log density of a residual of exactly 0 under the covariance S of the measurement before: the
# score of a perfect measurement. `likelihood` and `mahalanobis` (0.0) say the same. `update(nan)` raises nothing
# either, and makes the whole state NaN for good.
# Matters for: fitting a filter's noise by the sum of `log_likelihood` over a recording: every frame in which the
# keypoint was not seen adds a top score, and most of all to models with a small S.
# Seen: after a measurement 9 px away: log likelihood -7.3117, Mahalanobis distance 3.2814, S 7.5225
#       after a missing measurement:   log likelihood -1.9279, Mahalanobis distance 0.0000, S 7.5225
#       log density of residual 0:     -1.9279
#       after update(nan):             state [nan nan]
# Versions: filterpy 2.0.0 and 1.4.5, numpy 2.2.6, scipy 1.15.3, Python 3.11.
# Date: 2026-11-29. Exits 0 where that is so, 1 where it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python="$(command -v python3.11 || command -v python3)"
"$python" -m venv "$folder/env"
for version in 2.0.0 1.4.5; do
    "$folder/env/bin/python" -m pip install --quiet --disable-pip-version-check \
        "filterpy==$version" numpy==2.2.6 scipy==1.15.3 2>/dev/null
    "$folder/env/bin/python" - <<'PY'
import math
import sys

import filterpy
import numpy as np
from filterpy.kalman import KalmanFilter

kf = KalmanFilter(dim_x=2, dim_z=1)
kf.F, kf.H = np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([[1.0, 0.0]])
kf.Q, kf.R = kf.Q * 0.01, kf.R * 4.0
for z in (0.0, 9.0):
    kf.predict()
    kf.update(z)
far = float(kf.log_likelihood)
print(f"filterpy {filterpy.__version__}")
print(f"after a measurement 9 px away: log likelihood {far:.4f}, Mahalanobis distance {kf.mahalanobis:.4f}, S {kf.S[0, 0]:.4f}")
kf.predict()
kf.update(None)
missing, s = float(kf.log_likelihood), float(kf.S[0, 0])
perfect = -0.5 * math.log(2 * math.pi * s)
print(f"after a missing measurement:   log likelihood {missing:.4f}, Mahalanobis distance {kf.mahalanobis:.4f}, S {s:.4f}")
print(f"log density of residual 0:     {perfect:.4f}")
kf.predict()
kf.update(np.nan)
print(f"after update(nan):             state {kf.x.ravel()}")
same = math.isclose(missing, perfect, abs_tol=1e-6) and missing > far and kf.mahalanobis != kf.mahalanobis
sys.exit(0 if same and np.isnan(kf.x).all() else 1)
PY
done
echo "unchanged: a missing measurement is scored as a perfect one"
