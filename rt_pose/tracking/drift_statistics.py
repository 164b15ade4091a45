"""The names of the statistics of drift, for all that tells of it without computing it."""

from __future__ import annotations

from collections.abc import Sequence

STATISTICS = {"pose": "pose-PCA error", "confidence": "confidence", "innovation": "innovations"}
"""The names of the statistics in the order of their places, and what they are called in a sentence."""


def format_statistics(names: Sequence[str]) -> str:
    """Name statistics in a sentence.

    Parameters
    ----------
    names
        Names in `STATISTICS`; one that this program does not know stays as it is.

    Returns
    -------
    str
        E.g. `pose-PCA error and confidence`.
    """
    named = [STATISTICS.get(name, name) for name in names]
    return " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)
