"""Requests to the control socket, read within bounds: what a message may hold, and what its order takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from rt_pose.errors import UserError, nearest
from rt_pose.loop.publish import WIRE_VERSION
from rt_pose.types import SwitchOrder

IMMEDIATE_ORDERS = ("status", "meta", "emergency")
"""Answered without the loop."""
ARGUMENTS: dict[str, tuple[str, ...]] = {
    "start": (),
    "stop": (),
    "arm": (),
    "disarm": (),
    "block": ("name",),
    "set": ("parameter", "value"),
    "mark": ("text",),
    "input": ("name", "state"),
}
"""Further orders, and what each takes. The loop carries them out, `input` excepted."""
SWITCH_ORDERS: tuple[SwitchOrder, ...] = ("on", "off", "press")
ORDERS = tuple(ARGUMENTS)
LONGEST_REQUEST = 32 * 1024
"""Bytes of a message that are read at all."""
LONGEST_TEXT, LONGEST_MARK = 256, 10_000
"""UTF-8 bytes of a text in a request, and of that of a mark."""
_SHOWN = 60
"""Characters of a value that a message repeats."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request that is well formed; its order is known, its arguments are those of the order."""

    id: bool | int | float | str | bytes | None
    do: str
    args: dict[str, Any]


class RequestError(Exception):
    """A request that cannot be understood, and the id under which that is answered."""

    def __init__(self, message: str, request_id: Any = None) -> None:
        super().__init__(message)
        self.request_id = request_id


def read_request(raw: bytes) -> Request:
    """Read a request.

    Parameters
    ----------
    raw
        One message.

    Returns
    -------
    Request
        The request.

    Raises
    ------
    RequestError
        Where it is too long, no map, of another version, or its order or arguments are unknown.
    """
    if len(raw) > LONGEST_REQUEST:
        raise RequestError(f"a request has at most {LONGEST_REQUEST} bytes, got {len(raw)}")
    try:
        plain = msgspec.msgpack.decode(raw, type=dict[str, Any])
    except (ValueError, TypeError, RecursionError, OverflowError, MemoryError) as error:
        raise RequestError(f"not a msgpack map: {error}") from error
    number, version, do = (plain.pop(key, None) for key in ("id", "v", "do"))
    if not _is_plain(number) or _size(number) > LONGEST_TEXT:
        raise RequestError("id: expected a number or a short text")
    if version != WIRE_VERSION or isinstance(version, bool):
        raise RequestError(f"v: expected {WIRE_VERSION}, got {shown(version)}", number)
    if not isinstance(do, str) or do not in (*IMMEDIATE_ORDERS, *ORDERS):
        hint = nearest(do, (*IMMEDIATE_ORDERS, *ORDERS)) if isinstance(do, str) else ""
        raise RequestError(f"do: unknown order {shown(do)}{hint}", number)
    try:
        check_arguments(do, plain)
    except UserError as error:
        raise RequestError(str(error), number) from error
    return Request(number, do, plain)


def check_arguments(do: str, args: Mapping[str, Any]) -> None:
    """Check that an order takes these arguments, and that they are short texts or numbers.

    Parameters
    ----------
    do
        A known order.
    args
        Its arguments by name. One that lacks is found by who carries the order out.

    Raises
    ------
    UserError
        Where one of them cannot be taken.
    """
    known = ARGUMENTS.get(do, ())
    for name, value in args.items():
        if name not in known:
            taken = f"it takes {' and '.join(known)}" if known else "it takes none"
            raise UserError(f"{do}: unknown argument {shown(name)}; {taken}")
        if not _is_plain(value) or isinstance(value, bytes):
            raise UserError(f"{do}: {name}: expected a text or a number, got a {type(value).__name__}")
        most = LONGEST_MARK if name == "text" else LONGEST_TEXT
        if _size(value) > most:
            raise UserError(f"{do}: {name}: expected at most {most} bytes of text, got {_size(value)}")


def shown(value: object) -> str:
    """Format a value for a message, whatever a client sent.

    Parameters
    ----------
    value
        The value.

    Returns
    -------
    str
        As Python writes it, cut short; the type alone of one that holds others.
    """
    if not _is_plain(value):
        return f"a {type(value).__name__}"
    text = repr(value[:_SHOWN] if isinstance(value, str | bytes) else value)
    return text if _size(value) <= _SHOWN else f"{text}..."


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, bool | int | float | str | bytes)


def _size(value: object) -> int:
    """Bytes of a text; 0 of a number."""
    if isinstance(value, str):
        return len(value.encode(errors="replace"))
    return len(value) if isinstance(value, bytes) else 0
