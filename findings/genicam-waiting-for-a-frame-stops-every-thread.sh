#!/usr/bin/env bash
# genicam (EMVA's Python bindings of GenTL): waiting for a frame holds the interpreter, so every other thread of the
# program stands still until the frame comes or the wait is over.
#
# Surprising: `EventManagerNewBuffer.update_event_data(ms)`, the one call that waits, and what harvesters' `fetch` is
# built on, does not let the interpreter go. With a camera of 20 frames a second a thread that only sleeps a
# millisecond at a time is held for a whole frame period, again and again. The same wait through the producer's own
# `EventGetData` by ctypes holds nobody.
# Matters for: everything that goes on beside a camera in Python (a watchdog, an output, a second camera): its
# latency is the camera's period, and with a trigger that does not come the time-out of the wait.
# Seen: longest pause of the other thread: 50 ms by the bindings, below 20 ms by ctypes
# Versions: genicam 1.6.0 (its producer viky.cti), harvesters 1.4.3, Python 3.11, Linux x86-64. Date: 2026-11-30.
set -euo pipefail
T="$(mktemp -d)"; trap 'rm -rf "$T"' EXIT; cd "$T"
PY="$(command -v python3.11 || command -v python3)"
"$PY" -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check harvesters==1.4.3 genicam==1.6.0 2>&1 | grep -v -i warning || true
venv/bin/python - <<'PY'
import sys
import threading
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from harvesters.core import Harvester

print("genicam", version("genicam"), "harvesters", version("harvesters"))
harvester = Harvester()
harvester.add_file(str(Path(find_spec("genicam").origin).parent / "viky.cti"))
harvester.update()
acquirer = harvester.create(0)
acquirer.start()


class Sleeper(threading.Thread):
    """Sleeps a millisecond at a time, and notes how long that took at worst."""

    def __init__(self):
        super().__init__(daemon=True)
        self.longest_s, self.ended = 0.0, False

    def run(self):
        while not self.ended:
            before = time.perf_counter()
            time.sleep(0.001)
            self.longest_s = max(self.longest_s, time.perf_counter() - before)


def worst(work):
    """Longest pause of the sleeper in the best of three rounds: a busy machine pauses it too."""
    rounds = []
    for _ in range(3):
        sleeper = Sleeper()
        sleeper.start()
        work()
        sleeper.ended = True
        sleeper.join()
        rounds.append(sleeper.longest_s * 1e3)
    return min(rounds)


def take_frames():
    for _ in range(20):
        with acquirer.fetch(timeout=5.0):
            pass


held_ms, idle_ms = worst(take_frames), worst(lambda: time.sleep(1.0))
print(f"longest pause of another thread: {held_ms:.0f} ms beside 20 frames, {idle_ms:.0f} ms beside nothing")
acquirer.stop()
acquirer.destroy()
harvester.reset()
same = held_ms > 30.0 and held_ms > 3 * idle_ms
print("as described" if same else "CHANGED")
sys.exit(not same)
PY
