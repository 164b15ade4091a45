"""Why a GPU cannot be had, in words."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from rt_pose.errors import UserError
from rt_pose.inference.device import cuda_devices
from rt_pose.inference.gpu.device import (
    MIN_FREE_BYTES,
    check_free,
    is_out_of_memory,
    out_of_memory,
    runs_on,
    unavailable_reason,
)
from rt_pose.inference.gpu.stream import TorchCudaStream


@pytest.mark.skipif(cuda_devices() > 0, reason="this machine has a GPU")
def test_a_lane_needs_a_gpu() -> None:
    with pytest.raises(UserError, match=r"no CUDA device.*--engine\.device cpu"):
        TorchCudaStream()


@pytest.mark.parametrize(
    ("cuda", "driver", "messages"),
    [
        (None, 13000, "is a CPU build; install one with CUDA"),
        ("13.0", 12080, r"driver is for CUDA 12.8, torch 2.13.0 needs 13.0; update the driver"),
        ("12.8", 12040, None),
        ("12.8", 13000, None),
    ],
    ids=["CPU build", "old driver", "minor versions mix", "newer driver"],
)
def test_torch_and_driver_must_fit(cuda: str | None, driver: int, messages: str | None) -> None:
    found = unavailable_reason("2.13.0", cuda, driver)
    assert (found is None) == (messages is None)
    assert messages is None or messages in str(found)


@pytest.mark.parametrize(
    ("architectures", "capability", "fits"),
    [
        (["sm_80", "sm_90"], (9, 0), True),
        (["sm_80"], (8, 9), True),
        (["sm_80"], (9, 0), False),
        (["sm_80", "compute_80"], (9, 0), True),
        (["sm_90a", "sm_100"], (7, 5), False),
        ([], (9, 0), False),
    ],
)
def test_code_must_be_for_the_device(
    architectures: list[str], capability: tuple[int, int], fits: bool
) -> None:
    assert runs_on(architectures, capability) is fits


def test_too_little_memory_is_said_with_what_is_there() -> None:
    check_free("H200", MIN_FREE_BYTES, 2 * MIN_FREE_BYTES)
    with pytest.raises(UserError, match=r"0\.5 of 80\.0 GiB of the H200's memory is free.*nvidia-smi"):
        check_free("H200", MIN_FREE_BYTES // 2, 80 * 2**30)


def test_running_out_of_memory_is_no_traceback() -> None:
    with (
        pytest.raises(UserError, match=r"ran out while loading the network: Tried to allocate"),
        out_of_memory("loading the network"),
    ):
        raise torch.OutOfMemoryError("Tried to allocate 2 GiB.\nmore")


@pytest.mark.parametrize(
    ("error", "messages"),
    [
        (RuntimeError("CUDA error: out of memory\nCompile with ..."), "CUDA error: out of memory"),
        (
            RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling x"),
            "CUBLAS_STATUS_ALLOC_FAILED when calling x",
        ),
        (MemoryError(), "MemoryError"),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), None),
    ],
    ids=["CUDA", "cuBLAS", "DALI", "something else"],
)
def test_every_library_has_its_own_words_for_full_memory(error: Exception, messages: str | None) -> None:
    assert is_out_of_memory(error) == messages
    with pytest.raises(UserError if messages else type(error)), out_of_memory("decoding"):
        raise error


def test_full_memory_is_told_though_the_end_of_a_recording_failed_too() -> None:
    def recording() -> None:
        try:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.")
        finally:
            raise RuntimeError("CUDA error: operation failed due to a previous error during capture")

    with (
        pytest.raises(UserError, match=r"ran out while recording: CUDA out of memory"),
        out_of_memory("recording"),
    ):
        recording()


def test_the_cpus_path_imports_nothing_of_the_gpus() -> None:
    program = """
import sys
from rt_pose.inference.engine import engines
from rt_pose.loop import assemble
from rt_pose.inference import choose_engine as infer
engines()
assert not [name for name in sys.modules if name == "torch" or name.startswith("rt_pose.inference.gpu")]
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
