"""What a session ran on: machine, versions, and a name of its own."""

from __future__ import annotations

import os
import platform
import secrets
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rt_pose.clock import NS_PER_MS, Clock

PACKAGES = (
    "rt-pose",
    "numpy",
    "numba",
    "llvmlite",
    "torch",
    "openvino",
    "nvidia-dali-cuda120",
    "av",
    "opencv-python-headless",
    "pyzmq",
    "msgspec",
    "mcap",
    "pytorch-lightning",
    "onnx",
)
FEATURES = (
    "avx2",
    "fma",
    "avx512f",
    "avx512bw",
    "avx512vl",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "avx_vnni",
    "amx_tile",
    "amx_bf16",
    "amx_int8",
    "asimd",
    "sve",
)
"""Processor features that choose between kernels, and with them the last bits of a result."""


def machine() -> dict[str, Any]:
    """Describe the processor, its features that matter for speed and bits, memory and operating system.

    Returns
    -------
    dict[str, Any]
        cpu, cores_logical, cores_usable, features, memory_gib, os, kernel, arch. None where the system does
        not report a value.
    """
    cpu = _fields(Path("/proc/cpuinfo"))
    memory = _fields(Path("/proc/meminfo")).get("MemTotal", "").split()
    flags = set((cpu.get("flags") or cpu.get("Features") or "").split())
    release = _fields(Path("/etc/os-release"), separator="=")
    return {
        "cpu": cpu.get("model name") or platform.processor() or None,
        "cores_logical": os.cpu_count(),
        "cores_usable": len(os.sched_getaffinity(0)),
        "features": [feature for feature in FEATURES if feature in flags],
        "memory_gib": round(int(memory[0]) / 2**20, 1) if memory else None,
        "os": release.get("PRETTY_NAME", "").strip('"') or None,
        "kernel": platform.release(),
        "arch": platform.machine(),
    }


def versions() -> dict[str, str | None]:
    """Get the versions of Python and of the packages that affect results and latency; nothing is imported.

    Returns
    -------
    dict[str, str or None]
        By the package's name; None where it is not installed.
    """
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def uuid7(clock: Clock) -> str:
    """Make a UUID of version 7.

    Parameters
    ----------
    clock
        Gives the time.

    Returns
    -------
    str
        Sorts by the millisecond in which it was made; the rest is random.

    Notes
    -----
    RFC 9562, section 5.7.
    """
    millis = clock.utc_ns() // NS_PER_MS
    value = (millis << 80) | secrets.randbits(80)
    value = (value & ~(0xF << 76)) | (7 << 76)
    value = (value & ~(0x3 << 62)) | (2 << 62)
    digits = f"{value:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def _fields(path: Path, separator: str = ":") -> dict[str, str]:
    """The first value of each key in a file of `key SEPARATOR value` lines; none where it is not there."""
    fields: dict[str, str] = {}
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            key, found, value = line.partition(separator)
            if found:
                fields.setdefault(key.strip(), value.strip())
    return fields
