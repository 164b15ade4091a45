"""Where the network runs: the one place that looks for a GPU and counts cores."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from rt_pose.config.schema import Device
from rt_pose.errors import UserError

HIGH_PRIORITY = -10
"""Nice value of a process that goes before others."""
PROCESSOR = (
    *("vendor_id", "cpu family", "model", "model name", "stepping", "flags"),
    *("CPU implementer", "CPU architecture", "CPU variant", "CPU part", "CPU revision", "Features"),
)
"""What tells one kind of processor from another, on x86 and on ARM."""


def cuda_devices() -> int:
    """Count the CUDA devices that the driver shows.

    The driver is asked directly: DALI and a CPU build of torch cannot tell a machine without a GPU apart from
    an installation without CUDA.

    Returns
    -------
    int
        How many; 0 where there is no driver.
    """
    try:
        cuda = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if cuda.cuInit(0) != 0 or cuda.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def choose_device(wanted: Device) -> Device:
    """Check that the device asked for is there. There is never a silent fall-back.

    Parameters
    ----------
    wanted
        "cpu" or "gpu".

    Returns
    -------
    Device
        `wanted`.

    Raises
    ------
    UserError
        Where a GPU was asked for and there is none.
    """
    if wanted == "cpu":
        return wanted
    if cuda_devices() == 0:
        raise UserError(
            "engine.device: 'gpu' was asked for, but this machine shows no CUDA device (no driver, or no "
            "GPU); check `nvidia-smi`, or set `--engine.device cpu`"
        )
    return wanted


def physical_cores() -> int:
    """Count the physical cores that this process may use.

    Two threads of one core share its vector units, so a network gains nothing from the second.

    Returns
    -------
    int
        How many, at least 1.
    """
    allowed = os.sched_getaffinity(0)
    cores = {_core_of(cpu) for cpu in allowed}
    return max(len(cores), 1)


def has_int8_products() -> bool:
    """Check whether the processor multiplies and adds 8-bit integers in one instruction (VNNI or AMX).

    Without it an int8 network is emulated in 16 bits, which may saturate and gains little.

    Returns
    -------
    bool
        Whether it does.
    """
    flags = set(Path("/proc/cpuinfo").read_text(encoding="utf-8").split())
    return bool(flags & {"avx512_vnni", "avx_vnni", "amx_int8"})


def processor() -> dict[str, str]:
    """Describe the processor by what its fastest arrangement of work depends on: model, revision, features.

    Returns
    -------
    dict[str, str]
        What the system says of its first one, by the system's own names.
    """
    first, _, _ = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").partition("\n\n")
    fields = {}
    for line in first.splitlines():
        name, _, value = line.partition(":")
        fields[name.strip()] = value.strip()
    return {name: fields[name] for name in PROCESSOR if name in fields}


def raise_priority() -> None:
    """Give this process, with all its threads, priority over others (nice -10).

    Raises
    ------
    UserError
        Where that is not allowed for this user.
    """
    try:
        for task in Path("/proc/self/task").iterdir():
            os.setpriority(os.PRIO_PROCESS, int(task.name), HIGH_PRIORITY)
    except PermissionError as error:
        raise UserError(
            "engine.priority: 'high' is not allowed for this user; run as root, allow it "
            "(`/etc/security/limits.conf`: `USER - nice -10`), or set `--engine.priority normal`"
        ) from error


def _core_of(cpu: int) -> tuple[str, str]:
    topology = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology")
    try:
        package = (topology / "physical_package_id").read_text().strip()
        core = (topology / "core_id").read_text().strip()
    except OSError:
        # Some containers hide the topology; then every processor counts as a core.
        return ("", str(cpu))
    return (package, core)
