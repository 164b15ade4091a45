"""Mutations of files, drawn from a seed: what disks, editors, transfers and people do to them."""

from __future__ import annotations

import re

import numpy as np

EXTREMES = ("nan", "-1", "0", "1e999", "-0.0", "1" + "0" * 400, "null", "true", "''", "[]", "{}")
WORDS = ("", " ", ",", "\t", "\u0000", "\ufeff", "é", "x" * 5000, "../..", "&a", "*a", "- - -", ": :", "{{")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def mutate_bytes(data: bytes, random: np.random.Generator) -> bytes:
    """Damage a file as a disk or a transfer does.

    Parameters
    ----------
    data
        Its content.
    random
        Draws the damage.

    Returns
    -------
    bytes
        The content after one to three kinds of damage.
    """
    for _ in range(random.integers(1, 4)):
        a, b = sorted(int(at) for at in random.integers(0, len(data) + 1, 2))
        b = min(b, a + 4096)
        some = random.bytes(16)
        damaged = (
            data[:a] + some[: b - a] + data[a + len(some[: b - a]) :],
            data[:a] + data[b:],
            data[:b] + data[a:b] + data[b:],
            data[:a],
            data[:a] + bytes(b - a) + data[b:],
            data[:a] + some + data[a:],
        )
        data = damaged[random.integers(len(damaged))]
    return data


def mutate_text(text: str, random: np.random.Generator) -> str:
    """Change a text as an editor or a person does.

    Parameters
    ----------
    text
        The text.
    random
        Draws the changes.

    Returns
    -------
    str
        The text after one to four changes.
    """
    for _ in range(random.integers(1, 5)):
        kind = random.integers(5)
        if kind == 0:
            text = _with_another_number(text, random)
        elif kind == 1:
            text = _with_other_lines(text, random)
        else:
            place = int(random.integers(len(text) + 1))
            brackets = "[" * int(random.integers(1, 3000))
            between = (WORDS[random.integers(len(WORDS))], brackets, "")[kind - 2]
            text = text[:place] + between + ("" if kind == 4 else text[place:])
    return text


def _with_another_number(text: str, random: np.random.Generator) -> str:
    numbers = list(_NUMBER.finditer(text))
    if not numbers:
        return text
    number = numbers[random.integers(len(numbers))]
    return text[: number.start()] + str(random.choice(EXTREMES)) + text[number.end() :]


def _with_other_lines(text: str, random: np.random.Generator) -> str:
    lines = text.split("\n")
    at, other = (int(i) for i in random.integers(0, len(lines), 2))
    kind = random.integers(4)
    if kind == 0:
        del lines[at]
    elif kind == 1:
        lines.insert(other, lines[at])
    elif kind == 2:
        lines[at], lines[other] = lines[other], lines[at]
    else:
        lines[at] = " " * int(random.integers(1, 5)) + lines[at]
    return "\n".join(lines)
