"""Mixed precision: the network alone works in fewer bits, everything in pixels stays in float32.

bf16 has 8 bits, and a frame more than 256 columns: an affine or a PCA in bf16 would move keypoints by pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Literal

import torch

DTYPES: dict[str, torch.dtype] = {"bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which operations run in a precision, where torch considers it safe.

    Parameters
    ----------
    precision
        bf16, fp16, or float32: no change.
    device
        Device of the network.
    """
    if precision not in DTYPES:
        return torch.autocast(device.type, enabled=False)
    return torch.autocast(device.type, DTYPES[precision])


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Return a context in which everything runs in float32, whatever context is around it.

    Parameters
    ----------
    device
        Device of the network.
    """
    return torch.autocast(device.type, enabled=False)


def trainer_precision(precision: str) -> Literal["16-mixed", "32-true"]:
    """Return Lightning's name for how gradients are kept: those of fp16 need scaling, or small ones become 0.

    Parameters
    ----------
    precision
        float32, bf16 or fp16.
    """
    return "16-mixed" if precision == "fp16" else "32-true"


@contextmanager
def disable_tf32() -> Iterator[None]:
    """Keep float32 on a GPU exact in the context: torch would let convolutions round to TF32's 10 bits."""
    convolutions, products = torch.backends.cudnn, torch.backends.cuda.matmul
    before = convolutions.allow_tf32, products.allow_tf32
    convolutions.allow_tf32, products.allow_tf32 = False, False
    try:
        yield
    finally:
        convolutions.allow_tf32, products.allow_tf32 = before
