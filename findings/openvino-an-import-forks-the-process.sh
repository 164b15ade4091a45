#!/usr/bin/env bash
# openvino: importing the package forks the importing process, with whatever it has open.
#
# Surprising: `import openvino` reports itself to an analytics service. It does that from a thread, and that thread
# forks the process (multiprocessing's default on Linux) to wait for the answer: up to 3 s where a proxy or a firewall
# swallows the request. The child has every descriptor that was open: a lock that the program has given up, a serial
# port or a socket that it has closed stays taken by the child. There is no setting in code; where the package
# `openvino_telemetry` cannot be imported nothing is sent and nothing forked.
# Matters for: programs that open devices or take locks before they load a network, and rigs that must not talk to
# the internet.
# Seen: one child; a lock given up by the program is still held by it for about 3 s behind a proxy that never
# answers; without openvino_telemetry no child, and the lock is free at once.
# Versions: openvino 2026.4.1, openvino-telemetry 2025.2.0, Python 3.11, Linux x86-64. Date: 2026-11-30.
set -euo pipefail
T="$(mktemp -d)"; trap 'rm -rf "$T"' EXIT; cd "$T"
PY="$(command -v python3.11 || command -v python3)"
"$PY" -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check openvino==2026.4.1 openvino-telemetry==2025.2.0 2>&1 | grep -v -i warning || true
cat > program.py <<'PY'
import fcntl
import os
import socket
import sys
import time

if "without" in sys.argv:
    sys.modules["openvino_telemetry"] = None
silent = socket.create_server(("127.0.0.1", 0))  # takes connections and never answers: nothing leaves this machine
os.environ["https_proxy"] = os.environ["HTTPS_PROXY"] = f"http://127.0.0.1:{silent.getsockname()[1]}"
os.environ["HOME"] = os.getcwd()
forks = []
sys.addaudithook(lambda event, _: forks.append(event) if event == "os.fork" else None)

mine = open("device", "w")
fcntl.flock(mine, fcntl.LOCK_EX)

import openvino  # noqa: E402

openvino.Core()
time.sleep(0.3)
mine.close()  # given up
since, again = time.monotonic(), open("device", "w")
while time.monotonic() - since < 10:
    try:
        fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
        break
    except BlockingIOError:
        time.sleep(0.02)
print(len(forks), round(time.monotonic() - since, 1))
PY
unset CI || true
with="$(venv/bin/python program.py)"
without="$(venv/bin/python program.py without)"
venv/bin/python -c 'from importlib.metadata import version as v; print("openvino", v("openvino"), "telemetry", v("openvino-telemetry"))'
echo "children, and seconds until a lock that was given up is free: $with; without openvino_telemetry: $without"
venv/bin/python - "$with" "$without" <<'PY'
import sys

(forks, held), (none, free) = ([float(part) for part in text.split()] for text in sys.argv[1:])
if forks < 1 or not 1.0 < held < 9.0 or none or free > 0.5:
    raise SystemExit("openvino behaves otherwise than described")
PY
echo "as described"
