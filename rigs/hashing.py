"""Randomness without a running generator: every draw is a hash of what it is for."""

from __future__ import annotations

import hashlib
import math

Key = int | str


def hash64(seed: int, *key: Key) -> int:
    """Hash a seed and a key to 64 bits.

    Parameters
    ----------
    seed
        Seed of all draws of a run.
    *key
        What the draw is for, such as (camera, frame).

    Returns
    -------
    int
        Unsigned 64-bit hash (BLAKE2b), the same on every machine.
    """
    text = "\x1f".join([str(seed), *map(str, key)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def uniform(seed: int, *key: Key, low: float = 0.0, high: float = 1.0) -> float:
    """Return the number in [low, high) that belongs to a key.

    Parameters
    ----------
    seed, *key
        As in `hash64`.
    low, high
        Bounds of the uniform distribution.
    """
    return low + (high - low) * ((hash64(seed, *key) >> 11) / (1 << 53))


def angle(seed: int, *key: Key) -> float:
    """Return the phase in [0, 2 pi) rad that belongs to a key.

    Parameters
    ----------
    seed, *key
        As in `hash64`.
    """
    return uniform(seed, *key, high=2.0 * math.pi)
