#!/usr/bin/env bash
# rerun: times that are given as seconds in floating point are cut to whole nanoseconds, not rounded.
#
# Surprising: `TimeColumn(duration=...)` takes seconds as numbers or a NumPy `timedelta64`; of the first the digits
# after the nanosecond are dropped, so that a time that is stated to ten nanoseconds comes back one nanosecond early
# where its binary form lies just below it. Written as `timedelta64[ns]` the same time comes back whole.
# Matters for: recordings whose frames are to be found again by their time stamps (a join of two exports by time
# finds nothing for such frames), and whoever compares a recording with its source bit for bit.
# Seen: seconds 0.03233464 -> 32334639 ns; timedelta64 -> 32334640 ns; of 1001 frame times of a camera 29 are early,
# none of those as timedelta64.
# Versions: rerun-sdk 0.41.0, Python 3.11, Linux x86-64. Date: 2026-11-30.
set -euo pipefail
T="$(mktemp -d)"; trap 'rm -rf "$T"' EXIT; cd "$T"
PY="$(command -v python3.11 || command -v python3)"
"$PY" -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check rerun-sdk==0.41.0 2>&1 | grep -v -i warning || true
venv/bin/python - <<'PY'
from importlib.metadata import version

import numpy as np
import rerun as rr
from rerun.chunk import RrdReader


def read_back(times):
    """The times of a recording, ns, as its own reader gives them."""
    stream = rr.RecordingStream("times", recording_id="times")
    stream.save("times.rrd")
    values = rr.Scalars.columns(scalars=np.zeros(len(times)))
    stream.send_columns("value", indexes=[rr.TimeColumn("t", duration=times)], columns=values)
    stream.flush()
    del stream
    for chunk in RrdReader("times.rrd").stream():
        batch = chunk.to_record_batch()
        if "t" in batch.schema.names:
            return batch["t"].cast("int64").to_numpy()
    raise SystemExit("no times were read back")


exact_ns = np.sort(np.concatenate([[32_334_640], 1_234_560 + 33_333_330 * np.arange(1000)]).astype(np.int64))
at = int(np.searchsorted(exact_ns, 32_334_640))
as_seconds = read_back(exact_ns / 1e9)
as_timedelta = read_back(exact_ns.astype("timedelta64[ns]"))
early = int((as_seconds == exact_ns - 1).sum())
print("rerun-sdk", version("rerun-sdk"))
print("seconds:", as_seconds[at], "ns; timedelta64:", as_timedelta[at], "ns; early of", len(exact_ns), ":", early)
if as_seconds[at] != 32_334_639 or early == 0 or not (as_timedelta == exact_ns).all():
    raise SystemExit("rerun behaves otherwise than described")
PY
echo "as described"
