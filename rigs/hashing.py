"""Randomness without a running generator: every draw is a hash of what it is for."""

from __future__ import annotations

import hashlib
import math

Key = int | str


def hash64(seed: int, *key: Key) -> int:
    """A 64-bit hash of the seed and a key such as (camera, frame)."""
    text = "\x1f".join([str(seed), *map(str, key)])
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def uniform(seed: int, *key: Key, low: float = 0.0, high: float = 1.0) -> float:
    """A number in [low, high) that belongs to the key."""
    return low + (high - low) * ((hash64(seed, *key) >> 11) / (1 << 53))


def angle(seed: int, *key: Key) -> float:
    """A phase in [0, 2 pi) rad that belongs to the key."""
    return uniform(seed, *key, high=2.0 * math.pi)
