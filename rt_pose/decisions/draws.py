"""What is drawn at random: a hash of the seed and the cause, so that every replay draws the same."""

from __future__ import annotations

import hashlib


def digest(*cause: object) -> bytes:
    """Hash a cause.

    Parameters
    ----------
    *cause
        The seed of the run first, then what tells one draw from another.

    Returns
    -------
    bytes
        Eight random bytes that belong to it.
    """
    return hashlib.blake2b("/".join(map(str, cause)).encode(), digest_size=8).digest()


def draw(*cause: object) -> float:
    """Draw a number.

    Parameters
    ----------
    *cause
        See `digest`.

    Returns
    -------
    float
        From 0 to 1.
    """
    return int.from_bytes(digest(*cause), "little") / 2**64


def is_withheld(seed: int, rule: str, camera: str, epoch: int, frame_index: int, share: float) -> bool:
    """Decide whether an event is a control trial.

    The decision is a hash of the event's cause, so that replay withholds the same ones.

    Parameters
    ----------
    seed
        Seed of the run.
    rule
        Name of the rule.
    camera
        Name of the camera.
    epoch, frame_index
        Stamps of the frame that caused it.
    share
        Share of events that are withheld, 0..1.

    Returns
    -------
    bool
        Whether it is withheld.
    """
    return draw(seed, rule, camera, epoch, frame_index) < share


def is_withheld_in_block(seed: int, rule: str, number: int, size: int, share: float) -> bool:
    """Decide whether an event is a control trial where each so many in a row have equally many controls.

    Parameters
    ----------
    seed
        Seed of the run.
    rule
        Name of the rule.
    number
        How many events of the rule, fired or withheld, came before.
    size
        Of how many in a row.
    share
        Share of these that are withheld, 0..1.

    Returns
    -------
    bool
        Whether it is withheld.
    """
    block, place = divmod(number, size)
    draws = [draw(seed, rule, "withhold", block, i) for i in range(size)]
    return sorted(draws).index(draws[place]) < round(share * size)
