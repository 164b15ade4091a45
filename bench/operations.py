"""Counts the arithmetic operations of a network.

Counted are the convolutions and matrix products, two operations a multiply-add, which in these networks are
all but a few per cent; activations, sums, resizes and normalisations are left out, so a floor made from
this is low.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from rt_pose.inference.engines.torch_reference import PROGRAM
from rt_pose.inference.torch_program import read_program
from rt_pose.package import Package


def count_operations(network: nn.Module, shape: tuple[int, ...]) -> int:
    """Count the operations of one forward.

    Parameters
    ----------
    network
        The network.
    shape
        Shape of its input.

    Returns
    -------
    int
        Operations, two a multiply-add.
    """
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(shape))
    return int(counter.get_total_flops())


def operations_of(package: Package) -> int:
    """Count the operations of one forward of a package's network.

    Parameters
    ----------
    package
        A package that holds its torch program.

    Returns
    -------
    int
        Operations, two a multiply-add.
    """
    spec = package.manifest.input
    network = read_program(package.path / PROGRAM).module()
    return count_operations(network, (1, spec.channels, spec.height, spec.width))
