"""The lists, tuples, texts and numbers in a pickle, without running it."""

from __future__ import annotations

import pickletools
from typing import Any

CONSTANTS: dict[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
ARGUMENTS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING", "SHORT_BINSTRING"),
}
"""Opcodes whose argument is the value."""
EMPTY: dict[str, type] = {"EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
KEEP, FETCH = ("PUT", "BINPUT", "LONG_BINPUT"), ("GET", "BINGET", "LONG_BINGET")


def literals(pickled: bytes) -> Any:
    """Read a pickle that holds nothing but literals.

    Parameters
    ----------
    pickled
        The bytes.

    Returns
    -------
    Any
        Its value.

    Raises
    ------
    ValueError
        Where it holds anything that would have to be run, or is no pickle.
    """
    stack: list[Any] = []
    marks: list[int] = []
    kept: dict[int, Any] = {}
    try:
        for opcode, argument, _ in pickletools.genops(pickled):
            if opcode.name == "STOP":
                return stack[-1]
            _step(opcode.name, argument, stack, marks, kept)
    except (IndexError, KeyError, AttributeError) as error:
        raise ValueError("a pickled list in it is damaged") from error
    raise ValueError("a pickled list in it is damaged")


def _step(name: str, argument: Any, stack: list[Any], marks: list[int], kept: dict[int, Any]) -> None:
    """Carry out one opcode, of those that only put values together."""
    if name in ARGUMENTS:
        stack.append(argument)
    elif name in CONSTANTS:
        stack.append(CONSTANTS[name])
    elif name in EMPTY:
        stack.append(EMPTY[name]())
    elif name == "MARK":
        marks.append(len(stack))
    elif name in ("LIST", "TUPLE", "APPENDS") or name in TUPLES:
        at = len(stack) - TUPLES[name] if name in TUPLES else marks.pop()
        items = stack[at:]
        del stack[at:]
        if name == "APPENDS":
            stack[-1].extend(items)
        else:
            stack.append(items if name == "LIST" else tuple(items))
    elif name == "APPEND":
        item = stack.pop()
        stack[-1].append(item)
    elif name in KEEP:
        kept[argument] = stack[-1]
    elif name == "MEMOIZE":
        kept[len(kept)] = stack[-1]
    elif name in FETCH:
        stack.append(kept[argument])
    elif name not in ("PROTO", "FRAME"):
        raise ValueError(f"it holds pickled objects ({name}), which only running them would bring back")
