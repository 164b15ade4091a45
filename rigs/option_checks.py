"""Checks of options that several drivers have."""

from __future__ import annotations

import string

from rt_pose.errors import UserError, check_range, nearest
from rt_pose.types import Command

LONGEST_DELAY_MS = 1000.0


def check_delay(where: str, delay_ms: float) -> None:
    """Check the delay of an output.

    Parameters
    ----------
    where
        Place of the options in the configuration, for the message.
    delay_ms
        From the command to the effect, ms.

    Raises
    ------
    UserError
        Where it is not between 0 and 1000 ms.
    """
    check_range(where, "delay_ms", delay_ms, 0.0, LONGEST_DELAY_MS)


def check_watchdog(where: str, watchdog_ms: int, answer_ms: int) -> None:
    """Check the times of a board that makes its lines low where no heartbeat comes.

    Parameters
    ----------
    where
        Place of the options in the configuration, for the message.
    watchdog_ms
        How long the board waits for a heartbeat, ms.
    answer_ms
        How long an answer of the board is waited for, ms.

    Raises
    ------
    UserError
        Where one lies outside its range.
    """
    check_range(where, "watchdog_ms", watchdog_ms, 20, 10_000)
    if not 1 <= answer_ms < watchdog_ms:
        raise UserError(
            f"{where}: answer_ms must be between 1 and watchdog_ms ({watchdog_ms}), got {answer_ms}: no "
            "heartbeat goes out while an answer is waited for"
        )


def check_port(where: str, port: int, least: int = 1) -> None:
    """Check the number of a port.

    Parameters
    ----------
    where
        Place of the options in the configuration, for the message.
    port
        The number.
    least
        The least that is right: 0 where the system may choose one.

    Raises
    ------
    UserError
        Where there is no such port.
    """
    if not least <= port <= 65535:
        raise UserError(f"{where}.port: expected {least} to 65535, got {port}")


def check_template(where: str, template: str) -> None:
    """Check the text that an output makes of a command.

    Parameters
    ----------
    where
        Place of the option in the configuration, for the message.
    template
        Text with fields of `Command` in braces, such as `{line}`.

    Raises
    ------
    UserError
        Where it is empty, or holds braces around anything else.
    """
    fields = Command.__struct_fields__
    if not template:
        raise UserError(f"{where}: expected a text, such as '{{output}}/{{line}}/{{action}}', got nothing")
    try:
        parts = list(string.Formatter().parse(template))
    except ValueError as error:
        raise UserError(f"{where}: {error} in {template!r}; a brace itself is written twice") from error
    for _, name, spec, conversion in parts:
        if name is not None and (name not in fields or spec or conversion):
            hint = nearest(name, fields)
            raise UserError(f"{where}: '{{...}}' holds the name of a field and no more; got {name!r}{hint}")


def fill_template(template: str, command: Command) -> str:
    """Make the text of a command.

    Parameters
    ----------
    template
        As `check_template` found right.
    command
        The command; a text of its own takes the place of the template.

    Returns
    -------
    str
        The text.
    """
    if command.action == "message":
        return command.message
    return template.format_map({name: getattr(command, name) for name in command.__struct_fields__})


def check_osc_address(where: str, address: str) -> None:
    """Check an OSC address.

    Parameters
    ----------
    where
        Place of the option in the configuration, for the message.
    address
        Begins with a slash; without blanks and the characters of patterns.

    Raises
    ------
    UserError
        Where it is none.
    """
    wrong = not address.startswith("/") or address.endswith("/") or not address.isascii()
    if wrong or not address.isprintable() or set(address) & set(" #*,?[]{}"):
        raise UserError(f"{where}: expected an OSC address such as /rt-pose, got {address!r}")
