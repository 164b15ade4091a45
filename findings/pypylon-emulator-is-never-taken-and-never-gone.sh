#!/usr/bin/env bash
# pypylon's camera emulator has no owner and cannot be unplugged, and says another sensor than it delivers.
#
# Surprising: a camera that is open can be opened a second time, and a third, each `Open()` without an error, where a
# real camera is exclusively controlled. After `DestroyDevice()` in the middle of grabbing `RetrieveResult` raises
# nothing: it hands out an invalid result at once, and `IsCameraDeviceRemoved()` says False. The camera delivers
# 1040 rows of 1024 pixels as it comes up, while WidthMax and SensorWidth say 4096. And PYLON_CAMEMU works when it is
# set after the import: it is read at the enumeration.
# Matters for: tests of a driver without a camera. A handler of "in use by another program", one of an unplugged
# camera, and one that opens "the whole sensor" all pass without ever having been run as on a device.
# Seen: opened twice: no error; after DestroyDevice: result valid False, removed False; 1024x1040 of 4096x4096
# Versions: pypylon 26.9 (pylon 12.4.2), Python 3.11, Linux x86-64. Date: 2026-11-30.
set -euo pipefail
T="$(mktemp -d)"; trap 'rm -rf "$T"' EXIT; cd "$T"
PY="$(command -v python3.11 || command -v python3)"
"$PY" -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pypylon==26.9 numpy==2.4.6 2>&1 | grep -v -i warning || true
env -u PYLON_CAMEMU venv/bin/python - <<'PY'
import os
import sys
from importlib.metadata import version

from pypylon import pylon

factory = pylon.TlFactory.GetInstance()
before = len(factory.EnumerateDevices())
os.environ["PYLON_CAMEMU"] = "2"  # after the import
devices = factory.EnumerateDevices()
print("pypylon", version("pypylon"), "pylon", pylon.GetPylonVersion())
print("cameras before and after the variable is set:", before, len(devices))

first, second = (pylon.InstantCamera(factory.CreateDevice(devices[0])) for _ in range(2))
first.Open()
second.Open()
print("one camera, opened twice:", first.IsOpen(), second.IsOpen())
size, sensor = (first.Width.Value, first.Height.Value), (first.WidthMax.Value, first.HeightMax.Value)
print("as it comes up:", size, "of", sensor)
second.Close()

first.Width.Value, first.Height.Value = 640, 480
first.StartGrabbing(pylon.GrabStrategy_OneByOne)
with first.RetrieveResult(5000) as result:
    delivered = result.GrabSucceeded()
first.DestroyDevice()
gone = first.RetrieveResult(2000, pylon.TimeoutHandling_Return)
valid, removed = gone.IsValid(), first.IsCameraDeviceRemoved()
print("delivered:", delivered, "; after DestroyDevice: result valid", valid, ", removed", removed)

same = (
    (before, len(devices)) == (0, 2)
    and delivered
    and (valid, removed) == (False, False)
    and size == (1024, 1040)
    and sensor == (4096, 4096)
)
print("as described" if same else "CHANGED")
sys.exit(not same)
PY
