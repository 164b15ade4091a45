"""What tests on a GPU share."""

from __future__ import annotations

import pytest

from rt_pose.inference.device import cuda_devices

needs_gpu = [
    pytest.mark.gpu,
    pytest.mark.skipif(cuda_devices() == 0, reason="this machine shows no CUDA device"),
]
