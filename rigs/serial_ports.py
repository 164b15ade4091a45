"""Serial ports: which boards are connected, which port a board has now, and a port opened."""

from __future__ import annotations

import os
import termios
from collections.abc import Container
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from rt_pose.clock import NS_PER_MS, Clock
from rt_pose.drivers import FoundDevice
from rt_pose.errors import UserError, nearest

WRITE_TIMEOUT_S = 0.1
READ_TIMEOUT_S = 0.05
DRAIN_NS = 100 * NS_PER_MS
"""How long a port that is closed may take to send what it still has."""
DIALOUT = "`sudo usermod -aG dialout $USER`, then log in again"


class PortOptions(Protocol):
    """What the options of drivers on a serial port have in common."""

    serial: str
    """USB serial number of the board."""
    port: str
    """Path of the port, in place of a serial number."""
    baud: int


def check_serial_port(options: PortOptions, where: str) -> None:
    """Check the options that say which port.

    Parameters
    ----------
    options
        The driver's options.
    where
        Their place in the configuration.

    Raises
    ------
    UserError
        Where there is not exactly one of `serial` and `port`, or no baud rate.
    """
    if bool(options.serial) == bool(options.port):
        raise UserError(f"{where}: expected one of `serial` and `port`; `rt-pose devices` lists the boards")
    if options.baud <= 0:
        raise UserError(f"{where}: baud must be more than 0, got {options.baud}")


def find_boards(driver: str, vendors: Container[int] | None = None, note: str = "") -> list[FoundDevice]:
    """List the boards on USB that have a serial port; only `open` finds out whether the firmware runs there.

    Parameters
    ----------
    driver
        Name of the driver.
    vendors
        USB vendor ids to list; None for all.
    note
        Added to each description.

    Returns
    -------
    list of FoundDevice
        A board without a serial number, or whose port may not be opened, is not usable and has a remedy.
    """
    from serial.tools import list_ports

    found = []
    for port in list_ports.comports():
        if port.vid is None or (vendors is not None and port.vid not in vendors):
            continue
        description = f"{port.description} at {port.device}{note}"
        remedy = ""
        if not port.serial_number:
            remedy = f"the board has no serial number; give `port: {port.device}`"
        elif Path(port.device).exists() and not os.access(port.device, os.R_OK | os.W_OK):
            remedy = f"its port may not be opened; {DIALOUT}"
        found.append(FoundDevice(driver, port.serial_number or "", description, not remedy, remedy))
    return found


def find_port(options: PortOptions, where: str) -> str:
    """Find the port of a board as it is now.

    Parameters
    ----------
    options
        The driver's options.
    where
        The output or input, for messages.

    Returns
    -------
    str
        Path of the port.

    Raises
    ------
    UserError
        Where no board has the serial number.
    """
    if options.port:
        return options.port
    from serial.tools import list_ports

    by_number = {p.serial_number: str(p.device) for p in list_ports.comports() if p.serial_number}
    if options.serial in by_number:
        return by_number[options.serial]
    there = ", ".join(f"{number} ({path})" for number, path in by_number.items()) or "none"
    raise UserError(
        f"{where}: no board with the serial number '{options.serial}'{nearest(options.serial, by_number)}; "
        f"there are: {there}; is it plugged in?"
    )


def serial_number_at(path: str) -> str:
    """Look up the serial number of the board that has a port now.

    Parameters
    ----------
    path
        Path of the port, or a link to it.

    Returns
    -------
    str
        The serial number; empty where it has none.
    """
    from serial.tools import list_ports

    place = os.path.realpath(path)
    numbers = (p.serial_number for p in list_ports.comports() if os.path.realpath(p.device) == place)
    return next(numbers, None) or ""


def open_port(path: str, baud: int, where: str) -> Any:
    """Open a port that nobody else has open.

    Parameters
    ----------
    path
        Path of the port.
    baud
        Bits per second.
    where
        The output or input, for messages.

    Returns
    -------
    serial.Serial
        The port, with timeouts for reading and writing.

    Raises
    ------
    UserError
        Where it cannot be opened.
    """
    import serial

    try:
        return serial.Serial(
            path, baud, timeout=READ_TIMEOUT_S, write_timeout=WRITE_TIMEOUT_S, exclusive=True
        )
    except (OSError, ValueError) as error:
        raise UserError(
            f"{where}: the port {path} cannot be opened ({error}); is the board plugged in, does "
            f"another program hold it, may you use it (on Debian: {DIALOUT})?"
        ) from error


def close_port(port: Any, clock: Clock) -> None:
    """Release a port when it has sent what it had; a device that is stuck is not waited for.

    Parameters
    ----------
    port
        An open port of pyserial, which nobody reads any more.
    clock
        Host clock.

    Notes
    -----
    `flush` waits for ever for a device that takes nothing, and so does the system for half a minute where
    bytes are left when a port is closed.
    """
    with suppress(OSError, termios.error):  # no OSError: what asking a port that is gone may raise
        until_ns = clock.now_ns() + DRAIN_NS
        while port.out_waiting and clock.now_ns() < until_ns:
            clock.sleep_until_ns(clock.now_ns() + NS_PER_MS)
        if port.out_waiting:
            port.reset_output_buffer()
    with suppress(OSError, termios.error):
        port.close()
