"""Where the network runs."""

from __future__ import annotations

import os

import pytest

from rt_pose.errors import UserError
from rt_pose.inference.device import choose_device, cuda_devices, physical_cores


def test_the_cpu_is_always_there() -> None:
    assert choose_device("cpu") == "cpu"


@pytest.mark.skipif(cuda_devices() > 0, reason="this machine has a GPU")
def test_a_gpu_is_never_replaced_in_silence() -> None:
    with pytest.raises(UserError, match=r"--engine\.device cpu"):
        choose_device("gpu")


def test_cores_are_at_least_one_and_at_most_the_processors_allowed() -> None:
    assert 1 <= physical_cores() <= len(os.sched_getaffinity(0))
