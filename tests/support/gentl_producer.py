"""The GenTL producer that comes with the bindings of the standard: three simulated cameras."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


def why_no_producer() -> str:
    """Why there is no producer here; empty where there is one."""
    for module in ("harvesters", "genicam"):
        if find_spec(module) is None:
            return f"{module} is not installed: pip install 'rt-pose[genicam]'"
    return "" if Path(producer()).is_file() else "the package genicam brings no viky.cti"


def producer() -> str:
    """Path of the producer."""
    found = find_spec("genicam")
    assert found is not None
    assert found.origin is not None
    return str(Path(found.origin).parent / "viky.cti")
