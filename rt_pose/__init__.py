"""rt-pose: real-time closed-loop animal pose tracking.

OpenVINO reports each import of its Python package to its maker, and NNCF each call: from a thread that forks
the whole process, with every open device in it, and waits up to 3 s for an answer of the internet. A program
at a rig does neither. Before anything here can import them, the package that reports is made to look absent,
for which both have a way of their own.
"""

import sys

__version__ = "0.2.0"

sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
