"""The animals of an unlabeled clip, each with maps of its own: what the losses on clips, which know one
animal, need of a network that sees several.

The live decoder finds the animals of each frame, without gradient, and they are followed from frame to frame
by nearness. Of each keypoint's map an animal owns the pixels that lie nearer to its peak than to any other
animal's. So a clip of N animals becomes N clips of one, and every loss means the same for each of them.

A loss over time must not draw two animals together that were taken for one another. So an animal counts in a
frame only where it is told from the others: where it moved less than half as far as to any other one's place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rt_pose.inference.decode import Keypoints
from rt_pose.inference.decode_centre_offsets import CentreOffsetsDecoder
from rt_pose.offline.animal_rows import AnimalRows
from rt_pose.package import DecodeSpec, match_rows, mean_gaps, take_rows
from rt_pose.types import FloatArray
from train.data.clips import ClipBatch, undo_affine
from train.losses.clip import ClipInputs
from train.losses.mean_position import mean_position

SURE = 0.5
"""An animal is told from another one where it moved less than this share of the distance to that."""
FLOOR = 20.0
"""So far below an animal's own peak its map lies in the pixels of others: they have no share in it."""


class ClipAnimals:
    """Splits what a network of several animals says of a clip."""

    def __init__(self, decode: DecodeSpec, individuals: int) -> None:
        """Make the decoder.

        Parameters
        ----------
        decode
            Decoding of the network.
        individuals
            N, the most animals in a labeled frame; so many are followed.
        """
        self._decoder = CentreOffsetsDecoder(decode, individuals)
        self._stride, self._individuals = decode.stride, individuals

    def split(self, output: Tensor, clip: ClipBatch) -> list[ClipInputs]:
        """Split a clip into clips of one animal.

        Parameters
        ----------
        output
            What the network gave for its T frames, and then for the S that were seen again,
            (T + S, 3 K + 1, h, w).
        clip
            The clip.

        Returns
        -------
        list of ClipInputs
            One for each of N animals; the confidence of one that was not found, or not told from another, is
            0.
        """
        found = self._decoder(output.detach().float().cpu().numpy())
        frames, keypoints = len(clip.images), found.xy.shape[2]
        seen = [Keypoints(*(part[f] for part in found)) for f in range(len(output))]
        rows = follow(seen[:frames], self._individuals)
        rows += [_like(rows[t].xy, own) for t, own in zip(clip.again, seen[frames:], strict=True)]
        xy, confidence = (
            torch.from_numpy(np.stack([getattr(own, name) for own in rows])).to(output)
            for name in ("xy", "confidence")
        )
        peaks = (xy + 0.5) / self._stride - 0.5  # (T + S, N, K, 2)
        return [
            self._inputs(logits, peaks[:, n], confidence[:, n], clip)
            for n, logits in enumerate(own_logits(output[:, :keypoints], peaks))
        ]

    def _inputs(self, logits: Tensor, peaks: Tensor, confidence: Tensor, clip: ClipBatch) -> ClipInputs:
        """One animal's."""
        frames = len(clip.images)
        xy = undo_affine(mean_position(logits, self._stride), clip.from_input)
        inputs = ClipInputs(logits[:frames], peaks[:frames], xy[:frames], confidence[:frames], clip.again)
        if not clip.again:
            return inputs
        return replace(inputs, xy_again=xy[frames:], confidence_again=confidence[frames:])


def follow(found: list[Keypoints[FloatArray]], individuals: int) -> list[Keypoints[FloatArray]]:
    """Follow animals through the frames of a clip.

    Parameters
    ----------
    found
        Animals of each frame (D, K), in any order.
    individuals
        N, how many are followed.

    Returns
    -------
    list of Keypoints
        (N, K) of each frame, an animal in one row; confidence 0 where it was not found, or is not told from
        another one.
    """
    keep = AnimalRows(individuals, found[0].xy.shape[1])
    followed: list[Keypoints[FloatArray]] = []
    for own in found:
        rows = keep(own)
        confidence = np.nan_to_num(rows.confidence)
        if followed:
            confidence[~_told_apart(followed[-1].xy, rows.xy)] = 0.0
        followed.append(Keypoints(rows.xy, rows.cov, confidence))
    return followed


def _told_apart(before: FloatArray, now: FloatArray) -> NDArray[np.bool_]:
    """(N,) whether each animal moved much less than it would have to another one's place."""
    gaps = mean_gaps(now, before)
    own = np.diag(gaps).copy()
    others = np.fmin(gaps, gaps.T)
    np.fill_diagonal(others, np.inf)
    nearest = np.nan_to_num(others, nan=np.inf).min(axis=1)
    return np.asarray(~(own >= SURE * nearest))  # one that was not there before has not moved


def _like(reference: FloatArray, own: Keypoints[FloatArray]) -> Keypoints[FloatArray]:
    """The animals of a frame (D, K) in the rows of the same frame (N, K, 2), seen before."""
    rows = match_rows(mean_gaps(reference, own.xy))
    return Keypoints(
        take_rows(own.xy, rows, np.nan),
        take_rows(own.cov, rows, np.nan),
        take_rows(own.confidence, rows, 0.0),
    )


def own_logits(maps: Tensor, peaks: Tensor) -> Iterator[Tensor]:
    """Give each animal its part of the maps that all share.

    Parameters
    ----------
    maps
        Logits (F, K, h, w).
    peaks
        (F, N, K, 2) where each animal's keypoints were found, heatmap px; NaN where not.

    Yields
    ------
    Tensor
        Logits (F, K, h, w) of the next animal: what lies nearer to its peak than to any other one's, and far
        lower elsewhere.
    """
    x = torch.arange(maps.shape[-1], dtype=maps.dtype, device=maps.device)
    y = torch.arange(maps.shape[-2], dtype=maps.dtype, device=maps.device)[:, None]
    nearest = torch.full_like(maps, torch.inf)
    owner = torch.full(maps.shape, -1, device=maps.device)
    for n in range(peaks.shape[1]):
        squared = (peaks[:, n, :, 0, None, None] - x) ** 2 + (peaks[:, n, :, 1, None, None] - y) ** 2
        nearer = squared < nearest  # never for NaN
        owner, nearest = torch.where(nearer, n, owner), torch.where(nearer, squared, nearest)
    for n in range(peaks.shape[1]):
        own = owner == n
        highest = torch.where(own, maps.detach(), -torch.inf).amax(dim=(-2, -1), keepdim=True)
        yield torch.where(own, maps, torch.nan_to_num(highest, neginf=0.0) - FLOOR)
