"""Random frames and sharpened random heads: enough to time a chain, and for nothing else."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rt_pose.errors import UserError
from rt_pose.inference.decode import Decoder
from rt_pose.inference.preprocess import Preprocess
from rt_pose.package import GOLDEN_CONFIDENCE, DecodeSpec, InputSpec
from rt_pose.video import Channels

CONFIDENT_SHARE = 0.1
"""Share of the golden keypoints that get the confidence which the golden check asks for. No more: the
less the maps are sharpened, the farther their peaks stand out, and the less another engine's rounding moves
them."""
SHARPENING = 1.4
MAX_STEPS = 40


def sharpen(
    network: nn.Module, last: nn.Module, spec: InputSpec, decode: DecodeSpec, images: list[NDArray[np.uint8]]
) -> None:
    """Scale a network's last layer, in place, until enough maps are peaked: random logits are nearly flat.

    Parameters
    ----------
    network
        The network.
    last
        Its last layer.
    spec
        Its input.
    decode
        How its maps are decoded.
    images
        Frames (H, W, C) on which maps are made.

    Raises
    ------
    UserError
        Where no scale gives peaks on these frames.
    """
    preprocess, decoder = Preprocess(spec), Decoder(decode)
    # A copy: the next call writes into the same memory.
    batch = torch.from_numpy(np.concatenate([preprocess((image,)).copy() for image in images]))
    with torch.inference_mode():
        logits = network(batch).numpy()
        for step in range(MAX_STEPS):
            factor = SHARPENING**step
            confident = decoder(logits * np.float32(factor)).confidence >= GOLDEN_CONFIDENCE
            if confident.mean() >= CONFIDENT_SHARE:
                for parameter in last.parameters():
                    parameter.mul_(factor)
                return
    raise UserError("untrained: the random head has no peak on these frames; give others or another seed")


def random_frames(
    count: int, width: int, height: int, channels: Channels, seed: int = 0
) -> list[NDArray[np.uint8]]:
    """Make smooth random pictures.

    Parameters
    ----------
    count
        How many.
    width, height
        Size, px.
    channels
        1 (gray) or 3 (RGB).
    seed
        Seed of the pictures.

    Returns
    -------
    list[NDArray[np.uint8]]
        (height, width, channels) each.
    """
    random = np.random.default_rng(seed)
    images = []
    for _ in range(count):
        noise = random.integers(0, 256, (height // 16, width // 16, channels), dtype=np.uint8)
        image = cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
        images.append(np.ascontiguousarray(image.reshape(height, width, channels)))
    return images
