"""Cases that do not hold, for the program that tries cases in a process of its own."""

from __future__ import annotations

import threading
from pathlib import Path


def raises(work: Path, seed: int) -> str:
    """Raise what is no message."""
    raise ValueError(f"a traceback of {seed} in {work.name}")


def hangs(work: Path, seed: int) -> str:
    """Take longer than any limit."""
    threading.Event().wait(60.0)
    return ""
