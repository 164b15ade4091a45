"""What every backbone is: an image in, feature maps of falling resolution out."""

from __future__ import annotations

from torch import nn


class Backbone(nn.Module):
    """Called with (B, C, h, w); returns maps at strides 4, 8, 16, ... of the input, finest first.

    What the head and the export may rely on.
    """

    features: list[int]
    """Channels of the returned maps, finest (stride 4) first; each next one has twice the stride."""
