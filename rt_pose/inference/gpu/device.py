"""Opening the GPU, and the reasons where it cannot be used."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rt_pose.errors import UserError, first_line
from rt_pose.extras import require
from rt_pose.inference.device import choose_device

MIN_FREE_BYTES = 1 << 30
"""What must be free: for CUDA's own context, weights, activations and frames."""
GIB = 2**30
_NO_ROOM = (
    "out of memory",
    "cudaErrorMemoryAllocation",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)
"""Messages of CUDA's libraries."""


def open_gpu() -> int:
    """Open the CUDA device to run on: torch's current one.

    Returns
    -------
    int
        Its number.

    Raises
    ------
    UserError
        Where there is none, where torch or the driver cannot use it, or where too little of its memory is
        free.
    """
    choose_device("gpu")
    require("gpu", "engine.device: gpu")
    import torch

    if reason := unavailable_reason(torch.__version__, torch.version.cuda, driver_version()):
        raise UserError(f"engine.device: {reason}, or set `--engine.device cpu`")
    try:
        torch.cuda.init()
        device = torch.cuda.current_device()
        name, capability = torch.cuda.get_device_name(device), torch.cuda.get_device_capability(device)
        free, total = torch.cuda.mem_get_info(device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(
            f"engine.device: torch cannot open the GPU: {first_line(error)}; check `nvidia-smi`"
        ) from error
    architectures = torch.cuda.get_arch_list()
    if not runs_on(architectures, capability):
        raise UserError(
            f"engine.device: torch {torch.__version__} was built for {', '.join(architectures)}, not for the "
            f"{name} (sm_{capability[0]}{capability[1]}); install another build of torch"
        )
    check_free(name, free, total)
    return device


def unavailable_reason(torch_version: str, torch_cuda: str | None, driver: int) -> str | None:
    """Report why a torch cannot use a driver.

    Parameters
    ----------
    torch_version
        Version of torch.
    torch_cuda
        CUDA that it was built for, such as "12.8"; None for a CPU build.
    driver
        CUDA version that the driver supports, such as 12080.

    Returns
    -------
    str | None
        The reason and what to do; None where it can.
    """
    if torch_cuda is None:
        return (
            f"torch {torch_version} is a CPU build; install one with CUDA (pytorch.org, *Get started*, "
            "*Compute platform*)"
        )
    # Within a major version a newer runtime runs on an older driver.
    if driver // 1000 < int(torch_cuda.split(".", maxsplit=1)[0]):
        return (
            f"the NVIDIA driver is for CUDA {driver // 1000}.{driver % 1000 // 10}, torch {torch_version} "
            f"needs {torch_cuda}; update the driver, or install a torch for the driver's CUDA"
        )
    return None


def runs_on(architectures: Sequence[str], capability: tuple[int, int]) -> bool:
    """Check whether compiled code runs on a device.

    Binary code runs on the same major version from its own minor one on; PTX on everything newer.

    Parameters
    ----------
    architectures
        What the code was built for, such as sm_80, compute_90.
    capability
        (major, minor) compute capability of the device.

    Returns
    -------
    bool
        Whether it runs.
    """
    major, minor = capability
    for architecture in architectures:
        kind, _, digits = architecture.partition("_")
        digits = digits.rstrip("af")
        if not digits.isdigit():
            continue
        built = int(digits[:-1]), int(digits[-1])
        if kind == "sm" and built[0] == major and built[1] <= minor:
            return True
        if kind == "compute" and built <= (major, minor):
            return True
    return False


def check_free(name: str, free: int, total: int) -> None:
    """Check that enough of the device's memory is free (`MIN_FREE_BYTES`).

    Parameters
    ----------
    name
        Name of the device.
    free, total
        Its memory, bytes.

    Raises
    ------
    UserError
        Where less is free.
    """
    if free < MIN_FREE_BYTES:
        raise UserError(
            f"engine.device: {free / GIB:.1f} of {total / GIB:.1f} GiB of the {name}'s memory is free, "
            f"{MIN_FREE_BYTES / GIB:.1f} are needed; `nvidia-smi` shows who holds it"
        )


def driver_version() -> int:
    """Look up the CUDA version that the driver supports.

    Returns
    -------
    int
        1000 * major + 10 * minor; 0 where there is no driver.
    """
    version = ctypes.c_int(0)
    try:
        ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(version))
    except OSError:
        return 0
    return version.value


@contextmanager
def out_of_memory(doing: str) -> Iterator[None]:
    """Turn running out of the GPU's memory within the block into a UserError.

    Parameters
    ----------
    doing
        What is done in the block, for the message: `while DOING`.

    Raises
    ------
    UserError
        Where the GPU's memory ran out.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        lines = is_out_of_memory(error)
        if lines is None:
            raise
        raise UserError(
            f"the GPU's memory ran out while {doing}: {lines}; `nvidia-smi` shows who holds it"
        ) from error


def is_out_of_memory(error: BaseException) -> str | None:
    """Check whether an error is about the GPU's memory.

    torch's allocator has an error of its own, and what it was that failed may be hidden behind the error of a
    recording that ends with it. CUDA, cuBLAS and cuDNN say it in words, and DALI as Python's MemoryError.

    Parameters
    ----------
    error
        The error; its causes and contexts are looked at as well.

    Returns
    -------
    str | None
        The first line of its message; None where it is about something else.
    """
    import torch

    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        if isinstance(found, torch.OutOfMemoryError | MemoryError) or any(w in str(found) for w in _NO_ROOM):
            return first_line(found)
        found = found.__cause__ or found.__context__
    return None
