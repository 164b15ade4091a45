"""Causal context (experimental: no gain has been measured yet): the present frame's features beside those of
the frames before it, never of later ones.

    image --backbone--> maps --reduce--> now --------------------> kept for the frames that follow
                          |               |
                          |            present --+
                          |                      +--> relu(p + q) - relu(p) --expand--> + maps --> head
                          +               past --+
                                           |
            the reduced maps of the last N frames, newest first

Only the reduced map of a frame is kept, and it depends on that frame alone: live, a frame costs one pass of
the backbone whatever N is, and a clip's frames are worked on together in training. Whatever the weights, an
empty past (zeros) adds exactly nothing, so that at the first frame, and after a gap, this is the network
without context; with part of the past empty, the rest counts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH = 32
"""Channels of the map that is kept of a frame."""
HIDDEN = 64
"""Channels in which the present and the past meet."""

ContextPolicy = Callable[[Tensor, int], Tensor]
"""(the frames' own reduced maps (B, F, h, w), N) -> their past (B, N F, h, w), newest first."""


class Context(nn.Module):
    """Mixes the reduced maps of `frames` past frames into the coarsest map of the present one."""

    def __init__(self, features: int, frames: int) -> None:
        """Create a context that changes nothing until it is trained.

        Parameters
        ----------
        features
            Channels C of the coarsest map.
        frames
            Number N of past frames.
        """
        super().__init__()
        self.frames = frames
        self.reduce = nn.Conv2d(features, WIDTH, 1, bias=False)
        self.present = nn.Conv2d(WIDTH, HIDDEN, 3, padding=1)
        # Without a bias: of an empty past nothing may come.
        self.past = nn.Conv2d(frames * WIDTH, HIDDEN, 3, padding=1, bias=False)
        self.expand = nn.Conv2d(HIDDEN, features, 1, bias=False)
        nn.init.zeros_(self.expand.weight)  # an untrained context changes nothing

    def forward(self, coarsest: Tensor, now: Tensor, past: Tensor) -> Tensor:
        """Add to the coarsest map what the past contributes.

        Parameters
        ----------
        coarsest
            Coarsest maps (B, C, h, w).
        now
            Their own reduced maps (B, F, h, w).
        past
            Reduced maps of the past (B, N F, h, w), newest first; 0 where there is none.

        Returns
        -------
        Tensor
            Maps (B, C, h, w).
        """
        present = self.present(now)
        return coarsest + self.expand(functional.relu(present + self.past(past)) - functional.relu(present))

    def next_past(self, now: Tensor, past: Tensor) -> Tensor:
        """Return the past of the next frame: this frame first, the oldest one dropped.

        Parameters
        ----------
        now
            Reduced map of this frame (B, F, h, w).
        past
            Its past (B, N F, h, w), newest first.

        Returns
        -------
        Tensor
            Past (B, N F, h, w), newest first.
        """
        kept = past[:, : (self.frames - 1) * WIDTH]
        return torch.cat([now, kept], dim=1) if self.frames > 1 else now


def self_context(now: Tensor, frames: int) -> Tensor:
    """Give frames without neighbours a past: each its own, as if nothing had moved.

    Parameters
    ----------
    now
        Reduced maps of the frames (B, F, h, w).
    frames
        Number N of past frames.

    Returns
    -------
    Tensor
        Past (B, N F, h, w).
    """
    return now.repeat(1, frames, 1, 1)


def clip_context(length: int, again: Sequence[int] = ()) -> ContextPolicy:
    """Return the policy for the frames of a clip, one after another.

    A frame's past lies within the clip, and before its first frame there is nothing.

    Parameters
    ----------
    length
        Number of frames T of the clip.
    again
        Frames of which second draws follow after the T frames. What is compared is the same moment, so each
        has the past of its first draw.

    Returns
    -------
    ContextPolicy
        From (T + S, F, h, w) and N to (T + S, N F, h, w).
    """

    def past(now: Tensor, frames: int) -> Tensor:
        clip = now[:length]
        shifted = [functional.pad(clip, (0, 0, 0, 0, 0, 0, n, 0))[:length] for n in range(1, frames + 1)]
        found = torch.cat(shifted, dim=1)  # (T, N F, h, w)
        return torch.cat([found, found[list(again)]]) if again else found

    return past


def random_context(turn: int) -> ContextPolicy:
    """Return the policy for labeled frames in training.

    Of N + 2 frames in turn, one has an empty past, N have themselves as their last 1 to N frames, and one has
    another frame as its past. So the network answers well without a past and with a growing one, and learns
    not to trust a past that shows something else: a keypoint is where the present frame has it.

    Parameters
    ----------
    turn
        Moves on with the step, so that each place in the batch sees each kind.

    Returns
    -------
    ContextPolicy
        From (B, F, h, w) and N to (B, N F, h, w).
    """

    def past(now: Tensor, frames: int) -> Tensor:
        kind = (torch.arange(len(now), device=now.device) + turn) % (frames + 2)
        source = torch.where((kind == frames + 1)[:, None, None, None], now.roll(1, dims=0), now)
        filled = kind[:, None] > torch.arange(frames, device=now.device)  # (B, N)
        return (source[:, None] * filled[:, :, None, None, None]).flatten(1, 2)

    return past
