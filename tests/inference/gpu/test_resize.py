"""The resize by matrices against DALI's graph, which defines it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from rt_pose.inference.gpu.resize import MatrixResize, filter_matrix
from rt_pose.inference.preprocess import Preprocess
from rt_pose.package import InputSpec

GRAY = InputSpec(64, 48, 1, [110.0], [55.0])
RGB = InputSpec(64, 48, 3, [123.0, 116.0, 103.0], [58.0, 57.0, 56.0])
CPU = torch.device("cpu")


@pytest.mark.parametrize("size", [(160, 120), (97, 131), (40, 30), (64, 48)])
@pytest.mark.parametrize(("spec", "channels"), [(GRAY, 1), (RGB, 3), (RGB, 1)])
def test_equals_dalis_graph(spec: InputSpec, channels: int, size: tuple[int, int]) -> None:
    shape = (size[1], size[0], channels)
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    found = MatrixResize(spec, shape, CPU)(torch.from_numpy(image)).numpy()
    assert found.shape == (spec.channels, 48, 64)
    np.testing.assert_allclose(found, Preprocess(spec)([image])[0], atol=2e-4)


def test_each_output_pixel_is_a_mean_of_the_input() -> None:
    for n_in, n_out in ((480, 256), (1024, 256), (100, 256)):
        np.testing.assert_allclose(filter_matrix(n_in, n_out, True).sum(axis=1), 1.0, atol=1e-5)


def test_colours_cannot_become_gray_here() -> None:
    with pytest.raises(ValueError, match="3 channels cannot become 1"):
        MatrixResize(GRAY, (120, 160, 3), CPU)
