#!/usr/bin/env bash
# pyxdf: where a stream of a nominal rate has lost samples, load_xdf moves the time stamps of all the others.
#
# Surprising: every sample of the file bears a time stamp of its own, yet those that `load_xdf` returns are a straight
# line through them (`dejitter_timestamps=True` is the default). A gap counts as a break, at which the line may jump,
# only where it is longer than a second and than 500 samples; a camera of 100 frames a second that is 2 s silent is no
# break. Stamps just before the gap then come back late and those just after it early, by up to half of the gap, the others
# by less. The effective rate that is reported is too low; what is logged is the same for a stream that is left alone.
# Matters for: camera and pose streams, which drop frames, when they are brought together with electrophysiology or
# stimuli. A stream that is declared irregular keeps its stamps; so does every stream with `dejitter_timestamps=False`.
# Seen: 60 s at 100 samples a second of which 2 s in the middle are missing: stamps off by -1.000 to
# +1.000 s, effective rate 95.08; the same declared irregular, or read with dejitter_timestamps=False: off by 0.
# Versions: pyxdf 1.17.5, numpy 2.4.6, Python 3.11, Linux x86-64. Date: 2026-11-30.
set -euo pipefail
T="$(mktemp -d)"; trap 'rm -rf "$T"' EXIT; cd "$T"
PY="$(command -v python3.11 || command -v python3)"
"$PY" -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pyxdf==1.17.5 numpy==2.4.6 2>&1 | grep -v -i warning || true
venv/bin/python - <<'PY'
import struct
from importlib.metadata import version

import numpy as np
import pyxdf

RATE, SECONDS, GAP = 100.0, 60, (29.0, 31.0)


def chunk(tag, content):
    return struct.pack("<BIH", 4, len(content) + 2, tag) + content


def write(name, times, rate):
    """One stream of one float32 channel, every sample with its time stamp."""
    head = (
        '<?xml version="1.0"?><info><name>camera</name><type>MoCap</type><channel_count>1</channel_count>'
        f"<nominal_srate>{rate:g}</nominal_srate><channel_format>float32</channel_format>"
        "<source_id>camera</source_id></info>"
    )
    samples = b"".join(struct.pack("<Bdf", 8, t, float(i)) for i, t in enumerate(times))
    stream = struct.pack("<I", 1)
    foot = (
        f'<?xml version="1.0"?><info><first_timestamp>{times[0]}</first_timestamp>'
        f"<last_timestamp>{times[-1]}</last_timestamp><sample_count>{len(times)}</sample_count></info>"
    )
    with open(name, "wb") as file:
        file.write(b"XDF:" + chunk(1, b'<?xml version="1.0"?><info><version>1.0</version></info>'))
        file.write(chunk(2, stream + head.encode()))
        file.write(chunk(3, stream + struct.pack("<BI", 4, len(times)) + samples))
        file.write(chunk(6, stream + foot.encode()))


every = 1000.0 + np.arange(int(RATE * SECONDS)) / RATE
kept = every[(every - 1000.0 < GAP[0]) | (every - 1000.0 >= GAP[1])]
write("regular.xdf", kept, RATE)
write("irregular.xdf", kept, 0.0)
print("pyxdf", version("pyxdf"), "-", len(kept), "samples, without those of", GAP[0], "to", GAP[1], "s")
worst = {}
for label, file, options in (
    ("regular", "regular.xdf", {}),
    ("regular, dejitter_timestamps=False", "regular.xdf", {"dejitter_timestamps": False}),
    ("irregular", "irregular.xdf", {}),
):
    (stream,), _ = pyxdf.load_xdf(file, **options)
    off = stream["time_stamps"] - kept
    worst[label] = float(np.abs(off).max())
    rate = stream["info"].get("effective_srate", 0.0)
    print(f"{label}: off by {off.min():+.3f} to {off.max():+.3f} s, effective rate {rate:.2f}")
if not (worst["regular"] > 0.5 and worst["irregular"] < 1e-6 and worst["regular, dejitter_timestamps=False"] < 1e-6):
    raise SystemExit("pyxdf behaves otherwise than described")
PY
echo "as described"
