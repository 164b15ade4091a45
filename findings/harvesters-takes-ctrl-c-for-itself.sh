#!/usr/bin/env bash
# harvesters: opening a camera on the main thread takes SIGINT from the program, and importing it changes the
# program's filter of warnings.
#
# Surprising: `Harvester.create()` replaces the handler of SIGINT, where it runs on the main thread; nothing in its
# documentation says so, and `destroy()` of the acquirer does not put the old one back. From a thread that is not the
# main one nothing is replaced. Importing `harvesters.core` alone puts a filter for every warning ("once", of all
# categories) in front of those that the program has set.
# Matters for: programs that end in order on Ctrl-C (outputs to be made safe, files to be closed): their own handler
# is never called. Open the camera on another thread, or set the handler again afterwards.
# Seen: handler before: mine; after create(): another; after destroy(): another; from a thread: mine
# Versions: harvesters 1.4.3, genicam 1.6.0 (its producer viky.cti), Python 3.11, Linux x86-64. Date: 2026-11-30.
set -euo pipefail
T="$(mktemp -d)"; trap 'rm -rf "$T"' EXIT; cd "$T"
PY="$(command -v python3.11 || command -v python3)"
"$PY" -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check harvesters==1.4.3 genicam==1.6.0 2>&1 | grep -v -i warning || true
venv/bin/python - <<'PY'
import signal
import sys
import threading
import warnings
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path


def mine(number, frame):
    """What the program does on Ctrl-C."""


warnings.simplefilter("error")
before = warnings.filters[0]
from harvesters.core import Harvester  # noqa: E402

filtered = warnings.filters[0] != before
print("harvesters", version("harvesters"), "; first filter of warnings:", before[0], "->", warnings.filters[0][0])
warnings.simplefilter("ignore")

signal.signal(signal.SIGINT, mine)
harvester = Harvester()
harvester.add_file(str(Path(find_spec("genicam").origin).parent / "viky.cti"))
harvester.update()

found = {}


def from_a_thread():
    acquirer = harvester.create(0)
    acquirer.destroy()


thread = threading.Thread(target=from_a_thread)
thread.start()
thread.join()
found["from a thread"] = signal.getsignal(signal.SIGINT) is mine
acquirer = harvester.create(0)
found["after create() on the main thread"] = signal.getsignal(signal.SIGINT) is mine
acquirer.destroy()
found["after destroy()"] = signal.getsignal(signal.SIGINT) is mine
harvester.reset()
for when, is_mine in found.items():
    print(f"{when}: the handler is", "mine" if is_mine else "another")

same = filtered and list(found.values()) == [True, False, False]
print("as described" if same else "CHANGED")
sys.exit(not same)
PY
