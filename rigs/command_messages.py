"""What outputs share that only pass commands on: the other program carries them out, timing included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import msgspec

from rigs.timed_lines import Undelivered, failed
from rt_pose.clock import Clock
from rt_pose.types import Ack, Command

Format = Literal["msgpack", "json"]
NOT_OPEN = "the output is not open"
ASKED_TO_END = "the other program was asked to end everything"


def encode_command(command: Command, form: Format) -> bytes:
    """Encode a command as a map of its fields.

    Parameters
    ----------
    command
        The command.
    form
        `msgpack` or `json`.

    Returns
    -------
    bytes
        The map.
    """
    return msgspec.json.encode(command) if form == "json" else msgspec.msgpack.encode(command)


def encode_safe(output: str, form: Format) -> bytes:
    """Encode the order to end all that is under way, `{"action": "safe", "output": NAME}`.

    Parameters
    ----------
    output
        Name of the output.
    form
        `msgpack` or `json`.

    Returns
    -------
    bytes
        The map.
    """
    order = {"action": "safe", "output": output}
    return msgspec.json.encode(order) if form == "json" else msgspec.msgpack.encode(order)


def pass_on(command: Command, output: str, clock: Clock, write: Callable[[], None]) -> Ack:
    """Write a message and make the command's ack of it.

    Parameters
    ----------
    command
        The command.
    output
        Name of the output.
    clock
        Host clock.
    write
        Writes the message without waiting; raises `Undelivered` where nobody takes it.

    Returns
    -------
    Ack
        Without an echo: nobody says what the other program did.
    """
    try:
        write()
    except Undelivered as error:
        return failed(command, output, error)
    return Ack(command.id, output, clock.now_ns(), None, None, ok=True)


def refuse(command: Command, output: str, why: str) -> Ack:
    """Make the ack of a command that is not sent.

    Parameters
    ----------
    command
        The command.
    output
        Name of the output.
    why
        The reason.

    Returns
    -------
    Ack
        Not ok, never sent.
    """
    return Ack(command.id, output, None, None, None, ok=False, detail=why)
