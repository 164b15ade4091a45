"""`individual.keypoint@camera`: how a rule names a keypoint.

Individual and camera may be left out; in place of an individual stand `any`, `each` and `other`. A part that
holds anything but letters, digits, `_`, `-` and dots is written in quotes, single or double, and a quote
inside it twice: `"left paw"@top`. Without quotes the model's own names come first: `left.paw` is the keypoint
of that name where there is one, and else the keypoint `paw` of the individual `left`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from rt_pose.config.check import WORDS_FOR_INDIVIDUALS

CENTROID = "centroid"
"""In place of a keypoint: the mean of those that it names in brackets, or of all."""
QUOTES = "\"'"
QUOTED = r"(?:\"(?:[^\"]|\"\")+\"|'(?:[^']|'')+')"
"""A part in quotes, as a regular expression."""


@dataclass(frozen=True, slots=True)
class KeypointName:
    """A name in its parts, without quotes."""

    keypoint: str
    individual: str = ""
    """Empty where it is left out."""
    camera: str = ""
    """Empty where it is left out."""


def individual_names(individuals: int | Sequence[str]) -> tuple[str, ...]:
    """List the names of individuals: their own, or `individual0` and so on, by the numbers that the log has.

    Parameters
    ----------
    individuals
        How many are tracked, or their names: the `individuals` of a configuration.

    Returns
    -------
    tuple[str, ...]
        The names.
    """
    if isinstance(individuals, int):
        return tuple(f"individual{i}" for i in range(individuals))
    return tuple(individuals)


def read_name(text: str, keypoints: Collection[str], individuals: Collection[str]) -> KeypointName:
    """Divide a name into its parts.

    Parameters
    ----------
    text
        The name as written.
    keypoints
        Names of the model's keypoints.
    individuals
        Names of its individuals.

    Returns
    -------
    KeypointName
        The parts; whether they exist is not checked.
    """
    if text in keypoints:  # its own name may hold an @
        return KeypointName(text)
    body, camera = _divide(text, "@")
    camera = _without_quotes(camera)
    first, rest = _divide(body, ".")
    is_quoted = any(quote in body for quote in QUOTES)
    if not rest or (body in keypoints and not is_quoted):
        return KeypointName(_without_quotes(body), "", camera)
    if is_quoted or first in (*individuals, *WORDS_FOR_INDIVIDUALS) or rest in keypoints:
        return KeypointName(_without_quotes(rest), _without_quotes(first), camera)
    return KeypointName(body, "", camera)


def _divide(text: str, sign: str) -> tuple[str, str]:
    """What stands before and after the first sign outside quotes; nothing after where there is none."""
    quote = ""
    for i, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in QUOTES:
            quote = character
        elif character == sign:
            return text[:i], text[i + 1 :]
    return text, ""


def _without_quotes(part: str) -> str:
    quote = part[:1]
    return part[1:-1].replace(2 * quote, quote) if quote and quote in QUOTES else part
